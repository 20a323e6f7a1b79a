"""Tables of pandas, polars and Arrow in memory, and back."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from openfm.data.formats.arrow import ROWS_OF_A_BATCH, column_block, import_pyarrow, read_batches, record_batch
from openfm.data.formats.format import ReadOptions
from openfm.data.formats.matrix import matrix_blocks
from openfm.data.formats.source import Source
from openfm.data.formats.typed import ColumnBlock
from openfm.data.records import Labelled, RecordBlock, Weighted
from openfm.data.weights import joined_weights
from openfm.errors import DataError
from openfm.fm.rows import SparseRows

if TYPE_CHECKING:
    import pyarrow

__all__ = ["from_table", "table_columns", "to_table"]


@overload
def from_table(
    table: Any,
    *,
    target: str | int | None = None,
    weight: str | int | None = None,
    return_weights: Literal[False] = False,
) -> Labelled: ...
@overload
def from_table(
    table: Any, *, target: str | int | None = None, weight: str | int | None = None, return_weights: Literal[True]
) -> Weighted: ...
def from_table(
    table: Any, *, target: str | int | None = None, weight: str | int | None = None, return_weights: bool = False
) -> Labelled | Weighted:
    """Takes a table's columns of numbers as features, and one of them as the labels.

    Args:
        table: a pandas or polars DataFrame, a table or record batch of pyarrow, or anything else that exports Arrow's C
            stream. The index of a DataFrame is not looked at.
        target: the label's column, by name or by number from 0. By default there are no labels.
        weight: the column of the records' weights, likewise; it is no feature.
        return_weights: whether to return the weights too.

    Returns:
        X, float32 of shape (rows, features) without stored zeros, its columns in the table's order without target and
        weight, and y, float32 of shape (rows,), or None where there are no labels. With ``return_weights`` also the
        weights, float32 of shape (rows,), or None where there are none.

    Raises:
        DataError: it is no table, there is no such column, a column is not of numbers, a value is missing or not
            finite as float32, or a weight is below 0; names row and column.
        CustomerError: pyarrow is not installed.
    """
    arrow = _arrow_table(table)
    # Some columns come in chunks that differ in length; a batch is as long as the shortest.
    batches = arrow.to_batches(max_chunksize=ROWS_OF_A_BATCH)
    source = Source("the table", None, _no_stream)
    options = ReadOptions(target=target, weight=weight)
    blocks = list(read_batches(batches, arrow.schema.names, source, options))
    if not blocks:
        raise DataError("The table has no rows. Give at least one.")
    rows = SparseRows.concatenate([block.rows for block in blocks])
    labels = [block.labels for block in blocks if block.labels is not None]
    X, y = rows.to_scipy(), np.concatenate(labels) if labels else None
    if not return_weights:
        return X, y
    return X, y, joined_weights([(block.weights, len(block)) for block in blocks])


def table_columns(table: Any, *, categories: Collection[str] = ()) -> Iterator[ColumnBlock]:
    """A table's columns as they are, numbers and texts: what :class:`openfm.ColumnEncoder` is fitted on and encodes.

    Args:
        table: as for :func:`from_table`.
        categories: columns of numbers or booleans to be taken as texts, such as ids.

    Yields:
        consecutive rows; numbers and booleans are float64, all else is text. A column whose type has no text, such as
        lists, is an error where it is used: an encoder can be told to ignore it.

    Raises:
        DataError: it is no table.
        CustomerError: pyarrow is not installed.
    """
    arrow = _arrow_table(table)
    for batch in arrow.to_batches(max_chunksize=ROWS_OF_A_BATCH):
        yield column_block(batch, arrow.schema.names, categories)


def to_table(
    X: Any, y: Any = None, *, target: str = "label", weights: Any = None, weight: str = "weight"
) -> pyarrow.Table:
    """Makes a table of Arrow from a matrix; its ``to_pandas()`` and ``polars.from_arrow`` make DataFrames from it.

    Args:
        X: shape (n, features): a SciPy sparse matrix, or anything that NumPy takes for a two-dimensional array.
        y: the labels, shape (n,), which become the first column; None for none.
        target: what the label's column is called.
        weights: the records' weights, shape (n,), at least 0, which become the next column; None for none.
        weight: what the weights' column is called.

    Returns:
        float32 columns: label and weight, if they are there, then ``f0``, ``f1`` ...

    Raises:
        DataError: there are too many features for a table, a value is not finite as float32, or a weight is below 0.
        CustomerError: pyarrow is not installed.
    """
    pyarrow = import_pyarrow()
    matrix = X.tocsr() if hasattr(X, "tocsr") else np.asarray(X)
    blocks: Iterator[RecordBlock] = matrix_blocks(matrix, y, name="X", weights=weights)
    batches = [record_batch(block, target, weight) for block in blocks]
    if not batches:
        raise DataError("X has no rows. Give at least one.")
    return pyarrow.Table.from_batches(batches)


def _arrow_table(table: Any) -> Any:
    pyarrow = import_pyarrow()
    try:
        if type(table).__module__.partition(".")[0] == "pandas":
            return pyarrow.Table.from_pandas(table, preserve_index=False)
        return pyarrow.table(table)
    except (TypeError, ValueError) as error:  # of the same name in pyarrow too: ArrowTypeError, ArrowInvalid
        raise DataError(f"A {type(table).__name__} cannot be taken as a table: {error}.") from error


def _no_stream(*, offset: int = 0) -> Any:
    raise AssertionError("a table in memory is not opened")
