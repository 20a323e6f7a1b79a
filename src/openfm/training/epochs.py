"""The epochs of a job: trains piece by piece, and keeps what a job that is killed can go on from."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

from openfm.contract.hyperparameters import DenseNetwork, Hyperparameters
from openfm.contract.job_log import JobLog
from openfm.contract.metrics_file import MetricsFile
from openfm.data.reader import ChannelReader, ReadingStoppedError
from openfm.errors import DataError
from openfm.fm.metrics import RunningMetrics, running_metrics
from openfm.fm.model import FactorizationMachine
from openfm.fm.trainer import Trainer
from openfm.training.checkpointing import Checkpointing, JobState, SavedJob
from openfm.training.data import TrainingData
from openfm.training.early_stopping import EarlyStopping
from openfm.training.epoch_log import EpochLog
from openfm.training.part import WHOLE
from openfm.training.progress import LossHistory, still_improving
from openfm.training.scoring import score_channel
from openfm.training.steps import OwnSteps, Steps, StepSums
from openfm.training.stop import StopRequest

if TYPE_CHECKING:  # a job of one host does without the modules of several
    from openfm.training.hosts.fleet import Fleet

__all__ = ["EpochLoop"]

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
        trainer: with the parameters to start from.
        train: reads the training channel.
        validation: reads the channel that early stopping watches; None: there is no early stopping.
        log: of the job.
        metrics_file: begun here, or gone on with.
        stop: asked all the time whether to stop early.
        checkpointing: where the job's state goes to; None: nowhere.
        saved: the state to go on from; ``trainer`` has its parameters.
        cache_bytes: how much memory may be used to keep data from one epoch to the next.
        threads: how many threads read and score.
        fleet: the hosts that train together; None: this one does alone.
    """

    def __init__(
        self,
        hyperparameters: Hyperparameters,
        trainer: Trainer,
        train: ChannelReader,
        validation: ChannelReader | None,
        *,
        log: JobLog,
        metrics_file: MetricsFile,
        stop: StopRequest,
        checkpointing: Checkpointing | None,
        saved: SavedJob | None,
        cache_bytes: int,
        threads: int,
        fleet: Fleet | None = None,
    ) -> None:
        self._settings = hyperparameters.network_settings()
        self._trainer = trainer
        self._fleet = fleet
        self._validation = validation
        self._stop = stop
        self._checkpointing = checkpointing
        self._threads = threads
        self._data = TrainingData(
            train,
            settings=self._settings,
            trainer=trainer,
            network=hyperparameters.dense_network,
            on_dense=lambda: log.warning(_DENSE_WARNINGS[hyperparameters.dense_network]),
            cache_bytes=cache_bytes,
            threads=threads,
            part=WHOLE if fleet is None else fleet.part(train.channel.name),
            may_be_empty=fleet is not None,
        )
        self._steps: Steps = (
            OwnSteps(self._data, trainer, self._settings.mini_batch_size, stop)
            if fleet is None
            else fleet.steps(self._data, trainer, self._settings)
        )
        self._job_log = log
        self._log = EpochLog(log, self._settings, hyperparameters.batch_metrics_publish_interval)
        self._metrics_file = metrics_file
        self._early_stopping = (
            EarlyStopping(hyperparameters.early_stopping_patience, hyperparameters.early_stopping_tolerance)
            if hyperparameters.early_stopping_patience is not None
            else None
        )
        self._state = JobState()
        self._metrics = running_metrics(self._settings.predictor_type)
        self._is_finished = False
        if saved is None:
            metrics_file.start(hyperparameters.final_configuration())
        else:
            self._resume(saved)

    @property
    def epochs(self) -> int:
        """How many epochs are done."""
        return self._state.epoch

    def finish(self) -> FactorizationMachine:
        """The machine that the job ends with: the best epoch's, or as trained so far.

        What only training needs is freed. What a last checkpoint needs is kept if a stop was requested; without one,
        the last epoch has saved it.
        """
        self._data.forget()
        best = None if self._early_stopping is None else self._early_stopping.parameters
        if best is not None and self._is_done:
            return FactorizationMachine(*best, self._settings.predictor_type)
        if self._checkpointing is not None and self._stop.requested:
            return self._trainer.machine()
        self._is_finished = True
        return self._trainer.finish()

    def run(self) -> None:
        """Train all epochs that are left, or until a stop is requested.

        Raises:
            DataError: a record cannot be read or trained on.
            TrainingDivergedError: a parameter or metric is no longer finite.
        """
        if self._is_done:
            self._log.nothing_left(self._state, self._metrics)
            return
        try:
            while not self._is_done and not self._stop.requested:
                self._epoch()
        except ReadingStoppedError:
            return  # as requested
        if self._is_done and still_improving(self._state.epoch_losses, self._state.history):
            self._job_log.info(
                "The training loss was still falling when the job ended. More epochs, or higher "
                "learning rates (factors_lr, linear_lr), would bring it further down."
            )

    def save_checkpoint(self) -> None:
        """Save what the job can go on from, if it keeps checkpoints and anything has been trained since the last.

        Raises:
            PlatformError: it cannot be written.
        """
        if self._checkpointing is not None and self._trainer.step and not self._is_finished:
            self._state.metric_totals = self._metrics.totals()
            self._state.metric_lines = self._metrics_file.lines
            best = None if self._early_stopping is None else self._early_stopping.parameters
            self._checkpointing.save(self._trainer, self._state, best)

    @property
    def chosen_epoch(self) -> int | None:
        """The epoch whose parameters the machine has because validation chose it, where all epochs were trained."""
        best = self._state.best
        if best is None or self._early_stopping is None or self._state.epoch < self._settings.epochs:
            return None
        return best.epoch

    @property
    def _is_done(self) -> bool:
        return self._state.epoch >= self._settings.epochs or self._stops_after(self._state.epoch)

    def _stops_after(self, epochs: int) -> bool:
        """Whether the patience is at its end after so many epochs, and others would have come."""
        return self._early_stopping is not None and self._early_stopping.is_over and epochs < self._settings.epochs

    def _resume(self, saved: SavedJob) -> None:
        self._trainer.restore(saved.trainer)
        self._state = saved.state
        self._metrics.restore(saved.state.metric_totals)
        if self._early_stopping is not None and saved.state.best is not None and saved.best is not None:
            self._early_stopping.restore(saved.state.best, saved.best)
        self._log.resume(saved.state)
        self._metrics_file.resume(saved.state.metric_lines, epoch=saved.state.epoch, batch=saved.state.batch)

    def _epoch(self) -> None:
        begin = time.time()
        state = self._state
        resumed_at = state.batch
        if not resumed_at:
            state.history = LossHistory()
            self._metrics = running_metrics(self._settings.predictor_type)
        with closing(self._steps.epoch(state.epoch, state.batch)) as steps:
            for trained in steps:
                self._add(trained)
                if self._checkpointing is not None and self._checkpointing.is_due:
                    self.save_checkpoint()
        if self._stop.requested:
            return
        self._warn_of_order()
        trained_at = time.time()
        validation = self._score_validation()  # which may be stopped: then the epoch is not over
        self._report("train", self._metrics, self._steps.records, trained_at - begin)
        if validation is not None:
            self._report("validation", *validation, time.time() - trained_at)
            self._watch(validation[0])
        state.epoch_losses = [*state.epoch_losses[-1:], self._metrics.loss]
        # The last batch, if it was trained before the stop, may have been a short one.
        trained_here = max(0, self._steps.records - resumed_at * self._steps.step_size)
        batches, state.batch = state.batch, 0
        state.epoch += 1
        self._log.epoch_end(
            state, self._metrics, batches=batches, records=self._steps.records, trained=trained_here, begin=begin,
            is_last=self._is_done,
        )  # fmt: skip
        self.save_checkpoint()

    def _add(self, trained: StepSums) -> None:
        state = self._state
        for sums in trained.sums:
            self._metrics.add_sums(sums, trained.records)
            self._log.batch_metrics(state.epoch, state.batch, self._metrics)
            state.batch += 1
        state.history.add(self._metrics.batch_losses(trained.sums, trained.records))

    def _report(self, channel: str, metrics: RunningMetrics, rows: int, seconds: float) -> None:
        """Tell what the epoch gave on a channel."""
        self._log.epoch_metrics(self._state.epoch, metrics, channel=channel)
        values = {metric.name: metric.value for metric in metrics.values()}
        self._metrics_file.epoch(self._state.epoch, channel, values, rows=rows, seconds=seconds)

    def _score_validation(self) -> tuple[RunningMetrics, int] | None:
        """The metrics on the channel that early stopping watches, and its records."""
        if self._early_stopping is None or self._validation is None:
            return None
        score = score_channel if self._fleet is None else self._fleet.score
        metrics, records = score(self._trainer.machine(), self._validation, threads=self._threads)
        if not records:
            raise DataError(f"Channel '{self._validation.channel.name}' holds no records. Provide at least one.")
        return metrics, records

    def _watch(self, validation: RunningMetrics) -> None:
        watch = self._early_stopping
        if watch is None:
            return
        watch.add(self._state.epoch, validation.loss, self._trainer.parameters)
        self._state.best = watch.best
        if self._stops_after(self._state.epoch + 1) and watch.best is not None:
            self._metrics_file.early_stop(self._state.epoch, watch.best.epoch)
            self._job_log.info(
                f"Stopped early: the validation loss has not improved since epoch {watch.best.epoch}, whose parameters "
                "are restored."
            )

    def _warn_of_order(self) -> None:
        in_order = self._state.epoch == 0 and not self._settings.shuffle and self._state.batch > 1
        if in_order and self._data.label_order.is_sorted:
            self._job_log.warning(
                "The training records are sorted by label, and mini-batches take them in this order, so that each "
                "holds one kind of label only. Shuffle the records, or set shuffle to 'true'."
            )
