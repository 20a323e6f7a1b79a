from __future__ import annotations

import numpy as np
import pytest

from openfm.encoding.fitting import check_utf8


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
