"""Parquet, of number columns: a label, a weight and the features, in their order. pyarrow reads and writes it."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from openfm.data.formats.arrow import ROWS_OF_A_BATCH, column_block, import_pyarrow, read_batches, record_batch
from openfm.data.formats.format import Format, ReadOptions, WriteOptions
from openfm.data.formats.source import Source
from openfm.data.formats.typed import CoderOf, ColumnBlock, IsUnused
from openfm.data.records import RecordBlock

__all__ = ["PARQUET"]

_READ_AT_ONCE = 2**16
"""How many bytes of a column are read at a time; without a bound a column of a whole row group would be."""


def _read(source: Source, options: ReadOptions) -> Generator[RecordBlock, None, None]:
    with _opened(source, first_row=options.start.record, threads=options.threads) as (names, batches):
        yield from read_batches(batches, names, source, options)


@contextmanager
def _opened(
    source: Source, *, first_row: int = 0, threads: int | None = None
) -> Iterator[tuple[list[str], Iterator[Any]]]:
    """The columns' names and batches of rows from a row on, read in memory that does not grow with the file.

    Raises:
        DataError: it is no Parquet, or damaged; names the row.
        OSError: it cannot be read.
        CustomerError: pyarrow is not installed.
    """
    pyarrow = import_pyarrow()
    from pyarrow.parquet import ParquetFile

    assert source.path is not None  # the format does not stream
    if threads is not None:
        pyarrow.set_cpu_count(threads)
    rows = 0

    def batches(file: Any) -> Iterator[Any]:
        nonlocal rows
        groups = list(range(file.num_row_groups))
        while groups and rows + file.metadata.row_group(groups[0]).num_rows <= first_row:
            rows += file.metadata.row_group(groups.pop(0)).num_rows
        for batch in file.iter_batches(ROWS_OF_A_BATCH, row_groups=groups, use_threads=threads != 1):
            yield batch.slice(min(max(first_row - rows, 0), batch.num_rows))
            rows += batch.num_rows

    try:
        with ParquetFile(source.path, buffer_size=_READ_AT_ONCE, pre_buffer=False) as file:
            yield file.schema_arrow.names, batches(file)
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the system's, and not pyarrow's own
            raise
        place = f" from row {rows} on" if rows else ""
        raise source.error(f"{source.name} cannot be read as Parquet{place}: {error}. Write the file again.") from error


def _write(file: BinaryIO, blocks: Iterable[RecordBlock], options: WriteOptions) -> None:
    import_pyarrow()
    from pyarrow.parquet import ParquetWriter

    writer = None
    try:
        for block in blocks:
            batch = record_batch(block, options.target, options.weight)
            if writer is None:
                writer = ParquetWriter(file, batch.schema)
            writer.write_batch(batch)
    finally:
        if writer is not None:
            writer.close()


def _read_columns(
    source: Source,
    *,
    categories: Collection[str] = (),
    no_features: Collection[str] = (),
    coder_of: CoderOf | None = None,
    is_unused: IsUnused | None = None,
) -> Generator[ColumnBlock, None, None]:
    """Reads Parquet: numbers and booleans are numbers unless ``categories`` names their column, all else categories.

    pyarrow makes dictionaries of texts, so no coder is asked for any; and columns have types, so that in none of them,
    used or not, anything else comes later.

    Raises:
        DataError: it is no Parquet.
        CustomerError: pyarrow is not installed.
    """
    with _opened(source) as (names, batches):
        for batch in batches:
            yield column_block(batch, names, categories)


PARQUET = Format(
    name="parquet",
    suffixes=(".parquet", ".pq"),
    streams=False,
    weights="all",
    seeks=True,
    read=_read,
    write=_write,
    read_columns=_read_columns,
)
"""Apache Parquet."""
