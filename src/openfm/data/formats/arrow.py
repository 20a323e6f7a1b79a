"""Tables of Apache Arrow to blocks and back: for Parquet, and for the tables of pandas, polars and Arrow itself.

The package pyarrow is imported when the first table is met, and not before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from openfm.data.formats.columns import block_of_array, check_width, column_names, column_roles, dense_array
from openfm.data.formats.format import ReadOptions
from openfm.data.formats.source import Source
from openfm.data.formats.typed import Categories, ColumnBlock, TypedColumn, Unreadable
from openfm.data.records import RecordBlock
from openfm.errors import CustomerError

if TYPE_CHECKING:
    import pyarrow

__all__ = ["ROWS_OF_A_BATCH", "column_block", "import_pyarrow", "read_batches", "record_batch"]

ROWS_OF_A_BATCH = 16384
"""How many rows of a table are taken at a time."""


def import_pyarrow() -> ModuleType:
    """The package pyarrow.

    Raises:
        CustomerError: it is not installed; the message says how to install it.
    """
    try:
        import pyarrow
    except ModuleNotFoundError as error:
        raise CustomerError(
            "Parquet and tables need the package 'pyarrow', which is not installed. Install it with "
            "pip install 'openfm[tables]'."
        ) from error
    found: ModuleType = pyarrow
    return found


def read_batches(
    batches: Iterable[pyarrow.RecordBatch], names: list[str], source: Source, options: ReadOptions
) -> Iterator[RecordBlock]:
    """Tables' batches as blocks of records: target and weight aside, the columns in their order are the features.

    Args:
        batches: with the columns ``names``, which all are numbers or booleans.
        names: of the columns.
        source: for errors.
        options: ``target``, ``weight``, ``feature_dim`` and ``start`` are looked at.

    Raises:
        DataError: a column is not of numbers, a value is missing or not finite, or a weight is below 0; names row and
            column.
    """
    roles = column_roles(options, names, source)
    check_width(len(names) - len(roles), options.feature_dim, source)
    first_row = options.start.record
    for batch in batches:
        columns = [_numbers(batch.column(i), name, first_row, source) for i, name in enumerate(names)]
        labels = None if roles.target is None else columns[roles.target]
        weights = None
        if roles.weight is not None:
            weights = _weights(columns[roles.weight], names[roles.weight], first_row, source)
        features = [column for i, column in enumerate(columns) if i not in roles]
        array = np.empty((batch.num_rows, len(features)), dtype=np.float32)
        for i, column in enumerate(features):
            array[:, i] = column
        if batch.num_rows:
            yield block_of_array(array, labels, weights)
        first_row += batch.num_rows


def record_batch(block: RecordBlock, target: str, weight: str) -> pyarrow.RecordBatch:
    """A block as a batch of float32 columns: label and weight, if they are there, then ``f0``, ``f1`` ...

    Raises:
        DataError: there are too many features for a table.
    """
    pyarrow = import_pyarrow()
    names = column_names(
        block.rows.feature_dim, None if block.labels is None else target, None if block.weights is None else weight
    )
    columns = [column for column in (block.labels, block.weights) if column is not None]
    columns.extend(np.ascontiguousarray(dense_array(block).T))
    return pyarrow.RecordBatch.from_arrays([pyarrow.array(column) for column in columns], names=names)


def column_block(batch: pyarrow.RecordBatch, names: list[str], categories: Collection[str]) -> ColumnBlock:
    """A batch's columns as they are: numbers and booleans are numbers unless ``categories`` names them, all else not.

    An empty text is missing. A column whose type has no text, such as lists, is unreadable.
    """
    columns = {name: _typed(batch.column(i), is_category=name in categories) for i, name in enumerate(names)}
    return ColumnBlock(columns, batch.num_rows)


def _typed(column: Any, *, is_category: bool) -> TypedColumn:
    pyarrow = import_pyarrow()
    kind = column.type
    is_number = pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind) or pyarrow.types.is_decimal(kind)
    if (is_number or pyarrow.types.is_boolean(kind)) and not is_category:
        # Whole numbers beyond 2^53 are rounded, as those of text are.
        numbers: npt.NDArray[np.float64] = column.cast(pyarrow.float64(), safe=False).to_numpy(zero_copy_only=False)
        return numbers
    try:
        encoded = _without_empty(column.cast(pyarrow.large_string())).dictionary_encode()
    except pyarrow.ArrowException:  # there is no text of lists; of bytes there is only if they are UTF-8
        return Unreadable(str(kind))
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    texts = (
        encoded.dictionary
    )  # as Arrow lays large_string out: int64 offsets, and the bytes, of which it may be a slice
    _, offsets_buffer, data = texts.buffers()
    if not len(texts):
        return Categories(codes, np.zeros(1, dtype=np.int64), np.empty(0, dtype=np.uint8))
    offsets = np.frombuffer(offsets_buffer, dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
    utf8 = np.frombuffer(data, dtype=np.uint8) if data is not None else np.empty(0, dtype=np.uint8)
    return Categories(codes, offsets - offsets[0], utf8[offsets[0] : offsets[-1]])


def _without_empty(texts: Any) -> Any:
    """The texts, of which empty ones are missing, as empty fields of CSV are."""
    pyarrow = import_pyarrow()
    from pyarrow import compute

    are_empty = compute.equal(texts, "")
    if not compute.any(are_empty).as_py():
        return texts
    return compute.if_else(are_empty, pyarrow.scalar(None, texts.type), texts)


def _weights(column: npt.NDArray[np.float32], name: str, first_row: int, source: Source) -> npt.NDArray[np.float32]:
    if (column < 0).any():
        row = int(np.argmax(column < 0))
        raise source.error(
            f"Row {first_row + row} of {source.name} holds {column[row]} in column '{name}', where a weight of at "
            "least 0 is needed. Correct it."
        )
    return column + np.float32(0)  # of -0.0 comes 0


def _numbers(column: Any, name: str, first_row: int, source: Source) -> npt.NDArray[np.float32]:
    """A column as float32, shape (rows,)."""
    pyarrow = import_pyarrow()
    kind = column.type
    if not (
        pyarrow.types.is_integer(kind)
        or pyarrow.types.is_floating(kind)
        or pyarrow.types.is_decimal(kind)
        or pyarrow.types.is_boolean(kind)
    ):
        raise source.error(
            f"Column '{name}' of {source.name} is of the type {kind}, where numbers are needed. "
            "Turn it into numbers, or leave it out."
        )
    if column.null_count:
        row = first_row + int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
        raise source.error(
            f"Row {row} of {source.name} has no value in column '{name}'. Fill it in; 0 says that a feature is absent."
        )
    values = column.to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):  # what is too large becomes infinity, which is refused
        numbers = np.ascontiguousarray(values.astype(np.float32, copy=False))
    finite = np.isfinite(numbers)
    if not finite.all():
        row = int(np.argmin(finite))
        raise source.error(
            f"Row {first_row + row} of {source.name} holds {values[row]} in column '{name}', which is not a finite "
            "float32. Correct the value, or remove the row."
        )
    return numbers
