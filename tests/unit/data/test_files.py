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


@pytest.fixture(params=[False, True], ids=["inline", "ahead"])
def read_all(request):
    """Reads a file whole; what gzip compressed is unpacked by the same or by another thread."""

    def read(path: Path, size: int = 1 << 16, **options) -> bytes:
        buffer = memoryview(bytearray(size))
        read = []
        with closing(open_file(path, channel="train", ahead=request.param, **options)) as stream:
            while count := stream.readinto(buffer):
                read.append(bytes(buffer[:count]))
        return b"".join(read)

    before = set(threading.enumerate())
    yield read
    assert set(threading.enumerate()) == before


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("size", [1, 1000, 1 << 20])
@pytest.mark.parametrize("name", ["part-0", "part-0.gz"])
def test_plain_and_packed_under_any_name(read_all, tmp_path, name, size):
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
def test_short_and_odd_ones(read_all, tmp_path, content, unpacked):
    assert read_all(put(tmp_path / "part-0", content)) == unpacked


@pytest.mark.parametrize("offset", [0, 1, 65_536, len(DATA) - 1, len(DATA), len(DATA) + 1])
def test_from_an_offset_on(read_all, tmp_path, offset):
    assert read_all(put(tmp_path / "plain", DATA), offset=offset) == DATA[offset:]
    assert read_all(put(tmp_path / "packed", PACKED), offset=offset) == DATA[offset:]


def test_damaged_before_the_offset(read_all, tmp_path):
    path = put(tmp_path / "part-0", PACKED[:1000])
    with pytest.raises(DataError, match="is cut off"):
        read_all(path, offset=len(DATA))


@pytest.mark.parametrize("ahead", [False, True])
def test_closing_early_leaves_no_thread(tmp_path, ahead):
    path = put(tmp_path / "part-0", gzip.compress(bytes(20_000_000), 1))
    before = set(threading.enumerate())
    with closing(open_file(path, channel="train", ahead=ahead)) as stream:
        assert stream.readinto(memoryview(bytearray(10)))
    assert set(threading.enumerate()) == before


def test_it_is_read_in_one_sequence(read_all, tmp_path):
    """As from a FIFO, in which nobody can seek, and which is there but once."""
    fifo = tmp_path / "part-0"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_bytes, args=(PACKED,))
    writer.start()
    assert read_all(fifo) == DATA
    writer.join()


@pytest.mark.parametrize("end", [2, 3, 9, 10, 11, 1000, len(PACKED) - 9, len(PACKED) - 8, len(PACKED) - 1])
def test_cut_off(read_all, tmp_path, end):
    path = put(tmp_path / "part-0", PACKED[:end])
    with pytest.raises(DataError) as error:
        read_all(path)
    assert error.value.message == (
        f"Unable to read data channel 'train'. The gzip file '{path}' is cut off: it ends before its data do, or a few "
        "bytes that gzip did not write follow them. Upload it again."
    )


@pytest.mark.parametrize("size", [1, 9, 10, 17, 18, 100])
def test_bytes_behind_the_end(read_all, tmp_path, size):
    path = put(tmp_path / "part-0", PACKED + b"x" * size)
    with pytest.raises(DataError, match=r"is damaged \(|a few bytes that gzip did not write follow them"):
        read_all(path)


@pytest.mark.parametrize(
    "content",
    [
        PACKED[:-8] + bytes(4) + PACKED[-4:],  # another checksum
        PACKED[:5000] + bytes(100) + PACKED[5100:],
        PACKED + b"and something else",
        b"\x1f\x8b\x09" + PACKED[3:],  # no method of compression that there is
    ],
)
def test_damaged(read_all, tmp_path, content):
    path = put(tmp_path / "part-0", content)
    with pytest.raises(DataError, match=rf"'train'\. The gzip file '{path}' is damaged \(.+\)\. Upload it again\.$"):
        read_all(path)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_file(tmp_path / "gone", channel="train")
    with pytest.raises(IsADirectoryError):
        open_file(tmp_path, channel="train")
