"""Files as streams: gzip is unpacked whatever the name, in one pass, and said to be broken where it is."""

from __future__ import annotations

import gzip
import os
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from openfm.data.files import open_file
from openfm.errors import DataError

DATA = np.random.default_rng(0).integers(0, 50, 100_000, dtype=np.uint8).tobytes()
PACKED = gzip.compress(DATA)


def read_all(path: Path, size: int = 1 << 16) -> bytes:
    buffer = memoryview(bytearray(size))
    read = []
    with closing(open_file(path, channel="train")) as stream:
        while count := stream.readinto(buffer):
            read.append(bytes(buffer[:count]))
    return b"".join(read)


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("size", [1, 1000, 1 << 20])
@pytest.mark.parametrize("name", ["part-0", "part-0.gz"])
def test_plain_and_packed_under_any_name(tmp_path, name, size):
    start = DATA[: 500 * size]
    assert read_all(put(tmp_path / name, start), size) == start
    assert read_all(put(tmp_path / name, gzip.compress(start)), size) == start


@pytest.mark.parametrize(
    ("content", "unpacked"),
    [
        (b"", b""),
        (b"\x1f", b"\x1f"),
        (b"\x1e\x8b something", b"\x1e\x8b something"),
        (gzip.compress(b""), b""),
        (gzip.compress(b"one ") + gzip.compress(b"") + gzip.compress(b"two"), b"one two"),
        (gzip.compress(b"padded") + bytes(512), b"padded"),
    ],
)
def test_short_and_odd_ones(tmp_path, content, unpacked):
    assert read_all(put(tmp_path / "part-0", content)) == unpacked


def test_it_is_read_in_one_sequence(tmp_path):
    """As from a FIFO, in which nobody can seek, and which is there but once."""
    fifo = tmp_path / "part-0"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_bytes, args=(PACKED,))
    writer.start()
    assert read_all(fifo) == DATA
    writer.join()


@pytest.mark.parametrize("end", [2, 3, 9, 10, 11, 1000, len(PACKED) - 9, len(PACKED) - 8, len(PACKED) - 1])
def test_cut_off(tmp_path, end):
    path = put(tmp_path / "part-0", PACKED[:end])
    with pytest.raises(DataError) as error:
        read_all(path)
    assert error.value.message == (
        f"Unable to read data channel 'train'. The gzip file '{path}' is cut off: it ends before its data do. Upload "
        "it again."
    )


@pytest.mark.parametrize(
    "content",
    [
        PACKED[:-8] + bytes(4) + PACKED[-4:],  # another checksum
        PACKED[:5000] + bytes(100) + PACKED[5100:],
        PACKED + b"and something else",
        b"\x1f\x8b\x09" + PACKED[3:],  # no method of compression that there is
    ],
)
def test_damaged(tmp_path, content):
    path = put(tmp_path / "part-0", content)
    with pytest.raises(DataError, match=rf"'train'\. The gzip file '{path}' is damaged \(.+\)\. Upload it again\.$"):
        read_all(path)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_file(tmp_path / "gone", channel="train")
    with pytest.raises(IsADirectoryError):
        open_file(tmp_path, channel="train")
