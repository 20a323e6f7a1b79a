"""openfm as the benchmarks measure it: the loop that a training job runs over the records it keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from openfm.contract.hyperparameters import Hyperparameters
from openfm.fm.matrices import as_rows
from openfm.fm.metrics import running_metrics
from openfm.fm.trainer import Trainer

__all__ = ["OwnTraining"]

_BATCH_SIZE = 1000
_PIECE = 100  # mini-batches that one call trains; a job asks for as many as take a fifth of a second


class OwnTraining:
    """Training a binary classifier with openfm, an epoch at a time.

    Args:
        X: a matrix of the rows.
        y: float32, shape (rows,), 0 or 1.
        k: factors per feature.
        hyperparameters: any that are not Amazon's defaults.
        threads: how many work.
    """

    def __init__(
        self,
        X: Any,
        y: npt.NDArray[np.float32],
        k: int,
        hyperparameters: dict[str, object] | None = None,
        *,
        threads: int = 1,
    ) -> None:
        given = {
            "feature_dim": X.shape[1],
            "num_factors": k,
            "predictor_type": "binary_classifier",
            "mini_batch_size": _BATCH_SIZE,
        }
        self._settings = Hyperparameters.parse(given | (hyperparameters or {})).training_settings()
        self._trainer = Trainer(self._settings, threads=threads)
        self._block = self._trainer.batches(as_rows(X, X.shape[1]), y)
        self._epochs = 0

    def epoch(self) -> None:
        """Train all batches once and sum up the metrics that the job logs."""
        size = self._settings.mini_batch_size
        metrics = running_metrics(self._settings.predictor_type)
        for begin in range(0, self._block.batches, _PIECE):
            end = min(begin + _PIECE, self._block.batches)
            sums = self._trainer.train(self._block, begin, end, epoch=self._epochs, first_batch=begin)
            for batch_sums in sums:
                metrics.add_sums(batch_sums, size)
            metrics.batch_losses(sums, size)
        metrics.values()
        self._epochs += 1

    def scores(self, X: Any) -> npt.NDArray[np.float32]:
        """The scores of rows: probabilities, float32."""
        return self._trainer.machine().score(as_rows(X, X.shape[1]))
