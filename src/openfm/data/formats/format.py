"""What a file format is: a name, how it is read and how it is written."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import BinaryIO

from openfm.data.formats.source import Source
from openfm.data.records import RecordBlock

__all__ = ["Format", "ReadOptions", "WriteOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How data are to be read. Each format looks at what concerns it.

    Attributes:
        feature_dim: the number of features; None lets the data tell, which libsvm and records without a shape do block
            by block (see :func:`openfm.data.formats.measure`).
        index_base: libsvm: the number of the first feature, 0 or 1.
        target: formats with columns: the label's column: its name, or its number from 0, also as text where columns
            have no names. None: there are no labels.
        header: CSV and TSV: whether the first line names the columns.
    """

    feature_dim: int | None = None
    index_base: int | None = None
    target: str | int | None = None
    header: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """How data are to be written. Each format looks at what concerns it.

    Attributes:
        index_base: libsvm: the number of the first feature, 0 or 1.
        target: formats with named columns: what the label's column is called.
        header: CSV and TSV: whether the first line names the columns.
    """

    index_base: int | None = None
    target: str = "label"
    header: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A file format.

    Attributes:
        name: what options call it.
        suffixes: of files' names, in lower case.
        streams: whether it can be read from a pipe, and written to one.
        named_columns: whether its columns have names.
        width_varies: whether blocks of one source may differ in width where ``feature_dim`` is not given.
        read: the records of a source, in blocks of bounded size.
        write: writes blocks of equal width to an open file.
    """

    name: str
    suffixes: tuple[str, ...]
    streams: bool
    named_columns: bool = False
    width_varies: bool = False
    read: Callable[[Source, ReadOptions], Generator[RecordBlock, None, None]]
    write: Callable[[BinaryIO, Iterable[RecordBlock], WriteOptions], None]
