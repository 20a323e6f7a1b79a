"""Features and labels of any size for a learner whose rates suit a size of about 1.

A Factorization Machine of scaled features and labels is one of those themselves, with other parameters: whatever
multiplies feature j in training multiplies w_j and v_j afterwards; a factor on the labels multiplies w0 and w, and its
root V; what was subtracted from the labels is added to w0; and ``centring`` says how the means of features come back.
Nothing of the scaling is left in the machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.fm.rows import SparseRows
from openfm.learning.centring import Centring
from openfm.learning.examples import Examples
from openfm.learning.settings import LearningSettings

__all__ = ["Scaling"]

_SQUARED_NORM = 2.0  # of rows once they are scaled, on average: that of a user and an item


@dataclass(frozen=True, slots=True)
class Scaling:
    """What rows and labels are changed by.

    Attributes:
        features: what each feature is multiplied by, a power of two, so that nothing is rounded: float32, shape (D,).
            None: 1 for all.
        centre, spread: labels become (label - centre) / spread.
        centring: what is subtracted from features, before they are multiplied; None: nothing.
    """

    features: npt.NDArray[np.float32] | None = None
    centre: float = 0.0
    spread: float = 1.0
    centring: Centring | None = None

    @classmethod
    def of(cls, examples: Examples, settings: LearningSettings) -> Scaling:
        """What suits these examples, as far as the settings ask for it."""
        features, centring = None, None
        if settings.scale:
            rows = examples.rows
            if settings.use_bias and settings.use_linear:  # which take up what the means contribute
                centring = Centring.of(rows)
            features = _feature_factors(rows if centring is None else centring.rows(rows), settings.rarity)
        centre, spread = 0.0, 1.0
        if settings.predictor_type is PredictorType.REGRESSOR:
            labels = examples.labels.astype(np.float64)
            mean = float(np.average(labels, weights=examples.weights))
            if settings.scale:
                deviation = math.sqrt(float(np.average(np.square(labels - mean), weights=examples.weights)))
                spread = deviation if deviation > 0 else 1.0
            if settings.start_at_mean and settings.use_bias:
                centre = mean
        return cls(features, centre, spread, centring)

    def scaled(self, examples: Examples) -> Examples:
        """The examples as the learner sees them; values are copied only where they change."""
        labels = examples.labels
        if (self.centre, self.spread) != (0.0, 1.0):
            labels = ((labels.astype(np.float64) - self.centre) / self.spread).astype(np.float32)
        return Examples(self.rows(examples.rows), labels, examples.weights)

    def rows(self, rows: SparseRows) -> SparseRows:
        """The rows as the learner sees them."""
        if self.centring is not None:
            rows = self.centring.rows(rows)
        if self.features is None:
            return rows
        return SparseRows(rows.indptr, rows.indices, rows.values * self.features[rows.indices], rows.feature_dim)

    def scores(self, scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """A learner's scores in the labels' units."""
        if (self.centre, self.spread) == (0.0, 1.0):
            return scores
        return (scores.astype(np.float64) * self.spread + self.centre).astype(np.float32)

    def machine(self, learned: FactorizationMachine) -> FactorizationMachine:
        """A learner's machine for features and labels as they are."""
        of_features = 1.0 if self.features is None else self.features
        root = np.float32(math.sqrt(self.spread))
        machine = FactorizationMachine(
            learned.bias * self.spread + self.centre,
            learned.linear * (of_features * np.float32(self.spread)),
            learned.factors * (np.reshape(of_features, (-1, 1)) * root),
            learned.predictor_type,
        )
        return machine if self.centring is None else self.centring.machine(machine)

    def learner_machine(self, machine: FactorizationMachine) -> FactorizationMachine:
        """The other way round: a machine to go on learning from."""
        of_features = np.float32(1.0) if self.features is None else self.features
        root = np.float32(math.sqrt(self.spread))
        if self.centring is not None:
            machine = self.centring.centred_machine(machine)
        return FactorizationMachine(
            (machine.bias - self.centre) / self.spread,
            machine.linear / (of_features * np.float32(self.spread)),
            machine.factors / (np.reshape(of_features, (-1, 1)) * root),
            machine.predictor_type,
        )


def _feature_factors(rows: SparseRows, rarity: float) -> npt.NDArray[np.float32] | None:
    """Powers of two that bring each feature's non-zero values to about 1, and the rows to a mean squared norm of 2.

    Rare features are made smaller than that, and so learn less of each row: one that occurs in n rows by the root of
    n / (n + c), where c is ``rarity`` by the square of what values are scaled to.
    """
    d = rows.feature_dim
    counts = np.bincount(rows.indices, minlength=d)
    squares = np.bincount(rows.indices, weights=np.square(rows.values, dtype=np.float64), minlength=d)
    seen = squares > 0  # a feature may have stored zeros only
    if not seen.any():
        return None
    size = _SQUARED_NORM * len(rows) / rows.nnz  # what a value's square is to be
    trust = counts[seen] / (counts[seen] + rarity / min(size, 1.0))
    factors = np.zeros(d)
    factors[seen] = trust * counts[seen] / squares[seen]  # squared
    norm = float(np.sum(squares * factors)) / len(rows)
    exponents = np.zeros(d)
    exponents[seen] = np.round(np.log2(factors[seen] * _SQUARED_NORM / norm) / 2)
    if not exponents.any():
        return None
    return np.exp2(np.clip(exponents, -120, 120)).astype(np.float32)
