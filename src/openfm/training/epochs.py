"""The epochs of a job: trains mini-batch by mini-batch and logs what Amazon's container logs."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from openfm.contract.hyperparameters import DenseNetwork, Hyperparameters
from openfm.contract.job_log import JobLog
from openfm.data.reader import ChannelReader, ReadingStoppedError
from openfm.fm.metrics import Metric, RunningMetrics, running_metrics
from openfm.fm.model import FactorizationMachine
from openfm.fm.trainer import Trainer
from openfm.training.data import TrainingData
from openfm.training.progress import still_improving
from openfm.training.stop import StopRequest

__all__ = ["EpochLoop"]

_NETWORKS = {
    DenseNetwork.DOCUMENTED: "[Sparse network] Building a sparse network.",
    DenseNetwork.AMAZON: "[Fully symbolic network] Building a fully symbolic network.",
}
_DENSE_WARNINGS = {
    DenseNetwork.DOCUMENTED: (
        "The records are dense. They are trained by the documented network, as sparse records of "
        "their non-zero values; Amazon's container trains dense records by a network that ignores "
        "the documented rates. Set dense_network to 'amazon' for that one."
    ),
    DenseNetwork.AMAZON: (
        "The records are dense and dense_network is 'amazon': they are trained by Amazon's own "
        "dense network, which ignores the documented learning rates, weight decays and initial "
        "values. Set dense_network to 'documented' for the documented one."
    ),
}


class EpochLoop:
    """Trains the epochs of one job.

    Args:
        hyperparameters: of the job.
        reader: of the training channel.
        log: of the job.
        stop: asked between pieces of mini-batches whether to stop early.
        threads: how many threads train.
    """

    def __init__(
        self,
        hyperparameters: Hyperparameters,
        reader: ChannelReader,
        log: JobLog,
        stop: StopRequest,
        *,
        threads: int,
    ) -> None:
        network = hyperparameters.dense_network
        self._settings = (
            hyperparameters.amazon_dense_settings()
            if network is DenseNetwork.AMAZON
            else hyperparameters.training_settings()
        )
        self._interval = hyperparameters.batch_metrics_publish_interval
        self._log = log
        self._stop = stop
        log.info(_NETWORKS[network])
        self._trainer = Trainer(self._settings, threads=threads)
        self._data = TrainingData(
            reader,
            settings=self._settings,
            trainer=self._trainer,
            network=network,
            on_dense=lambda: log.warning(_DENSE_WARNINGS[network]),
        )
        self._channel = reader.channel
        self._counter = _Counter()
        self._epoch_losses: list[float] = []
        self._batch_losses: list[float] = []

    def machine(self) -> FactorizationMachine:
        """The machine as trained so far."""
        return self._trainer.machine()

    def run(self) -> None:
        """Train all epochs, or until a stop is requested.

        Raises:
            DataError: a record cannot be read or trained on.
            TrainingDivergedError: a parameter or metric is no longer finite.
        """
        for epoch in range(self._settings.epochs):
            try:
                self._epoch(epoch)
            except ReadingStoppedError:
                return
            if self._stop.requested:
                return
        if still_improving(self._epoch_losses, self._batch_losses):
            self._log.info(
                "The training loss was still falling when the job ended. More epochs, or higher "
                "learning rates (factors_lr, linear_lr), would bring it further down."
            )

    def _epoch(self, epoch: int) -> None:
        begin = time.time()
        metrics = running_metrics(self._settings.predictor_type)
        self._batch_losses = []
        for block in self._data.epoch(epoch):
            if self._stop.requested:
                return
            sums = self._trainer.train(block, epoch=epoch, first_batch=len(self._batch_losses))
            self._add_batches(epoch, sums, metrics)
        self._warn_of_order(epoch)
        self._epoch_losses.append(metrics.loss)
        self._log_epoch(epoch, metrics.values(), begin)

    def _add_batches(
        self, epoch: int, sums: npt.NDArray[np.float64], metrics: RunningMetrics
    ) -> None:
        size = self._settings.mini_batch_size
        for number, batch_sums in enumerate(sums, start=len(self._batch_losses)):
            metrics.add_sums(batch_sums, size)
            if number % self._interval == 0:
                for metric in metrics.values():
                    self._log.quality_metric(
                        metric.name, metric.direction, metric.value, epoch=epoch, batch=number
                    )
        self._batch_losses.extend(metrics.batch_losses(sums, size))

    def _warn_of_order(self, epoch: int) -> None:
        in_order = epoch == 0 and not self._settings.shuffle and len(self._batch_losses) > 1
        if in_order and self._data.label_order.is_sorted:
            self._log.warning(
                f"The records of channel '{self._channel.name}' are sorted by label, and "
                "mini-batches take them in this order, so that each holds one kind of label only. "
                "Shuffle the records, or set shuffle to 'true'."
            )

    def _log_epoch(self, epoch: int, values: list[Metric], begin: float) -> None:
        end = time.time()
        for metric in values:
            self._log.quality_metric(metric.name, metric.direction, metric.value, epoch=epoch)
        if epoch == self._settings.epochs - 1:
            for metric in values:
                self._log.quality_metric(metric.name, metric.direction, metric.value)
        timings = {"update.time": (end - begin) * 1000.0}
        if epoch == 0:
            timings = {"epochs": self._settings.epochs, **timings}
        self._log.metrics(timings, start=begin, end=end)
        self._log.progress(100.0 * (epoch + 1) / self._settings.epochs)
        self._log.metrics(
            self._counter.epoch(self._data.records, len(self._batch_losses)),
            start=begin,
            end=end,
            extra_dimensions={"epoch": epoch, "Meta": "training_data_iter"},
        )
        self._log.throughput(self._data.records / max(end - begin, 1e-9))


class _Counter:
    """What the data iterators of Amazon's container count."""

    def __init__(self) -> None:
        self._records = 0
        self._batches = 0
        self._resets = 0

    def epoch(self, records: int, batches: int) -> dict[str, float]:
        """The counts after an epoch of so many records and mini-batches."""
        self._records += records
        self._batches += batches
        self._resets += 1
        return {
            "Total Records Seen": self._records,
            "Total Batches Seen": self._batches,
            "Max Records Seen Between Resets": records,
            "Max Batches Seen Between Resets": batches,
            "Reset Count": self._resets,
            "Number of Records Since Last Reset": records,
            "Number of Batches Since Last Reset": batches,
        }
