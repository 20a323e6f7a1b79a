"""Sparse rows: the one form in which records reach the mathematics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["MAX_FEATURE_DIM", "SparseRows"]

MAX_FEATURE_DIM = 2**31 - 1
"""Feature indices are int32 in memory, so this is the widest input."""


@dataclass(frozen=True, slots=True)
class SparseRows:
    """Rows of a sparse float32 matrix (compressed sparse rows).

    Within a row the indices increase strictly and no value is zero: :mod:`openfm.data.records` and the codecs see to
    it, and the native kernels rely on it.

    Attributes:
        indptr: int64, shape (rows + 1,): row i is ``indices[indptr[i]:indptr[i + 1]]``. Starts at 0.
        indices: int32, shape (nnz,): 0-based feature indices, each < ``feature_dim``.
        values: float32, shape (nnz,): finite, non-zero.
        feature_dim: the number of columns.
    """

    indptr: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int32]
    values: npt.NDArray[np.float32]
    feature_dim: int

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def nnz(self) -> int:
        """The number of stored (non-zero) values."""
        return len(self.indices)

    @property
    def nbytes(self) -> int:
        """The bytes of memory that the rows take: 8 for each non-zero, and 8 for each row."""
        return self.indptr.nbytes + self.indices.nbytes + self.values.nbytes

    def slice(self, begin: int, end: int) -> SparseRows:
        """Rows ``begin`` to ``end`` (exclusive). Indices and values share memory."""
        first, last = self.indptr[begin], self.indptr[end]
        return SparseRows(
            self.indptr[begin : end + 1] - first,
            self.indices[first:last],
            self.values[first:last],
            self.feature_dim,
        )

    def take(self, rows: npt.NDArray[np.int64]) -> SparseRows:
        """The rows of these numbers, in this order (a copy)."""
        lengths = np.diff(self.indptr)[rows]
        indptr = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(lengths, out=indptr[1:])
        # Where each value comes from: its place within its row, counted from the row's old start.
        source = np.arange(indptr[-1]) + np.repeat(self.indptr[rows] - indptr[:-1], lengths)
        return SparseRows(indptr, self.indices[source], self.values[source], self.feature_dim)

    @staticmethod
    def none(feature_dim: int) -> SparseRows:
        """No rows."""
        return SparseRows(
            np.zeros(1, dtype=np.int64), np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32), feature_dim
        )

    @staticmethod
    def concatenate(parts: Sequence[SparseRows]) -> SparseRows:
        """All rows of ``parts`` (at least one, of equal width), one after the other, in memory of their own."""
        ends = np.cumsum([part.nnz for part in parts])
        shifted = [part.indptr[1:] + end - part.nnz for part, end in zip(parts, ends, strict=True)]
        return SparseRows(
            np.concatenate([np.zeros(1, dtype=np.int64), *shifted]),
            np.concatenate([part.indices for part in parts]),
            np.concatenate([part.values for part in parts]),
            parts[0].feature_dim,
        )

    def to_scipy(self) -> csr_matrix:
        """The same rows as a SciPy CSR matrix of shape (rows, feature_dim), sharing memory."""
        from scipy.sparse import csr_matrix

        matrix = csr_matrix((self.values, self.indices, self.indptr), shape=(len(self), self.feature_dim), copy=False)
        matrix.has_sorted_indices = True
        matrix.has_canonical_format = True
        return matrix
