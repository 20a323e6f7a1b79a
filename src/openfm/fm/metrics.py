"""The metrics that Amazon's container logs, from sums over mini-batches.

A regressor has ``rmse``, ``mse`` and ``absolute_loss``; a binary classifier ``binary_classification_accuracy``,
``binary_classification_cross_entropy`` and ``binary_f_1.000``. In training the zero-padding of the last batch counts
as records of label 0, as it does in Amazon's numbers; in scoring it does not exist.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from openfm.fm.model import PredictorType, predicted_labels

__all__ = ["Direction", "Metric", "RunningMetrics", "running_metrics"]

Direction = Literal["loss", "score"]

_CROSS_ENTROPY_EPSILON = np.float32(1e-8)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric's value; ``loss`` is better when smaller, ``score`` when larger."""

    name: str
    direction: Direction
    value: float


class RunningMetrics(Protocol):
    """Metrics of all records seen so far."""

    def add_sums(self, sums: npt.NDArray[np.float64], records: int) -> None:
        """Add what a mini-batch's training gave: float64, shape (5,), of ``records`` records with padding."""

    def add_scores(self, scores: npt.NDArray[np.float32], labels: npt.NDArray[np.float32]) -> None:
        """Add scored records: both float32, shape (n,)."""

    def batch_losses(self, sums: npt.NDArray[np.float64], records: int) -> list[float]:
        """The mean loss of each of several mini-batches, from their sums: shape (batches, 5)."""

    @property
    def loss(self) -> float:
        """The quantity that training minimises, as a mean: squared error or cross entropy."""

    def values(self) -> list[Metric]:
        """The metrics in the order in which Amazon's container logs them."""

    def totals(self) -> list[float]:
        """The sums that all of it comes from, for :meth:`restore`."""

    def restore(self, totals: list[float]) -> None:
        """Go on from the totals of other metrics of the same kind."""


class RegressionMetrics:
    """Mean squared error, its root, and mean absolute error."""

    def __init__(self) -> None:
        self._records = 0
        self._squared = 0.0
        self._absolute = 0.0

    def add_sums(self, sums: npt.NDArray[np.float64], records: int) -> None:
        """Add a batch: its sums of squared and of absolute errors come first in ``sums``."""
        self._records += records
        self._squared += float(sums[0])
        self._absolute += float(sums[1])

    def add_scores(self, scores: npt.NDArray[np.float32], labels: npt.NDArray[np.float32]) -> None:
        """Add scored records: both float32, shape (n,)."""
        error = scores - labels
        self._records += len(error)
        self._squared += float(np.sum(np.square(error), dtype=np.float64))
        self._absolute += float(np.sum(np.abs(error), dtype=np.float64))

    def batch_losses(self, sums: npt.NDArray[np.float64], records: int) -> list[float]:
        """Mean squared error of each batch."""
        losses: list[float] = (sums[:, 0] / records).tolist()
        return losses

    @property
    def loss(self) -> float:
        """Mean squared error."""
        return self._squared / self._records

    def values(self) -> list[Metric]:
        """rmse, mse, absolute_loss."""
        return [
            Metric("rmse", "loss", math.sqrt(self.loss)),
            Metric("mse", "loss", self.loss),
            Metric("absolute_loss", "loss", self._absolute / self._records),
        ]

    def totals(self) -> list[float]:
        """Records, sum of squared errors, sum of absolute errors."""
        return [self._records, self._squared, self._absolute]

    def restore(self, totals: list[float]) -> None:
        """Go on from :meth:`totals`."""
        records, self._squared, self._absolute = totals
        self._records = int(records)


class BinaryMetrics:
    """Accuracy at the threshold 0.5, cross entropy, and F1 of label 1."""

    def __init__(self) -> None:
        self._records = 0
        self._cross_entropy = 0.0
        self._counts = np.zeros(4)  # correct, true positives, false positives, false negatives

    def add_sums(self, sums: npt.NDArray[np.float64], records: int) -> None:
        """Add a batch: correct, cross entropy, true positives, false positives, false negatives."""
        self._records += records
        self._cross_entropy += float(sums[1])
        self._counts += sums[[0, 2, 3, 4]]

    def add_scores(self, scores: npt.NDArray[np.float32], labels: npt.NDArray[np.float32]) -> None:
        """Add scored records: probabilities and labels 0 or 1, both float32, shape (n,)."""
        predicted, positive = predicted_labels(scores) == 1.0, labels == 1.0
        of_label = np.where(positive, scores, np.float32(1.0) - scores) + _CROSS_ENTROPY_EPSILON
        self._records += len(scores)
        self._cross_entropy -= float(np.sum(np.log(of_label.astype(np.float64))))
        self._counts += [
            np.sum(predicted == positive),
            np.sum(predicted & positive),
            np.sum(predicted & ~positive),
            np.sum(~predicted & positive),
        ]

    def batch_losses(self, sums: npt.NDArray[np.float64], records: int) -> list[float]:
        """Mean cross entropy of each batch."""
        losses: list[float] = (sums[:, 1] / records).tolist()
        return losses

    @property
    def loss(self) -> float:
        """Mean cross entropy."""
        return self._cross_entropy / self._records

    def values(self) -> list[Metric]:
        """Accuracy, cross entropy, F1 (0 where there is neither a positive label nor a positive prediction)."""
        correct, true_positives, false_positives, false_negatives = self._counts.tolist()
        relevant = 2.0 * true_positives + false_positives + false_negatives
        f1 = 2.0 * true_positives / relevant if relevant else 0.0
        return [
            Metric("binary_classification_accuracy", "score", correct / self._records),
            Metric("binary_classification_cross_entropy", "loss", self.loss),
            Metric("binary_f_1.000", "score", f1),
        ]

    def totals(self) -> list[float]:
        """Records, sum of cross entropies, correct, true positives, false positives, false negatives."""
        counts: list[float] = self._counts.tolist()
        return [self._records, self._cross_entropy, *counts]

    def restore(self, totals: list[float]) -> None:
        """Go on from :meth:`totals`."""
        records, self._cross_entropy, *counts = totals
        self._records = int(records)
        self._counts = np.array(counts)


def running_metrics(predictor_type: PredictorType) -> RunningMetrics:
    """Fresh metrics for a predictor type."""
    if predictor_type is PredictorType.BINARY_CLASSIFIER:
        return BinaryMetrics()
    return RegressionMetrics()
