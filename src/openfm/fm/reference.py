"""Factorization Machine training as plainly as NumPy and SciPy can say it: the truth that the kernels are tested on.

Float32 throughout, one statement for each statement of the specification, no cached norms, no index, no threads.
Hundreds of times slower than :class:`openfm.fm.trainer.Trainer`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from openfm.fm.metrics import RunningMetrics, running_metrics
from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.fm.settings import GroupSettings, TrainingSettings
from openfm.fm.trainer import initial_machine

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["ReferenceTrainer", "reference_scores"]

Array = npt.NDArray[np.float32]

_BETA1, _BETA2 = 0.9, 0.999


def reference_scores(machine: FactorizationMachine, rows: csr_matrix) -> npt.NDArray[np.float64]:
    """s(x) of each row in float64, straight from the definition: float64, shape (rows,)."""
    x = rows.astype(np.float64)
    v = machine.factors.astype(np.float64)
    pairs = 0.5 * (np.square(x @ v) - x.power(2) @ np.square(v)).sum(axis=1)
    scores: npt.NDArray[np.float64] = machine.bias + x @ machine.linear.astype(np.float64) + pairs
    return scores


class ReferenceTrainer:
    """Mini-batch Adam, lazily or on every feature.

    Args:
        settings: as for :class:`openfm.fm.trainer.Trainer`.
    """

    def __init__(self, settings: TrainingSettings) -> None:
        self.settings = settings
        machine = initial_machine(settings)
        self.bias: Array = np.full(1, machine.bias, dtype=np.float32)
        self.linear: Array = machine.linear[:, None].copy()
        self.factors: Array = machine.factors.copy()
        self._moments = {
            name: (np.zeros_like(value), np.zeros_like(value))
            for name, value in (("bias", self.bias), ("linear", self.linear), ("factors", self.factors))
        }
        self._step = 0

    def epoch(
        self, rows: csr_matrix, labels: Array, weights: Array | None = None
    ) -> tuple[RunningMetrics, list[RunningMetrics]]:
        """Train on all rows in order; returns the metrics of the epoch and of each batch.

        Weights multiply the rows' gradients.
        """
        size = self.settings.mini_batch_size
        whole = running_metrics(self.settings.predictor_type)
        batches = []
        for first in range(0, rows.shape[0], size):
            x, y = _padded(rows[first : first + size], labels[first : first + size], size)
            of_batch = np.ones(size, np.float32)
            if weights is not None:
                given = weights[first : first + size]
                of_batch[: len(given)] = given
            predictions = self._batch(x, y, of_batch)
            whole.add_scores(predictions, y)
            batch = running_metrics(self.settings.predictor_type)
            batch.add_scores(predictions, y)
            batches.append(batch)
        return whole, batches

    def machine(self) -> FactorizationMachine:
        """The machine as trained so far."""
        return FactorizationMachine(
            float(self.bias[0]), self.linear[:, 0].copy(), self.factors.copy(), self.settings.predictor_type
        )

    def _batch(self, x: csr_matrix, y: Array, weights: Array) -> Array:
        self._step += 1
        squares = x.multiply(x).tocsr()
        sums = x @ self.factors
        pairs = np.float32(0.5) * (np.square(sums).sum(axis=1) - squares @ np.square(self.factors).sum(axis=1))
        score = (x @ self.linear)[:, 0] + self.bias[0] + pairs
        predictions: Array = score
        if self.settings.predictor_type is PredictorType.BINARY_CLASSIFIER:
            with np.errstate(over="ignore"):  # exp(-s) of a very negative s is infinite: p is 0
                predictions = np.float32(1) / (np.float32(1) + np.exp(-score))
        error = ((predictions - y) * weights)[:, None]
        touched = np.arange(x.shape[1])
        if self.settings.lazy_update:
            touched = np.unique(x.indices)
        gradient = x.T @ (error * sums) - (squares.T @ error) * self.factors
        if self.settings.use_bias:
            self._adam("bias", self.settings.bias, self.bias, error.sum(axis=0), np.arange(1))
        if self.settings.use_linear:
            self._adam("linear", self.settings.linear, self.linear, x.T @ error, touched)
        self._adam("factors", self.settings.factors, self.factors, gradient, touched)
        return predictions

    def _adam(
        self, name: str, group: GroupSettings, weight: Array, gradient: Array, touched: npt.NDArray[np.int64]
    ) -> None:
        settings = self.settings
        rescale = 1.0 / settings.mini_batch_size if settings.rescale_grad is None else settings.rescale_grad
        mean, variance = self._moments[name]
        rate = np.float32(group.learning_rate * np.sqrt(1.0 - _BETA2**self._step) / (1.0 - _BETA1**self._step))
        beta1, beta2 = np.float32(_BETA1), np.float32(_BETA2)
        g = gradient[touched] * np.float32(rescale) + np.float32(group.weight_decay) * weight[touched]
        if settings.clip_gradient is not None:
            g = np.clip(g, np.float32(-settings.clip_gradient), np.float32(settings.clip_gradient))
        mean[touched] = beta1 * mean[touched] + (np.float32(1) - beta1) * g
        variance[touched] = beta2 * variance[touched] + (np.float32(1) - beta2) * g * g
        weight[touched] -= rate * mean[touched] / (np.sqrt(variance[touched]) + np.float32(settings.epsilon))


def _padded(rows: csr_matrix, labels: Array, size: int) -> tuple[csr_matrix, Array]:
    # The last batch of an epoch is filled with empty rows of label 0.
    missing = size - rows.shape[0]
    if not missing:
        return rows, labels
    from scipy.sparse import csr_matrix, vstack

    empty = csr_matrix((missing, rows.shape[1]), dtype=np.float32)
    return vstack([rows, empty], format="csr"), np.concatenate([labels, np.zeros(missing, np.float32)])
