"""This host among those that train together: all that a job needs to know of them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from openfm.contract.config import InputDataConfig, ResourceConfig
from openfm.contract.environment import Environment
from openfm.data.channel import Channel
from openfm.data.reader import ChannelReader, ReadingStoppedError
from openfm.errors import CustomerError
from openfm.fm.auc import AreaUnderCurve
from openfm.fm.metrics import RunningMetrics, running_metrics
from openfm.fm.model import FactorizationMachine
from openfm.fm.settings import TrainingSettings
from openfm.fm.trainer import Trainer
from openfm.training.checkpointing import SavedJob
from openfm.training.data import TrainingData
from openfm.training.hosts.channels import find_channel_together
from openfm.training.hosts.collective import Collective, gathered, send
from openfm.training.hosts.sharing import share_machine, share_saved
from openfm.training.hosts.steps import TogetherSteps
from openfm.training.part import WHOLE, Part
from openfm.training.scoring import score_channel
from openfm.training.stop import StopRequest

__all__ = ["Connect", "Fleet"]


class Connect(Protocol):
    """Connects this host with the others of its job."""

    def __call__(
        self,
        resources: ResourceConfig,
        environment: Environment,
        *,
        stopping: Callable[[], bool],
        log: Callable[[str], None],
    ) -> Collective:
        """Wait until all hosts are connected.

        Args:
            resources: which hosts there are.
            environment: openfm's own variables.
            stopping: asked all the time whether to give up.
            log: told what is waited for.

        Raises:
            PlatformError: not all hosts have come.
        """


class Fleet:
    """The hosts of a job, connected. Every method that says so is called on all of them.

    Args:
        collective: of the hosts.
        hosts: their names, sorted.
        inputs: tells which channels are sharded.
        stop: whether this host is asked to stop.

    Attributes:
        agreed: set, on all hosts at the same step, when one of them is asked to stop.
    """

    def __init__(
        self, collective: Collective, hosts: Sequence[str], inputs: InputDataConfig, stop: StopRequest
    ) -> None:
        self._collective = collective
        self._hosts = hosts
        self._inputs = inputs
        self._stop = stop
        self.agreed = StopRequest()

    @property
    def is_first(self) -> bool:
        """Whether this host writes what is written once: model, checkpoints, metrics."""
        return self._collective.rank == 0

    @property
    def size(self) -> int:
        """How many hosts there are."""
        return self._collective.size

    def part(self, channel: str) -> Part:
        """Which of the records that this host reads from a channel are its own."""
        if self._inputs.is_sharded(channel):
            return WHOLE
        return Part(self._collective.rank, self._collective.size)

    def settings(self, settings: TrainingSettings) -> TrainingSettings:
        """The settings of a job in which each host takes a mini-batch: the mean is over all of them."""
        if settings.rescale_grad is not None:
            return settings
        return replace(settings, rescale_grad=1.0 / (settings.mini_batch_size * self._collective.size))

    def check_same(self, hyperparameters: str) -> None:
        """See that all hosts run the same job. On all hosts.

        Raises:
            CustomerError: they do not.
        """
        checksums = gathered(self._collective, np.array([zlib.crc32(hyperparameters.encode())], dtype=np.int64))[:, 0]
        differing = np.flatnonzero(checksums != checksums[0])
        if len(differing):
            raise CustomerError(
                f"Host '{self._hosts[int(differing[0])]}' has other hyperparameters than '{self._hosts[0]}'. Give all "
                "hosts the same hyperparameters.json."
            )

    def find_channel(self, data_dir: Path, names: Sequence[str]) -> Channel | None:
        """Look for a channel. On all hosts: see :func:`find_channel_together`."""
        return find_channel_together(self._collective, self._hosts, data_dir, names, self._inputs)

    def agree_to_stop(self) -> None:
        """Set ``agreed`` if any host is asked to stop. On all hosts."""
        flag = np.array([self._stop.requested], dtype=np.int64)
        self._collective.maximum(flag)
        self.agreed.requested |= bool(flag[0])

    def share_saved(self, saved: SavedJob | None) -> SavedJob | None:
        """What the first host found in its checkpoints. On all hosts."""
        return share_saved(self._collective, saved)

    def share_machine(
        self, machine: FactorizationMachine | None, settings: TrainingSettings
    ) -> FactorizationMachine | None:
        """The machine of the first host that has one. On all hosts."""
        return share_machine(self._collective, machine, settings)

    def steps(self, data: TrainingData, trainer: Trainer, settings: TrainingSettings) -> TogetherSteps:
        """The steps of training."""
        return TogetherSteps(
            self._collective,
            self._hosts,
            data,
            trainer,
            settings,
            replicated=data.part.of > 1,
            stop=self._stop,
            agreed=self.agreed,
        )

    def score(
        self,
        machine: FactorizationMachine,
        reader: ChannelReader,
        *,
        threads: int,
        auc: AreaUnderCurve | None = None,
    ) -> tuple[RunningMetrics, int]:
        """Score a channel, each host its part. On all hosts.

        Args:
            machine: the same on all hosts.
            reader: of the channel.
            threads: how many score.
            auc: sees the scores of all hosts, if it is given.

        Returns:
            the metrics of all records, and their number; the same on all hosts.

        Raises:
            DataError: a record of this host cannot be read or scored.
            ReadingStoppedError: some host is asked to stop; ``agreed`` is set.
        """
        own_auc = None if auc is None else AreaUnderCurve()
        metrics, records, stopped = running_metrics(machine.predictor_type), 0, False
        try:
            metrics, records = score_channel(
                machine, reader, threads=threads, auc=own_auc, part=self.part(reader.channel.name)
            )
        except ReadingStoppedError:
            stopped = True
        table = gathered(self._collective, np.array([stopped, records, *metrics.totals()], dtype=np.float64))
        if table[:, 0].any():
            self.agreed.requested = True
            raise ReadingStoppedError
        totals = table[0].copy()
        for of_host in table[1:]:
            totals += of_host
        metrics.restore(totals[2:].tolist())
        if auc is not None and own_auc is not None:
            self._add_scores(auc, own_auc)
        return metrics, int(totals[1])

    def finish(self) -> None:
        """Wait until all hosts have come here, after which any may leave. On all hosts."""
        self._collective.finish()

    def _add_scores(self, auc: AreaUnderCurve, own: AreaUnderCurve) -> None:
        """The scores of every host, one after the other."""
        for label, scores in zip((1.0, 0.0), own.scores(), strict=True):
            counts = gathered(self._collective, np.array([len(scores)], dtype=np.int64))[:, 0].tolist()
            for rank, count in enumerate(counts):
                received = np.array(scores) if rank == self._collective.rank else np.empty(count, dtype=np.float32)
                send(self._collective, received, source=rank)
                auc.add(received, np.full(count, label, dtype=np.float32))
