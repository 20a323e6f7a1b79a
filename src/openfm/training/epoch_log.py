"""What Amazon's container logs of the training of epochs."""

from __future__ import annotations

import time

from openfm.contract.job_log import JobLog
from openfm.fm.metrics import RunningMetrics
from openfm.fm.settings import TrainingSettings
from openfm.training.checkpointing import JobState

__all__ = ["EpochLog"]


class EpochLog:
    """Logs mini-batches and epochs.

    Args:
        log: of the job.
        settings: of the job.
        interval: every so many mini-batches of an epoch, from the first, their metrics are logged.
    """

    def __init__(self, log: JobLog, settings: TrainingSettings, interval: int) -> None:
        self._log = log
        self._epochs = settings.epochs
        self._interval = interval
        self._records = 0
        self._batches = 0
        self._resets = 0

    def resume(self, state: JobState) -> None:
        """Say from where the job goes on."""
        self._log.info(
            f"Resuming from a checkpoint: {state.epoch} epochs and {state.batch} mini-batches of the next are done."
        )

    def nothing_left(self, state: JobState, metrics: RunningMetrics) -> None:
        """Say that the checkpoint is of a job that is done, and how it ended."""
        self._log.warning(
            f"There is nothing left to train: the checkpoint has {state.epoch} epochs and the job asks for "
            f"{self._epochs}. The model is the checkpoint's; no data were read."
        )
        self._summary(metrics)

    def batch_metrics(self, epoch: int, batch: int, metrics: RunningMetrics) -> None:
        """The metrics of the epoch so far, where they are due."""
        if batch % self._interval == 0:
            for metric in metrics.values():
                self._log.quality_metric(metric.name, metric.direction, metric.value, epoch=epoch, batch=batch)

    def epoch_metrics(self, epoch: int, metrics: RunningMetrics, *, channel: str = "train") -> None:
        """The metrics of a whole epoch."""
        for metric in metrics.values():
            self._log.quality_metric(metric.name, metric.direction, metric.value, epoch=epoch, channel=channel)

    def epoch_end(
        self,
        state: JobState,
        metrics: RunningMetrics,
        *,
        batches: int,
        records: int,
        trained: int,
        begin: float,
        is_last: bool,
    ) -> None:
        """All that follows an epoch's metrics.

        Args:
            state: after the epoch.
            metrics: of the epoch.
            batches, records: of the epoch.
            trained: records of the epoch that this run trained, and not one that it goes on from.
            begin: when it began, in seconds since 1970.
            is_last: whether the job ends with it.
        """
        end = time.time()
        if is_last:
            self._summary(metrics)
        timings = {"update.time": (end - begin) * 1000.0}
        if state.epoch == 1:
            timings = {"epochs": self._epochs, **timings}
        self._log.metrics(timings, start=begin, end=end)
        self._log.progress(100.0 * state.epoch / self._epochs)
        self._log.metrics(
            self._counts(records, batches),
            start=begin,
            end=end,
            extra_dimensions={"epoch": state.epoch - 1, "Meta": "training_data_iter"},
        )
        self._log.throughput(trained / max(end - begin, 1e-9))

    def _summary(self, metrics: RunningMetrics) -> None:
        for metric in metrics.values():
            self._log.quality_metric(metric.name, metric.direction, metric.value)

    def _counts(self, records: int, batches: int) -> dict[str, float]:
        """What the data iterators of Amazon's container count."""
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
