"""What we take where a setting is not given: numbers that go by how much there is to learn from.

They were chosen on rows held out of training rows (``docs/estimators.md``). What is behind them:

* A step of Adam has about the size of its rate, whatever the gradient. In a long row each value is scaled to be small
  (``scaling``), so that rates may be as much higher. They are high on purpose: the parameters then wander about the
  best ones, as samples of a posterior do, and their mean over epochs (``averaging``) predicts better than any of them.
* Linear weights learn faster than factors. Else all factors of one dimension grow in step and stand for linear weights,
  with hardly any decay, which learns the training rows by heart.
* Decays fall with the root of the number of rows, and further where each feature occurs in many of them: less has to be
  left to the prior where more is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from openfm.fm.model import PredictorType
from openfm.learning.examples import Examples

__all__ = ["LEAST_ROWS_TO_HOLD_OUT", "Defaults", "Extent", "batch_size", "defaults_for"]

LEAST_ROWS_TO_HOLD_OUT = 100

_FEW_ROWS = 1000  # fewer than these
_EPOCHS, _EPOCHS_OF_FEW_ROWS = 100, 300
_HELD_OUT, _HELD_OUT_OF_FEW_ROWS = 0.1, 0.2
_EPOCHS_UNWATCHED = 10  # of a machine that goes on, where nothing says that it becomes worse
_BATCHES_AN_EPOCH = 800
_BATCHES_OF_FEW_ROWS, _BATCH_OF_FEW_ROWS = 20, 64
_LEAST_BATCH, _MOST_BATCH = 16, 1024
_NUM_FACTORS = {PredictorType.BINARY_CLASSIFIER: 32, PredictorType.REGRESSOR: 64}
_SHORT_ROW = 2.0  # values: a user and an item
_RATE_OF_SHORT_ROWS, _HIGHEST_RATE = 0.0035, 0.015
_LINEAR_FASTER = 2.6
_LINEAR_DECAY = 0.002
_FACTORS_DECAY = {PredictorType.BINARY_CLASSIFIER: 0.025, PredictorType.REGRESSOR: 0.05}
_FEW_OCCURRENCES = 50.0  # of a feature: with more of them it decays less


@dataclass(frozen=True, slots=True)
class Extent:
    """How much there is to learn from.

    Attributes:
        rows: how many there are.
        row_length: values other than 0 of a row, on average.
        occurrences: rows in which a feature is not 0, on average over those that are not 0 everywhere.
    """

    rows: int
    row_length: float
    occurrences: float

    @classmethod
    def of(cls, examples: Examples) -> Extent:
        """That of these examples; values that are stored and 0 do not count."""
        rows = examples.rows
        in_rows = np.bincount(rows.indices[rows.values != 0], minlength=rows.feature_dim)
        values, features = int(in_rows.sum()), int(np.count_nonzero(in_rows))
        return cls(len(rows), values / max(len(rows), 1), values / max(features, 1))


@dataclass(frozen=True, slots=True)
class Defaults:
    """What :class:`~openfm.learning.LearningSettings` has under the same names, all of it known."""

    num_factors: int
    epochs: int
    bias_lr: float
    linear_lr: float
    factors_lr: float
    linear_wd: float
    factors_wd: float
    validation_fraction: float


def defaults_for(extent: Extent, predictor_type: PredictorType, *, goes_on: bool) -> Defaults:
    """Our own defaults.

    Args:
        extent: how much there is to learn from.
        predictor_type: of the machine.
        goes_on: whether it starts from a trained one.
    """
    rate = _RATE_OF_SHORT_ROWS * math.sqrt(max(extent.row_length, _SHORT_ROW) / _SHORT_ROW)
    rate = min(rate, _HIGHEST_RATE)
    evidence = math.sqrt(max(extent.rows, 1)) * (max(extent.occurrences, _FEW_OCCURRENCES) / _FEW_OCCURRENCES) ** 0.25
    are_few = extent.rows < _FEW_ROWS
    epochs = _EPOCHS_OF_FEW_ROWS if are_few else _EPOCHS
    if goes_on and extent.rows < LEAST_ROWS_TO_HOLD_OUT:
        epochs = _EPOCHS_UNWATCHED
    return Defaults(
        num_factors=_NUM_FACTORS[predictor_type],
        epochs=epochs,
        bias_lr=rate,
        linear_lr=_LINEAR_FASTER * rate,
        factors_lr=rate,
        linear_wd=_LINEAR_DECAY / evidence,
        factors_wd=_FACTORS_DECAY[predictor_type] / evidence,
        validation_fraction=_HELD_OUT_OF_FEW_ROWS if are_few else _HELD_OUT,
    )


def batch_size(rows: int) -> int:
    """Rows of a mini-batch where there are so many in all: small ones wander too far, few take too few steps."""
    of_few_rows = min(rows // _BATCHES_OF_FEW_ROWS, _BATCH_OF_FEW_ROWS)
    return min(max(rows // _BATCHES_AN_EPOCH, of_few_rows, _LEAST_BATCH), _MOST_BATCH)
