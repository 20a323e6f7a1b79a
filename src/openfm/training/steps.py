"""The steps that training takes, epoch after epoch; here those of a host that trains by itself."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from openfm.errors import DataError
from openfm.fm.trainer import BatchBlock, Trainer
from openfm.training.data import TrainingData
from openfm.training.stop import StopRequest

__all__ = ["OwnSteps", "StepSums", "Steps", "too_few_steps"]

_PIECE_SECONDS = 0.2  # how long a stop request or a checkpoint that is due may wait for the kernels


class StepSums(NamedTuple):
    """What some steps gave.

    Attributes:
        sums: float64, shape (steps, 5): of each, for :meth:`RunningMetrics.add_sums`.
        records: of each step, with padding.
    """

    sums: npt.NDArray[np.float64]
    records: int


class Steps(Protocol):
    """Trains the steps of epochs."""

    @property
    def step_size(self) -> int:
        """Records of a whole step."""

    @property
    def records(self) -> int:
        """Records of the epoch that was trained last."""

    def epoch(self, number: int, done: int) -> Generator[StepSums, None, None]:
        """Train an epoch, or until a stop is requested.

        Args:
            number: of the epoch, from 0.
            done: how many of its steps are done already.

        Yields:
            what the steps give, some at a time, in order.

        Raises:
            ReadingStoppedError: a stop was requested while records were read.
            DataError: a record cannot be read or trained on, or the epoch does not have the steps that are done.
            TrainingDivergedError: a parameter or metric is no longer finite.
        """


class OwnSteps:
    """Each mini-batch is a step.

    Args:
        data: the mini-batches.
        trainer: trains them.
        step_size: ``mini_batch_size``.
        stop: asked all the time whether to stop early.
    """

    def __init__(self, data: TrainingData, trainer: Trainer, step_size: int, stop: StopRequest) -> None:
        self._step_size = step_size
        self._data = data
        self._trainer = trainer
        self._stop = stop
        self._pace = _Pace()

    @property
    def step_size(self) -> int:
        """Records of a whole step."""
        return self._step_size

    @property
    def records(self) -> int:
        """Records of the epoch that was trained last."""
        return self._data.records

    def epoch(self, number: int, done: int) -> Generator[StepSums, None, None]:
        """Train an epoch: see :class:`Steps`."""
        first = 0  # of the block, within the epoch
        with closing(self._data.epoch(number)) as blocks:
            for block in blocks:
                yield from self._train_block(block, max(0, done - first), number, first)
                if self._stop.requested:
                    return
                first += block.batches
        if first < done:
            raise too_few_steps(done, first)

    def _train_block(self, block: BatchBlock, begin: int, epoch: int, first: int) -> Generator[StepSums, None, None]:
        while begin < block.batches and not self._stop.requested:
            end = min(block.batches, begin + self._pace.batches)
            started = time.monotonic()
            sums = self._trainer.train(block, begin, end, epoch=epoch, first_batch=first + begin)
            self._pace.measured(end - begin, time.monotonic() - started)
            yield StepSums(sums, self._step_size)
            begin = end


class _Pace:
    """How many mini-batches to train at a time, so that it takes a fraction of a second."""

    def __init__(self) -> None:
        self.batches = 1

    def measured(self, batches: int, seconds: float) -> None:
        """So many batches took so long."""
        fitting = int(batches * _PIECE_SECONDS / max(seconds, 1e-6))
        self.batches = max(1, min(fitting, self.batches * 8))


def too_few_steps(done: int, found: int) -> DataError:
    """The epoch that a checkpoint is within has become shorter."""
    return DataError(
        f"The checkpoint is {done} mini-batches into an epoch, but the training channel now holds only {found}. Give "
        "the job the data that it began with, or an empty checkpoint folder."
    )
