"""Rows to recordIO-protobuf files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from openfm.data.weights import checked_weights
from openfm.errors import DataError
from openfm.fm.rows import MAX_FEATURE_DIM, SparseRows
from openfm.native import _core

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["encode_matrix", "encode_rows", "write_records"]

_Encode = Callable[[int, int], memoryview]
"""Framed records of the rows from one to another."""

_SAFE_VALUES = 2**25
"""So many values fit into a record, whatever they are: each takes at most ten bytes, and its key five."""

_BLOCK_VALUES = 2**17
"""About how many values are encoded at a time: their records stay in the processor's caches until they are written."""


def write_records(
    destination: str | os.PathLike[str] | BinaryIO,
    X: Any,
    y: Any = None,
    *,
    dense: bool | None = None,
    weights: Any = None,
) -> int:
    """Writes rows as records with Float32 tensors, the form that Factorization Machines train on.

    The bytes are those that the SageMaker SDK's writers give for the same rows in float32, sparse rows with sorted
    indices and duplicates summed (as SciPy reads them).

    Args:
        destination: a path, which is overwritten, or a file open for writing bytes.
        X: shape (n, feature_dim): a SciPy sparse matrix or array of any format, or anything that NumPy takes for a
            two-dimensional array. Integers, booleans and float64 are written as float32, rounded to the nearest.
        y: the labels, shape (n,), likewise; None writes records without labels.
        dense: whether to write dense records. By default sparse ones for a sparse X and dense ones for an array.
        weights: what each record's gradient is multiplied by, shape (n,), at least 0; None writes no weights. Amazon's
            container does not look at them.

    Returns:
        the number of records written.

    Raises:
        DataError: the shapes do not fit, a row is too long for a record, or a value is no number, is NaN, or is
            infinite as float32, or a weight is below 0: such records could be neither trained on nor scored. Nothing
            is written.
        OSError: the file cannot be written.
    """
    rows = _as_matrix(X)
    labels = None if y is None else _as_labels(y, rows.shape[0])
    factors = None if weights is None else checked_weights(weights, rows.shape[0], "weights")
    blocks = encode_matrix(rows, labels, dense=not _is_sparse(rows) if dense is None else dense, weights=factors)
    if isinstance(destination, str | os.PathLike):
        with Path(destination).open("wb") as stream:
            stream.writelines(blocks)
    else:
        for block in blocks:
            destination.write(block)
    return int(rows.shape[0])


def encode_matrix(
    rows: Any, labels: npt.NDArray[Any] | None, *, dense: bool, weights: npt.NDArray[np.float32] | None = None
) -> Iterator[memoryview]:
    """Framed records in blocks, each tensor in the type of its array.

    Args:
        rows: a CSR matrix or array, or a two-dimensional array; float32, float64 or int32.
        labels: shape (n,), float32, float64 or int32; or None.
        dense: whether to write dense records.
        weights: shape (n,), contiguous; or None.

    Raises:
        DataError: a row is too long for a record; raised before there is any block.
    """
    encode = _encoder(rows, None if labels is None else np.ascontiguousarray(labels), weights, dense=dense)
    stored = _is_sparse(rows) and not dense
    count, width = rows.shape
    _check_lengths(np.diff(rows.indptr) if stored else np.broadcast_to(width, count), encode)
    per_row = rows.nnz // max(count, 1) if stored else width
    step = max(1, _BLOCK_VALUES // max(per_row, 1))
    return (encode(start, min(start + step, count)) for start in range(0, count, step))


def encode_rows(
    rows: SparseRows, labels: npt.NDArray[np.float32] | None, weights: npt.NDArray[np.float32] | None = None
) -> Iterator[memoryview]:
    """Framed sparse records in blocks: what :func:`encode_matrix` makes of the same rows, without SciPy.

    Raises:
        DataError: a row is too long for a record; raised before there is any block.
    """
    encode = _sparse_encoder(rows.indptr, rows.indices, rows.values, labels, weights, rows.feature_dim)
    _check_lengths(np.diff(rows.indptr), encode)
    step = max(1, _BLOCK_VALUES // max(rows.nnz // max(len(rows), 1), 1))
    return (encode(start, min(start + step, len(rows))) for start in range(0, len(rows), step))


def _check_lengths(values: npt.NDArray[np.integer], encode: _Encode) -> None:
    """Encodes those rows that may be too long: their values and keys decide how long they become."""
    for row in np.flatnonzero(values > _SAFE_VALUES).tolist():
        try:
            encode(row, row + 1)
        except ValueError as error:
            raise DataError(
                f"Row {row} of X has {values[row]} values, too many for a record: {error}. "
                "Write fewer features, or sparse ones."
            ) from error


def _encoder(
    rows: Any, labels: npt.NDArray[Any] | None, weights: npt.NDArray[np.float32] | None, *, dense: bool
) -> _Encode:
    def dense_records(start: int, stop: int) -> memoryview:
        part = rows[start:stop]
        array = part.toarray() if _is_sparse(part) else part
        own_labels, own_weights = _part_of(labels, start, stop), _part_of(weights, start, stop)
        return _core.encode_dense(np.ascontiguousarray(array), own_labels, own_weights).data

    if dense:
        return dense_records

    csr = rows if _is_sparse(rows) else _to_csr(rows)
    indptr = np.ascontiguousarray(csr.indptr, dtype=np.int64)
    indices = np.ascontiguousarray(csr.indices, dtype=np.int32)
    return _sparse_encoder(indptr, indices, np.ascontiguousarray(csr.data), labels, weights, csr.shape[1])


def _sparse_encoder(
    indptr: npt.NDArray[np.int64],
    indices: npt.NDArray[np.int32],
    values: npt.NDArray[Any],
    labels: npt.NDArray[Any] | None,
    weights: npt.NDArray[np.float32] | None,
    feature_dim: int,
) -> _Encode:
    def sparse_records(start: int, stop: int) -> memoryview:
        part = indptr[start : stop + 1]
        own_labels, own_weights = _part_of(labels, start, stop), _part_of(weights, start, stop)
        return _core.encode_sparse(part, indices, values, own_labels, feature_dim, own_weights).data

    return sparse_records


def _part_of(array: npt.NDArray[Any] | None, start: int, stop: int) -> npt.NDArray[Any] | None:
    return None if array is None else array[start:stop]


def _to_csr(array: npt.NDArray[Any]) -> csr_matrix:
    from scipy.sparse import csr_matrix

    return csr_matrix(array)


def _is_sparse(rows: Any) -> bool:
    return hasattr(rows, "tocsr")


def _as_matrix(X: Any) -> Any:
    """X as a canonical float32 CSR matrix or a float32 array."""
    if not _is_sparse(X):
        array = _as_float32(np.asarray(X), "X")
        if array.ndim != 2:
            raise DataError(f"X must have two dimensions, rows and features, but has {array.ndim}.")
        return array
    if len(X.shape) != 2:
        raise DataError(f"X must have two dimensions, rows and features, but has {len(X.shape)}.")
    csr = X.tocsr()
    if csr.shape[1] > MAX_FEATURE_DIM:
        raise DataError(f"X has {csr.shape[1]} columns, but at most {MAX_FEATURE_DIM} can be indexed.")
    if not csr.has_canonical_format:
        csr = csr.copy()
        csr.sum_duplicates()
    values = _as_float32(csr.data, "X")
    return type(csr)((values, csr.indices, csr.indptr), shape=csr.shape, copy=False)


def _as_labels(y: Any, rows: int) -> npt.NDArray[np.float32]:
    labels = _as_float32(np.asarray(y), "y")
    if labels.shape != (rows,):
        raise DataError(f"y must have the shape ({rows},), one label a row of X, but has {labels.shape}.")
    return labels


def _as_float32(array: npt.NDArray[Any], name: str) -> npt.NDArray[np.float32]:
    if array.dtype.kind not in "fiub":
        raise DataError(f"{name} must hold real numbers, but its dtype is {array.dtype}.")
    with np.errstate(over="ignore"):
        converted = array.astype(np.float32, copy=False)
    finite = np.isfinite(converted)
    if not finite.all():
        first = np.argmin(finite)
        raise DataError(
            f"{name} holds {array.flat[first]}, which is not a finite float32 number. "
            "Please remove missing (NaN) and infinite values."
        )
    return converted
