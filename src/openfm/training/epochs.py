"""The epochs of a job: trains piece by piece, and keeps what a job that is killed can go on from."""

from __future__ import annotations

import time
from contextlib import closing

import numpy as np
import numpy.typing as npt

from openfm.contract.hyperparameters import DenseNetwork, Hyperparameters
from openfm.contract.job_log import JobLog
from openfm.data.reader import ChannelReader, ReadingStoppedError
from openfm.errors import DataError
from openfm.fm.metrics import RunningMetrics, running_metrics
from openfm.fm.model import FactorizationMachine
from openfm.fm.trainer import BatchBlock, Trainer
from openfm.training.checkpointing import Checkpointing, JobState, SavedJob
from openfm.training.data import TrainingData
from openfm.training.early_stopping import EarlyStopping
from openfm.training.epoch_log import EpochLog
from openfm.training.progress import LossHistory, still_improving
from openfm.training.scoring import score_channel
from openfm.training.stop import StopRequest

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

_PIECE_SECONDS = 0.2  # how long a stop request or a checkpoint that is due may wait for the kernels


class EpochLoop:
    """Trains the epochs of one job.

    Args:
        hyperparameters: of the job.
        trainer: with the parameters to start from.
        train: reads the training channel.
        validation: reads the channel that early stopping watches; None: there is no early stopping.
        log: of the job.
        stop: asked all the time whether to stop early.
        checkpointing: where the job's state goes to; None: nowhere.
        saved: the state to go on from; ``trainer`` has its parameters.
        cache_bytes: how much memory may be used to keep data from one epoch to the next.
        threads: how many threads read and score.
    """

    def __init__(
        self,
        hyperparameters: Hyperparameters,
        trainer: Trainer,
        train: ChannelReader,
        validation: ChannelReader | None,
        *,
        log: JobLog,
        stop: StopRequest,
        checkpointing: Checkpointing | None,
        saved: SavedJob | None,
        cache_bytes: int,
        threads: int,
    ) -> None:
        self._settings = hyperparameters.network_settings()
        self._trainer = trainer
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
        )
        self._job_log = log
        self._log = EpochLog(log, self._settings, hyperparameters.batch_metrics_publish_interval)
        self._early_stopping = (
            EarlyStopping(hyperparameters.early_stopping_patience, hyperparameters.early_stopping_tolerance)
            if hyperparameters.early_stopping_patience is not None
            else None
        )
        self._state = JobState()
        self._metrics = running_metrics(self._settings.predictor_type)
        self._pace = _Pace()
        self._is_finished = False
        if saved is not None:
            self._resume(saved)

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
            best = None if self._early_stopping is None else self._early_stopping.parameters
            self._checkpointing.save(self._trainer, self._state, best)

    @property
    def _is_done(self) -> bool:
        stopped_early = self._early_stopping is not None and self._early_stopping.is_over
        return self._state.epoch >= self._settings.epochs or stopped_early

    def _resume(self, saved: SavedJob) -> None:
        self._trainer.restore(saved.trainer)
        self._state = saved.state
        self._metrics.restore(saved.state.metric_totals)
        if self._early_stopping is not None and saved.state.best is not None and saved.best is not None:
            self._early_stopping.restore(saved.state.best, saved.best)
        self._log.resume(saved.state)

    def _epoch(self) -> None:
        begin = time.time()
        state = self._state
        resumed_at = state.batch
        if not resumed_at:
            state.history = LossHistory()
            self._metrics = running_metrics(self._settings.predictor_type)
        with closing(self._data.epoch(state.epoch)) as blocks:
            batches = 0
            for block in blocks:
                self._train_block(block, batches)
                if self._stop.requested:
                    return
                batches += block.batches
        if batches < state.batch:
            raise DataError(
                f"The checkpoint is {state.batch} mini-batches into an epoch, but the training channel now holds only "
                f"{batches}. Give the job the data that it began with, or an empty checkpoint folder."
            )
        self._warn_of_order()
        validation = self._score_validation()
        self._log.epoch_metrics(state.epoch, self._metrics)
        if validation is not None:
            self._log.epoch_metrics(state.epoch, validation, channel="validation")
            self._watch(validation)
        state.epoch_losses = [*state.epoch_losses[-1:], self._metrics.loss]
        state.epoch += 1
        state.batch = 0
        # The last batch, if it was trained before the stop, may have been a short one.
        trained = max(0, self._data.records - resumed_at * self._settings.mini_batch_size)
        self._log.epoch_end(
            state, self._metrics, batches=batches, records=self._data.records, trained=trained, begin=begin,
            is_last=self._is_done,
        )  # fmt: skip
        self.save_checkpoint()

    def _train_block(self, block: BatchBlock, first: int) -> None:
        """Train the batches of a block that are not done yet; ``first`` is the number of its first in the epoch."""
        state = self._state
        while state.batch < first + block.batches and not self._stop.requested:
            begin = state.batch - first
            end = min(block.batches, begin + self._pace.batches)
            started = time.monotonic()
            sums = self._trainer.train(block, begin, end, epoch=state.epoch, first_batch=state.batch)
            self._pace.measured(end - begin, time.monotonic() - started)
            self._add_batches(sums)
            if self._checkpointing is not None and self._checkpointing.is_due:
                self.save_checkpoint()

    def _add_batches(self, sums: npt.NDArray[np.float64]) -> None:
        size, state = self._settings.mini_batch_size, self._state
        for batch_sums in sums:
            self._metrics.add_sums(batch_sums, size)
            self._log.batch_metrics(state.epoch, state.batch, self._metrics)
            state.batch += 1
        state.history.add(self._metrics.batch_losses(sums, size))

    def _score_validation(self) -> RunningMetrics | None:
        if self._early_stopping is None or self._validation is None:
            return None
        metrics, records = score_channel(self._trainer.machine(), self._validation, threads=self._threads)
        if not records:
            raise DataError(f"Channel '{self._validation.channel.name}' holds no records. Provide at least one.")
        return metrics

    def _watch(self, validation: RunningMetrics) -> None:
        watch = self._early_stopping
        if watch is None:
            return
        watch.add(self._state.epoch, validation.loss, self._trainer.parameters())
        self._state.best = watch.best
        if watch.is_over and watch.best is not None:
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


class _Pace:
    """How many mini-batches to train at a time, so that it takes a fraction of a second."""

    def __init__(self) -> None:
        self.batches = 1

    def measured(self, batches: int, seconds: float) -> None:
        """So many batches took so long."""
        fitting = int(batches * _PIECE_SECONDS / max(seconds, 1e-6))
        self.batches = max(1, min(fitting, self.batches * 8))
