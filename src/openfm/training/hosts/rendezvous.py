"""How the hosts of a job find each other.

Rank is the index in the sorted list of hosts. The first host runs two trackers (see
:mod:`openfm.training.hosts.tracker`), at a port and the one after it: at the first the ring of the heartbeat is formed,
and under its eyes that of training at the second. Each host tries again and again until all are there, because they may
come up minutes apart.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait

from openfm.contract.config import ResourceConfig
from openfm.contract.environment import Environment
from openfm.errors import PlatformError
from openfm.training.hosts.discovery import address_towards, resolve
from openfm.training.hosts.engine import Communicator, Ring, require_engine
from openfm.training.hosts.group import HostGroup
from openfm.training.hosts.tracker import TrackerProcess
from openfm.training.stop import JoiningStoppedError

__all__ = ["connect"]

_POLL_SECONDS = 0.1


def connect(
    resources: ResourceConfig,
    environment: Environment,
    *,
    stopping: Callable[[], bool],
    log: Callable[[str], None],
    leave: Callable[[PlatformError], object],
) -> HostGroup:
    """Connect this host with the others of its job; a :class:`~openfm.training.hosts.fleet.Connect`.

    The process must end by :mod:`openfm.training.hosts.leaving` afterwards, also where this raises.

    Args:
        resources: which hosts there are, two or more.
        environment: tells the port at which they meet, and how long to wait.
        stopping: asked all the time whether to give up.
        log: told what is waited for.
        leave: ends the process with an error; called on another thread where a host is lost and this one does not see.

    Raises:
        CustomerError: the engine is not installed.
        PlatformError: the hosts have not come together in time, or one was lost.
        JoiningStoppedError: as requested.
    """
    require_engine(len(resources.hosts))
    group = HostGroup(resources.hosts, resources.rank, leave)
    return _Meeting(resources, environment, stopping, log).hold(group)


class _Meeting:
    """One attempt to come together; the arguments are those of :func:`connect`."""

    def __init__(
        self,
        resources: ResourceConfig,
        environment: Environment,
        stopping: Callable[[], bool],
        log: Callable[[str], None],
    ) -> None:
        self._hosts, self._rank, self._port = resources.hosts, resources.rank, environment.hosts_port
        self._wait_seconds = environment.hosts_wait
        self._deadline = time.monotonic() + self._wait_seconds
        self._stopping, self._log = stopping, log
        self._tracker: TrackerProcess | None = None
        self._reason = "not all have come"
        self._told: str | None = None

    def hold(self, group: HostGroup) -> HostGroup:
        """Connect the group."""
        self._log(
            f"This is '{self._hosts[self._rank]}', of rank {self._rank} among {len(self._hosts)} hosts: "
            f"{', '.join(self._hosts)}. They meet at '{self._hosts[0]}', ports {self._port} and {self._port + 1}."
        )
        addresses = resolve(self._hosts, self._wait_for)
        if self._rank == 0:
            anywhere = "::" if ":" in addresses[0] else "0.0.0.0"
            self._tracker = TrackerProcess(anywhere, [self._port, self._port + 1], len(self._hosts))
        try:
            address = self._own_address(addresses[1]) if self._rank == 0 else addresses[0]
            self._join(group.heartbeat_ring, address, self._port)
            group.heartbeat.start()
            self._join(group.ring, address, self._port + 1)
        finally:
            if self._tracker is not None:
                self._tracker.stop()
        self._log(f"All {len(self._hosts)} hosts are connected.")
        return group

    def _own_address(self, other: str) -> str:
        """The first host is known to the others by the address that it comes to the tracker from."""
        while True:
            try:
                return address_towards(other)
            except OSError as error:  # a network that is coming up
                self._wait_for(f"there is no way to '{self._hosts[1]}' ({error.strerror})")
                time.sleep(_POLL_SECONDS)

    def _join(self, ring: Ring, address: str, port: int) -> None:
        cancelled = threading.Event()
        communicator = Communicator(address, port, self._rank, len(self._hosts))
        try:
            self._wait(ring.start(lambda: communicator.join(cancelled, self._failed)))
        finally:
            cancelled.set()

    def _wait(self, joined: Future[None]) -> None:
        while not wait([joined], timeout=_POLL_SECONDS).done:
            if self._tracker is not None:
                self._tracker.keep()
            self._check()
        joined.result()

    def _failed(self, reason: str) -> None:
        self._reason = f"'{self._hosts[0]}' cannot be joined ({reason})"

    def _wait_for(self, reason: str) -> None:
        if reason != self._told:
            self._log(f"Waiting for the other hosts: {reason}.")
        self._told = self._reason = reason
        self._check()

    def _check(self) -> None:
        if self._stopping():
            raise JoiningStoppedError
        if time.monotonic() > self._deadline:
            raise PlatformError(
                f"The {len(self._hosts)} hosts of the job have not come together within {self._wait_seconds:g} "
                f"seconds: {self._reason}. This is '{self._hosts[self._rank]}', of rank {self._rank}. See that all of "
                f"{', '.join(self._hosts)} run the job and may connect to each other over TCP, with ports "
                f"{self._port} and {self._port + 1} open at '{self._hosts[0]}', or set OPENFM_HOSTS_WAIT to more."
            )
