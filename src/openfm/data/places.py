"""Places within a channel's files: where reading can begin."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["START", "Place"]


class Place(NamedTuple):
    """A place between two records of a channel.

    Attributes:
        file: the number of the file, counted from 0.
        offset: bytes of its data, unpacked if it is compressed, before the place.
        record: records of the file before the place.
        line: lines of the file before the place, of formats that have lines.
    """

    file: int = 0
    offset: int = 0
    record: int = 0
    line: int = 0


START = Place()
"""The start of the first file."""
