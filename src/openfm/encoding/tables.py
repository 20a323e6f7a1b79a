"""Tables of raw values as records: what an encoder is fitted on, and what it makes of them."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import IO, TypeVar

import numpy as np
import numpy.typing as npt

from openfm.data.ahead import run_ahead
from openfm.data.formats.format import Format
from openfm.data.formats.source import Source
from openfm.data.formats.typed import CoderOf, ColumnBlock, IsUnused, readable
from openfm.data.records import RecordBlock
from openfm.encoding.columns import ColumnValueError, NumberColumn
from openfm.encoding.encoder import ColumnEncoder, Kept, coder_of, encode_kept, fit_and_keep
from openfm.encoding.roles import Roles
from openfm.errors import DataError

__all__ = [
    "column_blocks",
    "encoded_records",
    "fit_and_encode",
    "fit_table",
    "numbers_of",
    "unused_by",
    "weights_of",
]


AnyScalar = TypeVar("AnyScalar", np.float64, np.float32, np.int32)


def column_blocks(
    source: Source,
    format: Format,
    categories: Collection[str],
    coder_of: CoderOf | None = None,
    *,
    no_features: Collection[str | None] = (),
    is_unused: IsUnused | None = None,
) -> Generator[ColumnBlock, None, None]:
    """The columns of a table as they are. Who stops before the end closes the iterator, which ends the reading.

    Args:
        source: the table.
        format: its format.
        categories: columns that hold categories, whatever they look like.
        coder_of: gives the texts of each column their codes, where the format's reader can ask it.
        no_features: columns that are something else, such as the label, for errors; None stands for none.
        is_unused: names columns that nobody looks at, whatever they hold; None: there are none.

    Raises:
        DataError: the format has no named columns, or the table cannot be read.
    """
    if format.read_columns is None:
        raise source.error(f"{source.name} is {format.name}, which has no named columns. Give csv, tsv or parquet.")
    if source.path is None and not format.streams:
        raise source.error(f"{format.name} is read from a file only, not from a stream. Give a file.")
    others = frozenset(name for name in no_features if name is not None)
    read = partial(
        format.read_columns,
        source,
        categories=frozenset(categories),
        no_features=others,
        coder_of=coder_of,
        is_unused=is_unused,
    )
    return run_ahead(lambda _: read(), threads=2)  # parsing needs no GIL


def unused_by(encoder: ColumnEncoder, *others: str | None) -> IsUnused:
    """Tells the columns of a table at which nobody looks while it is encoded: neither the encoder's nor the others."""
    used = {*(column.name for column in encoder.columns), *others}
    return lambda name: name not in used


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
    roles = Roles(target, weight, categorical, hashed or {}, ignored)
    try:
        with closing(_blocks_of(roles, source, format)) as blocks:
            return fit_and_keep(blocks, roles)
    except DataError as error:
        raise _named(source, error) from error


def encoded_records(
    source: Source,
    format: Format,
    encoder: ColumnEncoder,
    *,
    target: str | None = None,
    weight: str | None = None,
    unseen: Counter[str] | None = None,
) -> Iterator[RecordBlock]:
    """A table's rows, encoded, in blocks of bounded size.

    Args:
        source: the table.
        format: its format.
        encoder: makes features of its columns.
        target: the column of the labels; None: there are none.
        weight: the column of the records' weights; None: there are none.
        unseen: is given, for each column, the number of rows whose value no feature stands for.

    Raises:
        DataError: the table cannot be read or does not fit the encoder, a label or weight is missing or not
            finite, or a weight is below 0.
    """
    row = 0
    blocks = column_blocks(
        source,
        format,
        encoder.text_columns,
        partial(coder_of, encoder),
        no_features=(target, weight),
        is_unused=unused_by(encoder, target, weight),
    )
    with closing(blocks):
        for block in blocks:
            try:
                encoded = encoder.encode(block, first_row=row)
                labels = None if target is None else numbers_of(block, target, "label", first_row=row)
                weights = None if weight is None else weights_of(block, weight, first_row=row)
            except DataError as error:
                raise _named(source, error) from error
            if unseen is not None:
                unseen.update(encoded.unseen)
            row += block.rows
            if block.rows:
                yield RecordBlock(encoded.rows, labels, dense_records=0, weights=weights)


def fit_and_encode(
    source: Source,
    format: Format,
    *,
    target: str | None = None,
    weight: str | None = None,
    categorical: Collection[str] = (),
    hashed: Mapping[str, int] | None = None,
    ignored: Collection[str] = (),
) -> tuple[ColumnEncoder, Iterator[RecordBlock]]:
    """Fit an encoder on a table, and encode the table by it: both, though it is read once.

    What the rows are to be made of is kept in a temporary file meanwhile, 4 bytes for each text, label and weight and
    8 for each number.

    Args:
        source: the table, which may be a stream.
        format: its format.
        target: the column of the labels; None: there are none.
        weight: the column of the records' weights; None: there are none.
        categorical: as for :meth:`openfm.encoding.ColumnEncoder.fit`, as are the others.
        hashed: likewise.
        ignored: likewise.

    Returns:
        the encoder, and the records, as :func:`encoded_records` gives them.

    Raises:
        DataError: as :func:`fit_table` and :func:`encoded_records`.
        OSError: the temporary file cannot be written.
    """
    roles = Roles(target, weight, categorical, hashed or {}, ignored)
    kept = _KeptTable(target, weight)
    try:
        with closing(_blocks_of(roles, source, format)) as blocks:
            encoder = fit_and_keep(blocks, roles, kept.add)
    except BaseException as error:
        kept.close()
        if isinstance(error, DataError):
            raise _named(source, error) from error
        raise
    return encoder, run_ahead(lambda _: kept.records(encoder, source), threads=2)


def _blocks_of(roles: Roles, source: Source, format: Format) -> Generator[ColumnBlock, None, None]:
    return column_blocks(
        source,
        format,
        roles.categories,
        roles.coder_of,
        no_features=roles.no_features,
        is_unused=roles.ignored.__contains__,
    )


class _KeptTable:
    """A table that an encoder is fitted on, kept in a temporary file until the encoder is there."""

    def __init__(self, target: str | None, weight: str | None) -> None:
        self._target, self._weight = target, weight
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._rows: list[int] = []  # of each block

    def close(self) -> None:
        """Forget all."""
        self._file.close()

    def add(self, block: ColumnBlock, kept: Sequence[Kept]) -> None:
        """Keep a block's columns, its labels and weights."""
        arrays: list[Kept | npt.NDArray[np.float32]] = list(kept)
        if self._target is not None:
            arrays.append(numbers_of(block, self._target, "label", first_row=sum(self._rows)))
        if self._weight is not None:
            arrays.append(weights_of(block, self._weight, first_row=sum(self._rows)))
        for array in arrays:
            self._file.write(np.ascontiguousarray(array).data)
        self._rows.append(block.rows)

    def records(self, encoder: ColumnEncoder, source: Source) -> Generator[RecordBlock, None, None]:
        """What was kept, encoded. It is gone then."""
        row = 0
        with self._file as file:
            file.seek(0)
            for rows in self._rows:
                kept: list[Kept] = [
                    _read(file, rows, np.float64) if isinstance(column, NumberColumn) else _read(file, rows, np.int32)
                    for column in encoder.columns
                ]
                labels = None if self._target is None else _read(file, rows, np.float32)
                weights = None if self._weight is None else _read(file, rows, np.float32)
                try:
                    encoded = encode_kept(encoder, kept, first_row=row)
                    yield RecordBlock(encoded, labels, dense_records=0, weights=weights)
                except ColumnValueError as error:
                    raise _named(source, error) from error
                row += rows


def _read(file: IO[bytes], count: int, dtype: type[AnyScalar]) -> npt.NDArray[AnyScalar]:
    size = count * np.dtype(dtype).itemsize
    data = file.read(size)
    assert len(data) == size
    return np.frombuffer(data, dtype=dtype)


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
    column = readable(column, name)
    if not isinstance(column, np.ndarray):
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


def weights_of(block: ColumnBlock, name: str, *, first_row: int = 0) -> npt.NDArray[np.float32]:
    """A column of weights: float32, shape (rows,), each finite and at least 0.

    Args:
        block: the rows.
        name: of the column.
        first_row: the number of the block's first row, for errors.

    Raises:
        DataError: as :func:`numbers_of`, or a weight is below 0.
    """
    weights = numbers_of(block, name, "weight", first_row=first_row)
    if (weights < 0).any():
        row = int(np.argmax(weights < 0))
        raise DataError(
            f"Row {first_row + row} has {weights[row]:g} in column '{name}', where a weight of at least 0 is needed. "
            "Correct it."
        )
    return weights + np.float32(0)  # of -0.0 comes 0


def _named(source: Source, error: DataError) -> DataError:
    """The same error with the table's name, for those that say no place but a row or a column."""
    return source.error(f"{source.name}: {error.message}") if source.name not in error.message else error
