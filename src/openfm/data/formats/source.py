"""Where data are read from, and how errors call it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from openfm.data.files import ByteStream, open_file, unpacked
from openfm.errors import DataError

__all__ = ["Source"]


class Opener(Protocol):
    """Opens a source."""

    def __call__(self, *, offset: int = 0) -> ByteStream:
        """Its data from ``offset`` on, in unpacked bytes; a stream has no other offset than 0."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file, or a stream that can be read once.

    Attributes:
        name: as errors call it, such as ``'ratings.csv'`` with its quotes.
        path: the file; None for a stream.
        open: opens it as a stream of bytes, what gzip compressed unpacked.
        channel: the training channel that it is of, for errors; empty if it is of none.
    """

    name: str
    path: Path | None
    open: Opener
    channel: str = ""

    @classmethod
    def of_file(cls, path: Path) -> Source:
        """A file, plain or compressed with gzip."""
        return cls(f"'{path}'", path, partial(open_file, path, channel=""))

    @classmethod
    def of_standard_input(cls) -> Source:
        """Standard input, plain or compressed with gzip."""
        name = "standard input"

        def open_once(*, offset: int = 0) -> ByteStream:
            assert offset == 0  # it can be read once, from its start
            return unpacked(_buffered(sys.stdin.buffer), name, channel="")

        return cls(name, None, open_once)

    def error(self, sentence: str) -> DataError:
        """The error that says so, and of which channel the data are."""
        before = f"Unable to read data channel '{self.channel}'. " if self.channel else ""
        return DataError(before + sentence)


def _buffered(stream: BinaryIO) -> BufferedReader:
    """The same bytes, in which one may peek; whoever stands in for standard input may not let one."""
    return stream if isinstance(stream, BufferedReader) else BufferedReader(cast(RawIOBase, stream))
