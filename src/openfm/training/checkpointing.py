"""The state of a job, to and from checkpoints."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field

from openfm.contract.checkpoints import ArrayPieces, Checkpoint, CheckpointFolder
from openfm.contract.hyperparameters import Hyperparameters
from openfm.contract.job_log import JobLog
from openfm.errors import ChannelError
from openfm.fm.trainer import PARTS, ByGroup, Trainer, TrainerState
from openfm.training.early_stopping import BestEpoch
from openfm.training.progress import LossHistory

__all__ = ["Checkpointing", "JobState", "SavedJob"]

# What may differ between the job that wrote a checkpoint and the one that goes on: it changes no parameter.
_FREE = {
    "epochs",
    "batch_metrics_publish_interval",
    "_data_format",
    "_kvstore",
    "_log_level",
    "_num_gpus",
    "_num_kv_servers",
    "_optimizer",
    "_tuning_objective_metric",
    "_use_full_symbolic",
}

_GROUPS = ("bias", "linear", "factors")
_BEST = "best"


class JobState(BaseModel):
    """How far a job is, but for the parameters.

    Attributes:
        epoch: epochs that are done.
        batch: mini-batches of the next epoch that are done.
        metric_totals: of the metrics of the last epoch, whole or begun (:meth:`RunningMetrics.totals`).
        epoch_losses: mean training losses of the last two epochs that are done.
        history: losses within the last epoch, whole or begun.
        best: of early stopping.
        metric_lines: of ``metrics.jsonl`` so far.
    """

    epoch: int = Field(default=0, ge=0)
    batch: int = Field(default=0, ge=0)
    metric_totals: list[float] = []
    epoch_losses: list[float] = Field(default=[], max_length=2)
    history: LossHistory = LossHistory()
    best: BestEpoch | None = None
    metric_lines: list[str] = []


class _Meta(BaseModel):
    hyperparameters: dict[str, Any]
    step: int = Field(ge=0, le=2**53)
    state: JobState


class SavedJob:
    """A checkpoint, understood.

    Attributes:
        checkpoint: as it was read.
        hyperparameters: of the job that wrote it.
        state: of that job.
        trainer: its parameters and the optimiser's state.
        best: the best epoch's parameters, if early stopping has one.

    Raises:
        ValueError: the checkpoint does not hold a job's state.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        meta = _Meta.model_validate(checkpoint.meta)
        arrays = checkpoint.arrays
        self.hyperparameters = meta.hyperparameters
        self.state = meta.state
        shape = int(meta.hyperparameters["feature_dim"]), int(meta.hyperparameters["num_factors"])
        parts = (_by_group(part, arrays, shape) for part in PARTS)
        self.trainer = TrainerState(meta.step, *parts)
        self.best = None if meta.state.best is None else _by_group(_BEST, arrays, shape)
        self.nbytes = sum(array.nbytes for array in arrays.values())


class Checkpointing:
    """Saves and finds the state of a job.

    Args:
        folder: of the checkpoints.
        hyperparameters: of the job.
        log: of the job.
        seconds: how often a checkpoint is due within an epoch.
    """

    def __init__(
        self, folder: CheckpointFolder, hyperparameters: Hyperparameters, log: JobLog, *, seconds: float
    ) -> None:
        self._folder = folder
        self._hyperparameters = hyperparameters.model_dump(mode="json", by_alias=True)
        self._defaults = {
            field.alias or name: field.default for name, field in type(hyperparameters).model_fields.items()
        }
        self._log = log
        self._seconds = seconds
        self._saved_at = time.monotonic()
        self._saved: tuple[int, int, int] | None = None  # step, epoch and batch of the last checkpoint

    @property
    def is_due(self) -> bool:
        """Whether the last checkpoint is old enough for another within the epoch."""
        return time.monotonic() - self._saved_at >= self._seconds

    def save(self, trainer: Trainer, state: JobState, best: ByGroup | None) -> None:
        """Write a checkpoint, unless the last one holds the same.

        Raises:
            PlatformError: it cannot be written.
        """
        place = trainer.step, state.epoch, state.batch
        if place == self._saved:
            return
        meta = _Meta(hyperparameters=self._hyperparameters, step=trainer.step, state=state)
        path = self._folder.save(trainer.step, meta.model_dump(mode="json"), _arrays(trainer, best))
        self._saved, self._saved_at = place, time.monotonic()
        self._log.debug(f"Saved a checkpoint to {path}")

    def find(self) -> SavedJob | None:
        """The newest checkpoint that can be read; None: there is none.

        Raises:
            ChannelError: it is of a job with other hyperparameters.
        """
        saved, remarks = self._folder.newest(SavedJob)
        for remark in remarks:
            self._log.warning(remark)
        if saved is not None:
            self._check_hyperparameters(saved.hyperparameters)
        return saved

    def _check_hyperparameters(self, others: Mapping[str, Any]) -> None:
        # What an older version did not know had the effect of today's default.
        differing = [
            f"{name} {others.get(name, self._defaults.get(name))!r} there and {value!r} here"
            for name, value in sorted(self._hyperparameters.items())
            if name not in _FREE and others.get(name, self._defaults.get(name)) != value
        ]
        if differing:
            raise ChannelError(
                f"The checkpoint is of a job with other hyperparameters: {', '.join(differing)}. Give the job the same "
                "hyperparameters (epochs may differ), or an empty checkpoint folder."
            )


def _arrays(trainer: Trainer, best: ByGroup | None) -> Iterator[ArrayPieces]:
    for part in PARTS:
        yield _bias(part, trainer.bias(part))
        yield ArrayPieces.whole(f"linear.{part}", trainer.linear(part))
        yield ArrayPieces(f"factors.{part}", trainer.shape, trainer.factor_pieces(part))
    if best is not None:
        bias, linear, factors = best
        yield _bias(_BEST, bias)
        yield ArrayPieces.whole(f"linear.{_BEST}", linear)
        yield ArrayPieces.whole(f"factors.{_BEST}", factors)


def _bias(part: str, value: float) -> ArrayPieces:
    return ArrayPieces.whole(f"bias.{part}", np.full(1, value, dtype=np.float32))


def _by_group(part: str, arrays: Mapping[str, npt.NDArray[np.float32]], shape: tuple[int, int]) -> ByGroup:
    bias, linear, factors = (arrays[f"{group}.{part}"] for group in _GROUPS)
    if (bias.shape, linear.shape, factors.shape) != ((1,), shape[:1], shape):
        raise ValueError(f"the {part} do not have the shapes of its hyperparameters")
    return float(bias[0]), linear, factors
