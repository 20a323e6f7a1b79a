"""The hosts of a job, connected: what training uses of the engine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from openfm.errors import PlatformError
from openfm.training.hosts.engine import Operation, Ring, engine_error, root_cause
from openfm.training.hosts.heartbeat import Heartbeat

__all__ = ["HostGroup"]

GRACE_SECONDS = 10.0
"""How long the job has, after a host is lost, to find out by itself at the next collective and to end in order."""


class HostGroup:
    """The hosts of a job; a :class:`~openfm.training.hosts.collective.Collective`.

    A host may be waited for as long as it takes, but a host that is lost (dead, hung, cut off) ends the job: the
    collective at hand, or the next, raises a PlatformError, and where none comes within ten seconds ``leave`` is
    called.

    Args:
        hosts: their names in order.
        rank: which of them this is.
        leave: ends the process with an error; called on another thread.

    Attributes:
        step: the number of the mini-batch that is being trained; the sentence about a lost host tells it.
    """

    def __init__(self, hosts: Sequence[str], rank: int, leave: Callable[[PlatformError], object]) -> None:
        self.step = 0
        self._hosts = tuple(hosts)
        self._rank = rank
        self._leave = leave
        self._lock = threading.Lock()
        self._loss: PlatformError | None = None
        self.ring = Ring("openfm-hosts")
        self.heartbeat_ring = Ring("openfm-heartbeat")
        self.heartbeat = Heartbeat(self.heartbeat_ring, on_lost=self._miss)

    @property
    def rank(self) -> int:
        """The number of this host, from 0: its place in the sorted list of hosts."""
        return self._rank

    @property
    def size(self) -> int:
        """How many hosts there are."""
        return len(self._hosts)

    def sum(self, array: npt.NDArray[Any]) -> None:
        """Add up."""
        self._allreduce(array, "SUM")

    def maximum(self, array: npt.NDArray[Any]) -> None:
        """Keep the largest of each element."""
        self._allreduce(array, "MAX")

    def bitwise_or(self, array: npt.NDArray[np.uint8]) -> None:
        """Keep the bits that any host has set."""
        self._allreduce(array, "BITWISE_OR")

    def finish(self) -> None:
        """Wait until all hosts have come here, after which any may leave.

        Raises:
            PlatformError: a host is lost.
        """
        self._allreduce(np.zeros(1, np.uint8), "MAX")
        try:
            self.heartbeat.finish()
        except engine_error() as error:
            raise self._lost(root_cause(error)) from error

    def _allreduce(self, array: npt.NDArray[Any], operation: Operation) -> None:
        if not len(array):
            return
        try:
            self.ring.allreduce(array, operation)
        except engine_error() as error:
            raise self._lost(root_cause(error)) from error

    def _miss(self, reason: str) -> None:
        """The heartbeat stopped: end what waits for other hosts, and after a while the process."""
        error = self._lost(reason)
        self.ring.fail(error)
        threading.Event().wait(GRACE_SECONDS)
        self._leave(error)

    def _lost(self, reason: str) -> PlatformError:
        """The error of this group; the first reason stands, for others follow from it."""
        with self._lock:
            if self._loss is None:
                before, after = (self._hosts[(self._rank + offset) % self.size] for offset in (-1, 1))
                self._loss = PlatformError(
                    f"The connection to the other hosts was lost at step {self.step}: {reason}. This is "
                    f"'{self._hosts[self._rank]}', of rank {self._rank} among {self.size} hosts; its neighbours in the "
                    f"ring are '{before}' and '{after}'. Look at the logs of the other hosts for the first that "
                    "failed, and start the job again on all of them: it goes on from its last checkpoint, if it keeps "
                    "checkpoints."
                )
            return self._loss
