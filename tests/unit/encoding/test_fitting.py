from __future__ import annotations

import numpy as np
import pytest

from openfm.data.formats.typed import Categories, Coded
from openfm.encoding.fitting import HashedFit, check_utf8
from openfm.errors import DataError
from openfm.native import _core


def check(*texts: bytes) -> None:
    offsets = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    check_utf8(offsets, np.frombuffer(b"".join(texts), dtype=np.uint8))


def test_texts_longer_than_a_piece() -> None:
    check("\N{SNOWMAN}".encode() * 10**6, b"", "\N{GRINNING FACE}".encode() * 10**6, b"x", b"")
    check()
    check(b"")


@pytest.mark.parametrize(
    "texts",
    [
        [b"\xff"],
        [b"x" * (2**20 - 1) + b"\xc3", b"\xa9"],  # a character in two texts
        [b"x" * (2**20 - 1) + b"\xc3"],
        [b"x" * 2**20 + b"\x80" * 2**21],
    ],
)
def test_what_is_not_utf8(texts: list[bytes]) -> None:
    with pytest.raises(UnicodeError):
        check(*texts)


def test_what_is_hashed_is_kept_only_if_that_is_wanted() -> None:
    texts = Categories(np.int32([1, 0, -1]), np.array([0, 1, 2]), np.frombuffer(b"ab", dtype=np.uint8))
    hashed = Coded(np.int32([3, 1, -1]), _core.TextCoder.hashing(4))
    fit = HashedFit("agent", 4)
    for column in (texts, hashed):
        assert fit.add(column) is None
        kept = fit.add(column, kept=True)
        assert kept is not None
        assert kept.shape == (3,)
        assert kept[2] == -1
    for wanted in (False, True):
        with pytest.raises(DataError, match="Column 'agent' was read as numbers"):
            fit.add(np.ones(3), kept=wanted)
