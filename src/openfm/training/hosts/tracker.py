"""The engine's trackers: where hosts meet to form a ring. The first host runs them until the rings are formed.

They run in a process of their own: what strangers send to an open port, or hosts that vanish while a ring is formed,
may end or crash a tracker, and then another takes its place. When the rings stand, the ports are closed.
"""

from __future__ import annotations

import math
import os
import socket
import stat
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from openfm.errors import PlatformError
from openfm.training.hosts.engine import root_cause

if TYPE_CHECKING:
    from xgboost.tracker import RabitTracker

__all__ = ["TrackerProcess"]

_PATIENCE_SECONDS = 90.0
"""For how long a port may be in use: the kernel keeps one that a tracker has left for a minute."""

_RESTART_SECONDS = 1.0

_STEADY_SECONDS = 60.0
"""How long trackers have run that do not end for want of a port."""

_RECEIVE_SECONDS = 5
"""For how long a tracker waits for what a connection has to say: it listens to one at a time."""


class TrackerProcess:
    """Runs a tracker for each ring, and runs them again when they end.

    Args:
        address: to listen at, as digits; ``0.0.0.0`` or ``::`` for all.
        ports: one for each ring.
        hosts: how many hosts form a ring.
    """

    def __init__(self, address: str, ports: Sequence[int], hosts: int) -> None:
        numbers = [str(number) for number in (hosts, *ports)]
        self._command = [sys.executable, "-P", "-m", __name__, address, *numbers]
        self._ports = " and ".join(map(str, ports))
        self._process: subprocess.Popen[str] | None = None
        self._started = -math.inf
        self._ended_since: float | None = None
        self.keep()

    def keep(self) -> None:
        """See that the trackers run; call it now and then.

        Raises:
            PlatformError: they do not come up.
        """
        now = time.monotonic()
        if self._process is not None and self._process.poll() is None:
            if now - self._started > _STEADY_SECONDS:
                self._ended_since = None
            return
        if self._process is not None:
            reason, _ = self._process.communicate()
            self._process = None
            self._ended_since = self._ended_since or now
            if now - self._ended_since > _PATIENCE_SECONDS:
                raise PlatformError(
                    f"The hosts cannot meet at the ports {self._ports} of this host, the first: "
                    f"{reason.strip() or 'the tracker ended'}. End what uses them, or set OPENFM_HOSTS_PORT on all "
                    "hosts to the first of two ports that are free."
                )
        if now - self._started < _RESTART_SECONDS:
            return
        self._started = now
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def stop(self) -> None:
        """End the trackers and close their ports."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _serve(address: str, hosts: int, ports: Sequence[int]) -> None:
    """Run the trackers in this process, until it is killed or whoever started it is gone."""
    import xgboost
    from xgboost.core import XGBoostError
    from xgboost.tracker import RabitTracker

    xgboost.set_config(verbosity=0)
    try:
        trackers = [RabitTracker(hosts, host_ip=address, port=port, sortby="task") for port in ports]
    except XGBoostError as error:
        print(root_cause(error), flush=True)
        os._exit(1)
    _limit_waiting()
    for tracker in trackers:
        tracker.start()
        threading.Thread(target=_leave_with, args=(tracker,), daemon=True).start()
    sys.stdin.read()  # ends with whoever started this
    os._exit(0)


def _limit_waiting() -> None:
    """Let connections that say nothing fail after a while, for a tracker that waits for one hears no other.

    Connections inherit this from the sockets that listen, which in this process are the trackers'.
    """
    for path in Path("/proc/self/fd").iterdir():
        descriptor = int(path.name)
        try:
            is_socket = stat.S_ISSOCK(os.fstat(descriptor).st_mode)
        except OSError:  # what the folder was listed by: it is closed again
            continue
        if is_socket:
            with socket.socket(fileno=os.dup(descriptor)) as found:
                if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", _RECEIVE_SECONDS, 0))


def _leave_with(tracker: RabitTracker) -> None:
    """End the process when a tracker has ended, in whatever way, so that another is started."""
    reason = "the tracker ended"
    try:
        tracker.wait_for()
    except Exception as error:  # the process ends, whatever it was
        reason = root_cause(error)
    print(reason, flush=True)
    os._exit(1)


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]), [int(port) for port in sys.argv[3:]])
