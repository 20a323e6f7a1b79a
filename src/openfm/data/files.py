"""A channel's files as streams of bytes, gzip'd ones unpacked on the way."""

from __future__ import annotations

from contextlib import ExitStack, closing
from io import BufferedReader
from pathlib import Path
from typing import Protocol, cast

from isal import igzip, igzip_threaded, isal_zlib

from openfm.errors import DataError

__all__ = ["GZIP_MAGIC", "ByteStream", "open_file", "unpacked"]

GZIP_MAGIC = b"\x1f\x8b"
"""The first two bytes of whatever gzip wrote (RFC 1952)."""

_UNSOUND = (igzip.BadGzipFile, cast(type[Exception], isal_zlib.error))

_UNPACKED_AT_ONCE = 2**17  # bytes; eight times as much is read of the file


class ByteStream(Protocol):
    """What records are read from."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Fills the buffer, maybe in part: the number of bytes, 0 at the stream's end."""

    def close(self) -> None:
        """Frees what the stream holds; it is not read any more."""


def open_file(path: Path, *, channel: str, offset: int = 0, ahead: bool = False) -> ByteStream:
    """Opens a file of records, plain or compressed with gzip, in one piece or several one after the other.

    What gzip wrote is known by its first bytes, whatever the file is called: in File mode SageMaker delivers objects
    as they are in S3. The file is read once and in sequence, as FastFile mode likes it, and unpacked as it is read.

    Args:
        path: the file.
        channel: the channel's name, for errors.
        offset: how many bytes of the data, unpacked, to pass over.
        ahead: whether another thread may unpack, up to a few blocks ahead.

    Raises:
        OSError: the file cannot be read.
        DataError: what gzip wrote is broken before the offset.
    """
    with ExitStack() as opened:
        file = opened.enter_context(path.open("rb"))
        stream = opened.enter_context(closing(unpacked(file, f"the gzip file '{path}'", channel=channel, ahead=ahead)))
        if stream is not file:
            _pass_over(stream, offset)
        elif offset:
            file.seek(offset)
        opened.pop_all()  # stays open
        return stream


def unpacked(file: BufferedReader, name: str, *, channel: str, ahead: bool = False) -> ByteStream:
    """The bytes of an open file or pipe, unpacked if gzip wrote them; closing the stream closes it.

    Args:
        file: at its start.
        name: what errors call it, such as ``the gzip file 'train.gz'``.
        channel: the channel's name, for errors; empty if it is of none.
        ahead: whether another thread may unpack, up to a few blocks ahead.
    """
    if file.peek(len(GZIP_MAGIC)).startswith(GZIP_MAGIC):
        return _GzipStream(file, name, channel, ahead)
    return file


def _pass_over(stream: ByteStream, count: int) -> None:
    buffer = memoryview(bytearray(min(count, _UNPACKED_AT_ONCE)))
    while count and (read := stream.readinto(buffer[:count])):
        count -= read


class _GzipStream:
    """The unpacked bytes of a file that gzip compressed."""

    def __init__(self, file: BufferedReader, name: str, channel: str, ahead: bool) -> None:
        self._file = file
        self._unpacked = (
            igzip_threaded.open(file, "rb", block_size=_UNPACKED_AT_ONCE) if ahead else igzip.IGzipFile(fileobj=file)
        )
        self._name = name
        self._channel = channel

    def readinto(self, buffer: memoryview, /) -> int:
        try:
            return self._unpacked.readinto(buffer)
        except EOFError as error:
            # Of fewer bytes than gzip's shortest file has, one cannot tell whose they are.
            raise self._broken(
                "is cut off: it ends before its data do, or a few bytes that gzip did not write follow them"
            ) from error
        except _UNSOUND as error:
            raise self._broken(f"is damaged ({error})") from error

    def close(self) -> None:
        self._unpacked.close()
        self._file.close()

    def _broken(self, how: str) -> DataError:
        before = f"Unable to read data channel '{self._channel}'. " if self._channel else ""
        return DataError(f"{before}{self._name[0].upper()}{self._name[1:]} {how}. Upload it again.")
