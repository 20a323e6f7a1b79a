"""openfm as the benchmarks measure it: the loop that a training job runs over the records it keeps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benchmarks.data import BATCH_SIZE, Labelled, Problem
from openfm.contract.hyperparameters import Hyperparameters
from openfm.fm.matrices import as_rows
from openfm.fm.metrics import running_metrics
from openfm.fm.trainer import Trainer

__all__ = ["OwnTraining"]

_PIECE = 100  # mini-batches that one call trains; a job asks for as many as take a fifth of a second


class OwnTraining:
    """Training with openfm, an epoch at a time.

    Args:
        problem: the data and k.
        hyperparameters: any that are not Amazon's defaults.
        threads: how many work.
        train: other rows to train on than the problem's.
    """

    def __init__(
        self,
        problem: Problem,
        hyperparameters: dict[str, object] | None = None,
        *,
        threads: int = 1,
        train: Labelled | None = None,
    ) -> None:
        train = problem.train if train is None else train
        given = {
            "feature_dim": problem.feature_dim,
            "num_factors": problem.k,
            "predictor_type": "binary_classifier",
            "mini_batch_size": BATCH_SIZE,
        }
        self._settings = Hyperparameters.parse(given | (hyperparameters or {})).training_settings()
        self._trainer = Trainer(self._settings, threads=threads)
        self._block = self._trainer.batches(as_rows(train.X, problem.feature_dim), train.y)
        self._epochs = 0

    def epoch(self) -> None:
        """Train all batches once and sum up the metrics that the job logs."""
        metrics = running_metrics(self._settings.predictor_type)
        for begin in range(0, self._block.batches, _PIECE):
            end = min(begin + _PIECE, self._block.batches)
            sums = self._trainer.train(self._block, begin, end, epoch=self._epochs, first_batch=begin)
            for batch_sums in sums:
                metrics.add_sums(batch_sums, BATCH_SIZE)
            metrics.batch_losses(sums, BATCH_SIZE)
        metrics.values()
        self._epochs += 1

    def scores(self, rows: Labelled) -> npt.NDArray[np.float32]:
        """The scores of rows: probabilities, float32."""
        machine = self._trainer.machine()
        return machine.score(as_rows(rows.X, self._settings.feature_dim))
