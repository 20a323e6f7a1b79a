"""What a file format is: a name, how it is read and how it is written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable
from dataclasses import dataclass
from typing import BinaryIO, Literal, Protocol

from openfm.data.formats.source import Source
from openfm.data.formats.typed import CoderOf, ColumnBlock, IsUnused
from openfm.data.places import START, Place
from openfm.data.records import RecordBlock

__all__ = ["ColumnReader", "Format", "ReadOptions", "WriteOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How data are to be read. Each format looks at what concerns it.

    Attributes:
        feature_dim: the number of features; None lets the data tell, which libsvm and records without a shape do block
            by block (see :func:`openfm.data.formats.measure`).
        index_base: libsvm: the number of the first feature, 0 or 1.
        target: formats with columns: the label's column: its name, or its number from 0, also as text where columns
            have no names. None: there are no labels.
        weight: formats with named or numbered columns of text and tables: the column of the weights, likewise. None:
            there are none, but those of recordio and npz.
        header: CSV and TSV: whether the first line names the columns.
        identities: records: whether uid and metadata are wanted.
        start: of formats that can begin there (see :class:`Format`): where to. Its file is not looked at.
        threads: Parquet: how many threads may decode columns; None: as many as pyarrow takes.
    """

    feature_dim: int | None = None
    index_base: int | None = None
    target: str | int | None = None
    weight: str | int | None = None
    header: bool = True
    identities: bool = False
    start: Place = START
    threads: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """How data are to be written. Each format looks at what concerns it.

    Attributes:
        index_base: libsvm: the number of the first feature, 0 or 1.
        target: formats with named columns: what the label's column is called.
        weight: the same of the weights' column, if there are weights.
        header: CSV and TSV: whether the first line names the columns.
    """

    index_base: int | None = None
    target: str = "label"
    weight: str = "weight"
    header: bool = True


class ColumnReader(Protocol):
    """Reads the columns of a source as they are, block by block."""

    def __call__(
        self,
        source: Source,
        *,
        categories: Collection[str] = (),
        no_features: Collection[str] = (),
        coder_of: CoderOf | None = None,
        is_unused: IsUnused | None = None,
    ) -> Generator[ColumnBlock, None, None]:
        """Blocks of the columns, of which those that ``categories`` names are not taken for numbers.

        Errors do not propose to make features of those that ``no_features`` names, such as the label. A reader that can
        has texts coded by ``coder_of`` while it reads them. Of columns that ``is_unused`` names it may
        give anything, and whatever they hold is no error.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A file format.

    Attributes:
        name: what options call it.
        suffixes: of files' names, in lower case.
        streams: whether it can be read from a pipe, and written to one.
        weights: which records may have a weight: ``each`` by itself, ``all`` or none of a file, or ``no`` record, for
            the format has no place for it.
        seeks: whether it can be read from the end of a block on, as the option ``start`` says. The blocks' ends tell
            offset and line then; records are counted by whoever reads.
        width_varies: whether blocks of one source may differ in width where ``feature_dim`` is not given.
        read: the records of a source, in blocks of bounded size.
        write: writes blocks of equal width to an open file.
        read_columns: the columns of a source as they are, where columns have names.
    """

    name: str
    suffixes: tuple[str, ...]
    streams: bool
    weights: Literal["each", "all", "no"]
    seeks: bool = False
    width_varies: bool = False
    read: Callable[[Source, ReadOptions], Generator[RecordBlock, None, None]]
    write: Callable[[BinaryIO, Iterable[RecordBlock], WriteOptions], None]
    read_columns: ColumnReader | None = None
