"""Where data are read from, and how errors call it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

from openfm.data.files import ByteStream, open_file
from openfm.errors import DataError

__all__ = ["Source"]


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
    open: Callable[[], ByteStream]
    channel: str = ""

    @classmethod
    def of_file(cls, path: Path) -> Source:
        """A file, plain or compressed with gzip."""
        return cls(f"'{path}'", path, partial(open_file, path, channel=""))

    @classmethod
    def of_standard_input(cls) -> Source:
        """Standard input, as it comes."""
        return cls("standard input", None, lambda: cast(ByteStream, sys.stdin.buffer))

    def error(self, sentence: str) -> DataError:
        """The error that says so, and of which channel the data are."""
        before = f"Unable to read data channel '{self.channel}'. " if self.channel else ""
        return DataError(before + sentence)
