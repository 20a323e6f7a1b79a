"""The loss on held-out examples, and the best epoch so far."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from openfm.errors import DataError
from openfm.fm.metrics import Metric, running_metrics
from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.learning.examples import Examples
from openfm.learning.scaling import Scaling

__all__ = ["HeldOut", "Watch"]

_LEAST_PROBABILITY = 1e-8  # as in the logged cross entropy


class HeldOut:
    """Examples that are scored after each epoch.

    Args:
        examples: in their own units.
        scaling: of the learner whose machines score them.
    """

    def __init__(self, examples: Examples, scaling: Scaling) -> None:
        with np.errstate(over="ignore"):  # what is too large is refused when it is scored
            self._rows = scaling.rows(examples.rows)
        self._labels, self._weights = examples.labels, examples.weights
        self._scaling = scaling

    def score(self, machine: FactorizationMachine, threads: int) -> tuple[tuple[Metric, ...], float]:
        """The metrics, in the labels' units, and the mean loss by the examples' weights.

        Raises:
            DataError: one of them is not finite.
        """
        metrics = running_metrics(machine.predictor_type)
        with np.errstate(over="ignore", invalid="ignore"):  # what is too large is refused below
            scores = self._scaling.scores(machine.score(self._rows, threads=threads))
            metrics.add_scores(scores, self._labels)
            loss = metrics.loss
            if self._weights is not None:
                losses = _losses(scores, self._labels, machine.predictor_type)
                loss = float(np.average(losses, weights=self._weights))
        found = tuple(metrics.values())
        if not all(map(math.isfinite, (loss, *(metric.value for metric in found)))):
            raise DataError(
                "The metrics of the validation examples are not finite, as their features or labels are far larger "
                "than those of training: correct them, or scale both to about 1."
            )
        return found, loss


class Watch:
    """Remembers the best epoch.

    Args:
        patience: how many epochs in a row may be no better.
        tolerance: the share of the lowest loss by which a better one must be lower.
    """

    def __init__(self, patience: int, tolerance: float) -> None:
        self._patience = patience
        self._tolerance = tolerance
        self._loss = float("inf")
        self._since = 0
        self.best: tuple[int, FactorizationMachine] | None = None

    def add(self, epoch: int, loss: float, machine: FactorizationMachine) -> None:
        """See an epoch's loss and the machine that has it."""
        if self.best is None or loss < self._loss * (1.0 - self._tolerance):
            self._loss, self._since, self.best = loss, 0, (epoch, machine)
        else:
            self._since += 1

    @property
    def is_over(self) -> bool:
        """Whether the patience is at its end."""
        return self._since >= self._patience


def _losses(
    scores: npt.NDArray[np.float32], labels: npt.NDArray[np.float32], predictor_type: PredictorType
) -> npt.NDArray[np.float64]:
    wide = scores.astype(np.float64)
    if predictor_type is PredictorType.REGRESSOR:
        return np.square(wide - labels)
    of_label: npt.NDArray[np.float64] = np.log(np.where(labels == 1.0, wide, 1.0 - wide) + _LEAST_PROBABILITY)
    return -of_label
