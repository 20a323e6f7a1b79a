"""The Factorization Machine: its parameters and its score.

    s(x) = w0 + sum_i w_i x_i + sum_{i<j} <v_i, v_j> x_i x_j

The pairwise sum is computed in time linear in the non-zeros (S. Rendle, *Factorization Machines*, ICDM 2010, lemma
3.1), as ``0.5 * (sum_f (sum_i v_if x_i)^2 - sum_i |v_i|^2 x_i^2)``.
"""

from __future__ import annotations

import enum
import functools

import numpy as np
import numpy.typing as npt

from openfm.fm.rows import SparseRows
from openfm.native import _core

__all__ = ["FactorizationMachine", "PredictorType", "predicted_labels"]


class PredictorType(enum.StrEnum):
    """What the machine predicts: the probability of label 1, or a number."""

    BINARY_CLASSIFIER = "binary_classifier"
    REGRESSOR = "regressor"


class FactorizationMachine:
    """A trained Factorization Machine. Immutable.

    Args:
        bias: w0.
        linear: w, shape (D,), cast to float32.
        factors: V, shape (D, k), cast to float32. Arrays that are float32 and C-contiguous are not copied, wherever
            they lie: they must not change while the machine lives.
        predictor_type: decides whether a score goes through the sigmoid.

    Raises:
        ValueError: the shapes of ``linear`` and ``factors`` do not fit each other.
    """

    def __init__(
        self,
        bias: float,
        linear: npt.ArrayLike,
        factors: npt.ArrayLike,
        predictor_type: PredictorType,
    ) -> None:
        self._bias = float(np.float32(bias))
        self._linear = _frozen(linear)
        self._factors = _frozen(factors)
        self._predictor_type = PredictorType(predictor_type)
        if (
            self._linear.ndim != 1
            or self._factors.ndim != 2
            or len(self._factors) != len(self._linear)
            or 0 in self._factors.shape
        ):
            raise ValueError(
                f"linear weights of shape {self._linear.shape} and factors of shape {self._factors.shape} do not make "
                "a Factorization Machine: expected (D,) and (D, k) with D and k of at least 1"
            )

    @functools.cached_property
    def scorer(self) -> _core.Scorer:
        """The native core's scorer of this machine."""
        # Reads all parameters once. A machine on its way from a trainer to a file never needs it.
        return _core.Scorer(self._bias, self._linear, self._factors)

    def prepare(self) -> None:
        """Read all parameters now, as scoring needs them, and not at the first call that scores."""
        _ = self.scorer

    @property
    def bias(self) -> float:
        """The global bias w0 (a float32's value)."""
        return self._bias

    @property
    def linear(self) -> npt.NDArray[np.float32]:
        """The linear weights w: float32, shape (D,), read-only."""
        return self._linear

    @property
    def factors(self) -> npt.NDArray[np.float32]:
        """The factors V: float32, shape (D, k), read-only."""
        return self._factors

    @property
    def predictor_type(self) -> PredictorType:
        """Whether the machine classifies or regresses."""
        return self._predictor_type

    @property
    def feature_dim(self) -> int:
        """D, the width of the input."""
        return len(self._linear)

    @property
    def num_factors(self) -> int:
        """The number k of factors of each feature."""
        return int(self._factors.shape[1])

    @property
    def nbytes(self) -> int:
        """The bytes of memory that the machine takes: w, V and what scoring keeps beside them.

        That is 4 bytes for each feature's squared norm, and a copy of the last few features where k is no multiple of
        8.
        """
        return self._linear.nbytes + self._factors.nbytes + self.scorer.nbytes

    def decision_function(self, rows: SparseRows, *, threads: int = 1) -> npt.NDArray[np.float32]:
        """The raw scores s(x): float32, shape (rows,).

        Raises:
            ValueError: the rows are not ``feature_dim`` wide, or an index lies outside.
        """
        return self._run(rows, threads, sigmoid=False)

    def score(self, rows: SparseRows, *, threads: int = 1) -> npt.NDArray[np.float32]:
        """What Amazon's container answers as ``score``: float32, shape (rows,).

        A binary classifier's is the probability of label 1, a regressor's is s(x) itself, not clipped to the range of
        the training labels.

        Raises:
            ValueError: as :meth:`decision_function`.
        """
        return self._run(rows, threads, sigmoid=self._predictor_type is PredictorType.BINARY_CLASSIFIER)

    def _run(self, rows: SparseRows, threads: int, *, sigmoid: bool) -> npt.NDArray[np.float32]:
        if rows.feature_dim != self.feature_dim:
            raise ValueError(f"rows are {rows.feature_dim} wide, but the model has feature_dim {self.feature_dim}")
        return self.scorer.score(rows.indptr, rows.indices, rows.values, sigmoid, threads)


def predicted_labels(scores: npt.NDArray[np.float32], threshold: float = 0.5) -> npt.NDArray[np.float32]:
    """A binary classifier's labels: 1.0 where the score (a probability) is at least the threshold, else 0.0."""
    return (scores.astype(np.float64) >= threshold).astype(np.float32)


def _frozen(array: npt.ArrayLike) -> npt.NDArray[np.float32]:
    # A view over an array that nobody may write to through this model; float32 input is not copied.
    frozen = np.ascontiguousarray(array, dtype=np.float32).view()
    frozen.flags.writeable = False
    return frozen
