"""How much memory a training job takes, as it says at its start and ``docs/memory.md`` explains."""

from __future__ import annotations

from dataclasses import dataclass

from openfm.contract import memory
from openfm.errors import HyperparameterError
from openfm.fm.settings import TrainingSettings
from openfm.fm.trainer import trainer_bytes
from openfm.training.hosts.lookahead import MOST_STEPS

__all__ = ["BASE_BYTES", "JobMemory", "travelling_bytes"]

BASE_BYTES = 64 * 2**20
"""What a job takes beside its model and the data it keeps: the interpreter, libraries, and blocks on their way."""

_TOGETHER_BYTES = 5  # for each feature, with other hosts: whether it is in a step, and where

_CACHE_SHARE = 0.75  # of the memory that is left, by default; the rest is for the files' pages and for others


@dataclass(frozen=True, slots=True)
class JobMemory:
    """The memory of a job, in bytes.

    Attributes:
        model: of the parameters and the optimiser's state.
        cache: the most that data kept from one epoch to the next may take.
        saved: of the checkpoint that the job goes on from, until the trainer has taken it over, before data are kept.
        travelling: the most that a step's gradients may take on their way to other hosts: if all features occur in it.
        travelling_each: of that, for one feature.
    """

    model: int
    cache: int
    saved: int = 0
    travelling: int = 0
    travelling_each: int = 0

    @classmethod
    def plan(
        cls,
        settings: TrainingSettings,
        cache_bytes: int | None,
        *,
        model_copies: int = 0,
        saved: int = 0,
        hosts: int = 1,
    ) -> JobMemory:
        """Divide the memory that the job may have.

        Args:
            settings: of the job.
            cache_bytes: what the data kept may take, where it is given; by default three quarters of what the model
                leaves of the memory that this process may still have.
            model_copies: how many copies of the parameters there may be beside, for which memory is then left.
            saved: the bytes of the checkpoint that the job goes on from, which are in memory already.
            hosts: how many train together.

        Raises:
            HyperparameterError: the model does not fit.
        """
        model = trainer_bytes(settings.feature_dim, settings.num_factors)
        each = 0
        if hosts > 1:
            model += _TOGETHER_BYTES * settings.feature_dim
            each = travelling_bytes(settings.num_factors, hosts)
        travelling = each * settings.feature_dim
        limit = memory.memory_limit()
        if model + saved + BASE_BYTES > limit:
            beside = f" beside the {saved} of the checkpoint that the job goes on from" if saved else ""
            raise HyperparameterError(
                f"The parameters and the optimiser's state take {model} bytes of memory{beside}, for feature_dim "
                f"{settings.feature_dim} and num_factors {settings.num_factors}, which is more than the machine or its "
                "limit gives. Set a smaller feature_dim or num_factors, or give the job more memory."
            )
        if cache_bytes is None:
            copies = model_copies * 4 * (settings.num_factors + 1) * settings.feature_dim
            left = memory.available_memory() + saved - model - copies - travelling - BASE_BYTES
            cache_bytes = max(0, int(left * _CACHE_SHARE))
        return cls(model, cache_bytes, saved, travelling, each)

    def __str__(self) -> str:
        saved = (
            f"{_mebibytes(self.saved)} more at the start for the checkpoint that the job goes on from, "
            if self.saved
            else ""
        )
        travelling = (
            f"up to {_mebibytes(self.travelling)} for gradients on their way between the hosts ({self.travelling_each} "
            "bytes for each feature that occurs in a step), "
            if self.travelling
            else ""
        )
        return (
            f"Memory: {_mebibytes(self.model)} for the parameters and the optimiser's state, {saved}up to "
            f"{_mebibytes(self.cache)} for data kept from one epoch to the next (14 bytes for each non-zero value, 16 "
            "for each record, 8 for each feature of a mini-batch; OPENFM_CACHE_BYTES sets the bound), "
            f"{travelling}and about {_mebibytes(BASE_BYTES)} beside."
        )


def travelling_bytes(num_factors: int, hosts: int) -> int:
    """What a feature of a step takes while its gradients travel between hosts, in bytes.

    They are there once, once more in the engine, and a part of them as it comes in from the host before. Beside them
    stand the features of all steps that the hosts have agreed on.
    """
    gradients = 4 * (num_factors + 1)
    return 2 * gradients + -(-gradients // hosts) + 4 * MOST_STEPS


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:.1f} MiB"
