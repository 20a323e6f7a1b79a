"""Tables of pandas, polars and Arrow in memory, and back."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from openfm.data.formats.arrow import ROWS_OF_A_BATCH, column_block, import_pyarrow, read_batches, record_batch
from openfm.data.formats.format import ReadOptions
from openfm.data.formats.matrix import matrix_blocks
from openfm.data.formats.source import Source
from openfm.data.formats.typed import ColumnBlock
from openfm.data.records import RecordBlock
from openfm.errors import DataError
from openfm.fm.rows import SparseRows

if TYPE_CHECKING:
    import pyarrow
    from scipy.sparse import csr_matrix

__all__ = ["from_table", "table_columns", "to_table"]


def from_table(table: Any, *, target: str | int | None = None) -> tuple[csr_matrix, npt.NDArray[np.float32] | None]:
    """Takes a table's columns of numbers as features, and one of them as the labels.

    Args:
        table: a pandas or polars DataFrame, a table or record batch of pyarrow, or anything else that exports Arrow's C
            stream. The index of a DataFrame is not looked at.
        target: the label's column, by name or by number from 0. By default there are no labels.

    Returns:
        X, float32 of shape (rows, features) without stored zeros, its columns in the table's order without the target,
        and y, float32 of shape (rows,), or None where there are no labels.

    Raises:
        DataError: it is no table, there is no such column, a column is not of numbers, or a value is missing or not
            finite as float32; names row and column.
        CustomerError: pyarrow is not installed.
    """
    arrow = _arrow_table(table)
    # Some columns come in chunks that differ in length; a batch is as long as the shortest.
    batches = arrow.to_batches(max_chunksize=ROWS_OF_A_BATCH)
    source = Source("the table", None, _no_stream)
    blocks = list(read_batches(batches, arrow.schema.names, source, ReadOptions(target=target)))
    if not blocks:
        raise DataError("The table has no rows. Give at least one.")
    rows = SparseRows.concatenate([block.rows for block in blocks])
    labels = [block.labels for block in blocks if block.labels is not None]
    return rows.to_scipy(), np.concatenate(labels) if labels else None


def table_columns(table: Any, *, categories: Collection[str] = ()) -> Iterator[ColumnBlock]:
    """A table's columns as they are, numbers and texts: what :class:`openfm.ColumnEncoder` is fitted on and encodes.

    Args:
        table: as for :func:`from_table`.
        categories: columns of numbers or booleans to be taken as texts, such as ids.

    Yields:
        consecutive rows; numbers and booleans are float64, all else is text.

    Raises:
        DataError: it is no table, or a column's type has no text, such as lists.
        CustomerError: pyarrow is not installed.
    """
    arrow = _arrow_table(table)
    pyarrow = import_pyarrow()
    try:
        for batch in arrow.to_batches(max_chunksize=ROWS_OF_A_BATCH):
            yield column_block(batch, arrow.schema.names, categories)
    except pyarrow.ArrowException as error:
        raise DataError(f"A column of the table can be taken neither as numbers nor as texts: {error}.") from error


def to_table(X: Any, y: Any = None, *, target: str = "label") -> pyarrow.Table:
    """Makes a table of Arrow from a matrix; its ``to_pandas()`` and ``polars.from_arrow`` make DataFrames from it.

    Args:
        X: shape (n, features): a SciPy sparse matrix, or anything that NumPy takes for a two-dimensional array.
        y: the labels, shape (n,), which become the first column; None for none.
        target: what the label's column is called.

    Returns:
        float32 columns: the label, if there are labels, then ``f0``, ``f1`` ...

    Raises:
        DataError: there are too many features for a table, or a value is not finite as float32.
        CustomerError: pyarrow is not installed.
    """
    pyarrow = import_pyarrow()
    blocks: Iterator[RecordBlock] = matrix_blocks(X.tocsr() if hasattr(X, "tocsr") else np.asarray(X), y, name="X")
    batches = [record_batch(block, target) for block in blocks]
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


def _no_stream() -> Any:
    raise AssertionError("a table in memory is not opened")
