"""The state of a job, to and from checkpoints."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from openfm.contract.checkpoints import Checkpoint, CheckpointFolder
from openfm.contract.hyperparameters import Hyperparameters
from openfm.contract.job_log import JobLog
from openfm.errors import ChannelError
from openfm.fm.model import FactorizationMachine
from openfm.fm.trainer import ByGroup, Trainer, TrainerState
from openfm.training.early_stopping import EarlyStopping

__all__ = ["Checkpointing", "JobState"]

# What may differ between the job that wrote a checkpoint and the one that goes on: it changes no parameter.
_FREE = {"epochs", "log_level", "batch_metrics_publish_interval", "tuning_objective_metric"}

_GROUPS = ("bias", "linear", "factors")
_PARTS = ("parameters", "means", "variances")


@dataclass(slots=True)
class JobState:
    """How far a job is, but for the trainer's own state.

    Attributes:
        epoch: epochs that are done.
        batch: mini-batches of the next epoch that are done.
        metric_totals: of the metrics of the last epoch, whole or begun (:meth:`RunningMetrics.totals`).
        epoch_losses: mean training loss of each epoch that is done.
        batch_losses: mean training loss of each mini-batch of the last epoch, whole or begun.
    """

    epoch: int = 0
    batch: int = 0
    metric_totals: list[float] = field(default_factory=list)
    epoch_losses: list[float] = field(default_factory=list)
    batch_losses: list[float] = field(default_factory=list)


class Checkpointing:
    """Saves and restores a job.

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
        self._hyperparameters = hyperparameters.model_dump(mode="json", exclude=_FREE)
        self._log = log
        self._seconds = seconds
        self._saved = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether the last checkpoint is old enough for another within the epoch."""
        return time.monotonic() - self._saved >= self._seconds

    def save(self, trainer: Trainer, state: JobState, early_stopping: EarlyStopping | None) -> None:
        """Write a checkpoint.

        Raises:
            PlatformError: it cannot be written.
        """
        trained = trainer.state()
        arrays: dict[str, npt.NDArray[np.float32]] = {}
        for part in _PARTS:
            arrays |= _arrays(part, getattr(trained, part))
        meta: dict[str, Any] = {
            "hyperparameters": self._hyperparameters,
            "step": trained.step,
            "state": asdict(state),
        }
        if early_stopping is not None and early_stopping.best_machine is not None:
            best = early_stopping.best_machine
            meta["early_stopping"] = early_stopping.state()
            arrays |= _arrays("best", (best.bias, best.linear, best.factors))
        path = self._folder.save(trained.step, Checkpoint(meta, arrays))
        self._saved = time.monotonic()
        self._log.debug(f"Saved a checkpoint to {path}")

    def restore(self, trainer: Trainer, early_stopping: EarlyStopping | None) -> JobState | None:
        """Go on from the newest checkpoint that can be read.

        Returns:
            how far the job was; None: there is no checkpoint.

        Raises:
            ChannelError: the checkpoint is of a job with other hyperparameters.
        """
        checkpoint, remarks = self._folder.newest()
        for remark in remarks:
            self._log.warning(remark)
        if checkpoint is None:
            return None
        meta, arrays = checkpoint.meta, checkpoint.arrays
        self._check_hyperparameters(meta["hyperparameters"])
        parameters, means, variances = (_by_group(part, arrays) for part in _PARTS)
        trainer.restore(TrainerState(meta["step"], parameters, means, variances))
        if early_stopping is not None and "early_stopping" in meta:
            machine = trainer.machine()
            best = FactorizationMachine(*_by_group("best", arrays), machine.predictor_type)
            early_stopping.restore(meta["early_stopping"], best)
        return JobState(**meta["state"])

    def _check_hyperparameters(self, others: dict[str, Any]) -> None:
        differing = [
            f"{name} {others.get(name)!r} there and {self._hyperparameters.get(name)!r} here"
            for name in sorted(others.keys() | self._hyperparameters.keys())
            if others.get(name) != self._hyperparameters.get(name)
        ]
        if differing:
            raise ChannelError(
                "The checkpoint is of a job with other hyperparameters: "
                f"{', '.join(differing)}. Give the job the same hyperparameters (only epochs may differ), or an empty "
                "checkpoint folder."
            )


def _arrays(part: str, values: ByGroup) -> dict[str, npt.NDArray[np.float32]]:
    arrays = (np.full(1, values[0], dtype=np.float32), values[1], values[2])
    return {f"{group}.{part}": array for group, array in zip(_GROUPS, arrays, strict=True)}


def _by_group(part: str, arrays: Any) -> ByGroup:
    bias, linear, factors = (arrays[f"{group}.{part}"] for group in _GROUPS)
    return float(bias[0]), linear, factors
