"""Tables of raw values as records: what an encoder is fitted on, and what it makes of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from functools import partial

import numpy as np
import numpy.typing as npt

from openfm.data.ahead import run_ahead
from openfm.data.formats.format import Format
from openfm.data.formats.source import Source
from openfm.data.formats.typed import Categories, ColumnBlock
from openfm.data.records import RecordBlock
from openfm.encoding.encoder import ColumnEncoder
from openfm.errors import DataError

__all__ = ["column_blocks", "encoded_records", "fit_table", "numbers_of"]


def column_blocks(source: Source, format: Format, categories: Collection[str]) -> Iterator[ColumnBlock]:
    """The columns of a table as they are.

    Args:
        source: the table.
        format: its format.
        categories: columns that hold categories, whatever they look like.

    Raises:
        DataError: the format has no named columns, or the table cannot be read.
    """
    if format.read_columns is None:
        raise source.error(f"{source.name} is {format.name}, which has no named columns. Give csv, tsv or parquet.")
    if source.path is None and not format.streams:
        raise source.error(f"{format.name} is read from a file only, not from a stream. Give a file.")
    read = partial(format.read_columns, source, categories=frozenset(categories))
    return run_ahead(lambda _: read(), threads=2)  # parsing needs no GIL


def fit_table(
    source: Source,
    format: Format,
    *,
    target: str | None = None,
    weight: str | None = None,
    categorical: Collection[str] = (),
    hashed: Mapping[str, int] | None = None,
    ignored: Collection[str] = (),
) -> ColumnEncoder:
    """Fit an encoder on a table, which is read once: see :meth:`openfm.encoding.ColumnEncoder.fit`.

    Raises:
        DataError: the table cannot be read, or no encoder can be fitted on it.
    """
    hashed = hashed or {}
    blocks = column_blocks(source, format, {*categorical, *hashed})
    try:
        return ColumnEncoder.fit(
            blocks, target=target, weight=weight, categorical=categorical, hashed=hashed, ignored=ignored
        )
    except DataError as error:
        raise _named(source, error) from error


def encoded_records(
    source: Source,
    format: Format,
    encoder: ColumnEncoder,
    *,
    target: str | None = None,
    unseen: Counter[str] | None = None,
) -> Iterator[RecordBlock]:
    """A table's rows, encoded, in blocks of bounded size.

    Args:
        source: the table.
        format: its format.
        encoder: makes features of its columns.
        target: the column of the labels; None: there are none.
        unseen: is given, for each column, the number of rows whose value no feature stands for.

    Raises:
        DataError: the table cannot be read or does not fit the encoder, or a label is missing or not finite.
    """
    row = 0
    for block in column_blocks(source, format, encoder.text_columns):
        try:
            encoded = encoder.encode(block, first_row=row)
            labels = None if target is None else numbers_of(block, target, "label", first_row=row)
        except DataError as error:
            raise _named(source, error) from error
        if unseen is not None:
            unseen.update(encoded.unseen)
        row += block.rows
        if block.rows:
            yield RecordBlock(encoded.rows, labels, dense_records=0)


def numbers_of(block: ColumnBlock, name: str, what: str, *, first_row: int = 0) -> npt.NDArray[np.float32]:
    """A column of finite numbers, such as the labels: float32, shape (rows,).

    Args:
        block: the rows.
        name: of the column.
        what: what each number is, for errors, such as ``label``.
        first_row: the number of the block's first row, for errors.

    Raises:
        DataError: there is no such column, it holds texts, or a number is missing or not finite as float32.
    """
    column = block.columns.get(name)
    if column is None:
        raise DataError(f"The table has no column '{name}' for the {what}s.")
    if isinstance(column, Categories):
        raise DataError(f"Column '{name}' holds texts, but the {what}s must be numbers, such as 0 and 1.")
    with np.errstate(over="ignore"):
        numbers: npt.NDArray[np.float32] = column.astype(np.float32)
    finite = np.isfinite(numbers)
    if not finite.all():
        row = int(np.argmin(finite))
        held = "no value" if np.isnan(column[row]) else f"{column[row]:g}"
        raise DataError(
            f"Row {first_row + row} has {held} in column '{name}', which is no {what}. Correct or remove it."
        )
    return numbers


def _named(source: Source, error: DataError) -> DataError:
    """The same error with the table's name, for those that say no place but a row or a column."""
    return source.error(f"{source.name}: {error.message}") if source.name not in error.message else error
