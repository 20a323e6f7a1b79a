"""Sparse rows: the one form in which records reach the mathematics."""

from __future__ import annotations

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

    def to_scipy(self) -> csr_matrix:
        """The same rows as a SciPy CSR matrix of shape (rows, feature_dim), sharing memory."""
        from scipy.sparse import csr_matrix

        matrix = csr_matrix(
            (self.values, self.indices, self.indptr), shape=(len(self), self.feature_dim), copy=False
        )
        matrix.has_sorted_indices = True
        matrix.has_canonical_format = True
        return matrix
