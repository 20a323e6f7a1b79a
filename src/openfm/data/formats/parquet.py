"""Parquet, of number columns: one is the label, the others in their order the features. pyarrow reads and writes it."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable
from typing import BinaryIO

from openfm.data.formats.arrow import ROWS_OF_A_BATCH, column_block, import_pyarrow, read_batches, record_batch
from openfm.data.formats.format import Format, ReadOptions, WriteOptions
from openfm.data.formats.source import Source
from openfm.data.formats.typed import ColumnBlock
from openfm.data.records import RecordBlock

__all__ = ["PARQUET"]


def _read(source: Source, options: ReadOptions) -> Generator[RecordBlock, None, None]:
    pyarrow = import_pyarrow()
    from pyarrow.parquet import ParquetFile

    assert source.path is not None  # the format does not stream
    try:
        with ParquetFile(source.path, memory_map=True) as file:
            names = file.schema_arrow.names
            yield from read_batches(file.iter_batches(ROWS_OF_A_BATCH), names, source, options)
    except pyarrow.ArrowException as error:
        raise source.error(f"{source.name} cannot be read as Parquet: {error}. Write the file again.") from error


def _write(file: BinaryIO, blocks: Iterable[RecordBlock], options: WriteOptions) -> None:
    import_pyarrow()
    from pyarrow.parquet import ParquetWriter

    writer = None
    try:
        for block in blocks:
            batch = record_batch(block, options.target)
            if writer is None:
                writer = ParquetWriter(file, batch.schema)
            writer.write_batch(batch)
    finally:
        if writer is not None:
            writer.close()


def _read_columns(source: Source, *, categories: Collection[str] = ()) -> Generator[ColumnBlock, None, None]:
    """Reads Parquet: numbers and booleans are numbers unless ``categories`` names their column, all else categories.

    Raises:
        DataError: it is no Parquet, or a column's type has no text, such as lists.
        CustomerError: pyarrow is not installed.
    """
    pyarrow = import_pyarrow()
    from pyarrow.parquet import ParquetFile

    assert source.path is not None  # the format does not stream
    try:
        with ParquetFile(source.path, memory_map=True) as file:
            names = file.schema_arrow.names
            for batch in file.iter_batches(ROWS_OF_A_BATCH):
                yield column_block(batch, names, categories)
    except pyarrow.ArrowException as error:
        raise source.error(f"{source.name} cannot be read as Parquet: {error}. Write the file again.") from error


PARQUET = Format(
    name="parquet",
    suffixes=(".parquet", ".pq"),
    streams=False,
    read=_read,
    write=_write,
    read_columns=_read_columns,
)
"""Apache Parquet."""
