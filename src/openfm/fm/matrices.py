"""From the matrices that people have to the rows that the mathematics takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from openfm.errors import DataError
from openfm.fm.rows import SparseRows

__all__ = ["as_rows"]


def as_rows(X: Any, feature_dim: int) -> SparseRows:
    """Take a matrix as rows; the matrix itself is never changed.

    Values become float32 and zeros (also those that a sparse matrix stores) are then dropped.
    Entries that a SciPy matrix stores twice are summed, as SciPy does.

    Args:
        X: a SciPy sparse matrix or array of any format, a two-dimensional array or nested list of
            numbers, or :class:`SparseRows`.
        feature_dim: the columns that it must have.

    Raises:
        DataError: it is of another width, not two-dimensional, not numeric, or holds a value that
            is not a finite float32.
    """
    if isinstance(X, SparseRows):
        _check_width(X.feature_dim, feature_dim)
        return X
    rows = _from_scipy(X, feature_dim) if hasattr(X, "tocsr") else _from_dense(X, feature_dim)
    finite = np.isfinite(rows.values)
    if not finite.all():
        index = int(np.argmin(finite))
        row = int(np.searchsorted(rows.indptr, index, side="right")) - 1
        raise DataError(
            f"the value in row {row}, column {rows.indices[index]} is not a finite float32 (NaN, "
            "infinite or too large): remove or replace it"
        )
    return rows


def _from_scipy(X: Any, feature_dim: int) -> SparseRows:
    if X.ndim != 2:
        raise DataError(f"X has {X.ndim} dimension(s); expected two, rows and {feature_dim} columns")
    _check_width(X.shape[1], feature_dim)
    _check_kind(X.dtype)
    csr = X.tocsr()
    if not csr.has_canonical_format:
        csr = csr.copy() if csr is X else csr
        csr.sum_duplicates()
    values = _to_float32(csr.data)
    indices = csr.indices.astype(np.int32, copy=False)
    indptr = csr.indptr.astype(np.int64, copy=False)
    keep = values != 0
    if keep.all():
        return SparseRows(indptr, indices, values, feature_dim)
    kept_before = np.concatenate(([0], np.cumsum(keep, dtype=np.int64)))
    return SparseRows(kept_before[indptr], indices[keep], values[keep], feature_dim)


def _from_dense(X: Any, feature_dim: int) -> SparseRows:
    try:
        array = np.asarray(X)
    except ValueError as error:
        raise DataError(f"X is not a matrix of numbers: {error}") from error
    if array.ndim != 2:
        remedy = "; write X[None, :] for a single row" if array.ndim == 1 else ""
        raise DataError(f"X has {array.ndim} dimension(s); expected two, rows and {feature_dim} columns{remedy}")
    _check_width(array.shape[1], feature_dim)
    _check_kind(array.dtype)
    values = _to_float32(array)
    occupied = values != 0
    indptr = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum(np.count_nonzero(occupied, axis=1), out=indptr[1:])
    return SparseRows(indptr, np.nonzero(occupied)[1].astype(np.int32), values[occupied], feature_dim)


def _to_float32(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what is too large becomes infinity, which is refused later
        return values.astype(np.float32, copy=False)


def _check_width(width: int, feature_dim: int) -> None:
    if width != feature_dim:
        raise DataError(f"X has {width} columns; the model takes {feature_dim} (its feature_dim)")


def _check_kind(dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "biuf":
        raise DataError(f"X holds {dtype} values; expected numbers")
