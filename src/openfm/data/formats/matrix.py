"""Matrices in memory, or mapped into it, as blocks of records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from openfm.data.records import RecordBlock
from openfm.data.weights import checked_weights
from openfm.errors import DataError
from openfm.fm.matrices import as_rows

__all__ = ["block_of_matrix", "labels_of_array", "matrix_blocks"]

_VALUES_OF_A_BLOCK = 2**21


def matrix_blocks(X: Any, y: Any, *, name: str, weights: Any = None) -> Iterator[RecordBlock]:
    """The rows of a matrix in blocks of about two million values.

    Args:
        X: shape (n, feature_dim): a CSR matrix of SciPy or a two-dimensional array.
        y: the labels, shape (n,); None for none.
        name: what the data are called, for errors.
        weights: shape (n,); None for none.

    Raises:
        DataError: it is not two-dimensional or not numeric, a value is not finite as float32, a weight is below 0, or
            there are not as many labels or weights as rows.
    """
    if len(X.shape) != 2:
        raise DataError(f"{name} has {len(X.shape)} dimension(s), where two are needed: rows and features.")
    count, width = X.shape
    labels = None if y is None else labels_of_array(np.asarray(y), count, name)
    factors = None if weights is None else checked_weights(weights, count, f"weights of {name}")
    per_row = X.nnz // max(count, 1) if hasattr(X, "tocsr") else width
    step = max(1, _VALUES_OF_A_BLOCK // max(per_row, 1))
    for start in range(0, count, step):
        part = slice(start, min(start + step, count))
        yield block_of_matrix(
            X[part],
            None if labels is None else labels[part],
            first_row=start,
            name=name,
            weights=None if factors is None else factors[part],
        )


def block_of_matrix(
    X: Any,
    labels: npt.NDArray[np.float32] | None,
    *,
    first_row: int,
    name: str,
    weights: npt.NDArray[np.float32] | None = None,
) -> RecordBlock:
    """Rows of a CSR matrix or an array as one block; ``first_row`` is the number of the first, for errors.

    Raises:
        DataError: it is not numeric, or a value is not finite as float32; names row and column.
    """
    sparse = hasattr(X, "tocsr")
    values = X.data if sparse else X
    if values.dtype.kind not in "biuf":
        raise DataError(f"{name} holds {values.dtype} values, where numbers are needed.")
    if values.dtype.kind == "f" and not _is_finite(values):
        finite = np.abs(X.toarray() if sparse else X) <= np.finfo(np.float32).max
        row, column = np.argwhere(~finite)[0]
        raise DataError(
            f"Row {first_row + row}, column {column} of {name} is missing (NaN), infinite or too large for float32. "
            "Correct the value, or remove the row."
        )
    return RecordBlock(as_rows(X, X.shape[1]), labels, dense_records=0 if sparse else X.shape[0], weights=weights)


def _is_finite(values: npt.NDArray[Any]) -> bool:
    with np.errstate(over="ignore"):
        return bool(np.isfinite(values.astype(np.float32, copy=False)).all())


def labels_of_array(y: npt.NDArray[Any], rows: int, name: str) -> npt.NDArray[np.float32]:
    """Labels as float32, shape (rows,).

    Raises:
        DataError: they are of another shape, not numeric, or not finite as float32.
    """
    if y.shape not in {(rows,), (rows, 1)}:
        raise DataError(f"The labels of {name} have the shape {y.shape}, where ({rows},) is needed: one label a row.")
    if y.dtype.kind not in "biuf":
        raise DataError(f"The labels of {name} are {y.dtype} values, where numbers are needed.")
    with np.errstate(over="ignore"):
        labels = y.reshape(rows).astype(np.float32)
    finite = np.isfinite(labels)
    if not finite.all():
        row = int(np.argmin(finite))
        raise DataError(
            f"The label of row {row} of {name} is {y.flat[row]}, which is not a finite float32. Correct it."
        )
    return labels
