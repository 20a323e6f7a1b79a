"""Real servers as processes of their own, and the processor time that they take."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

__all__ = ["ServerProcess", "gunicorn", "running"]

_PATIENCE = 60.0
_POLL = 0.002
_REPOSITORY = Path(__file__).parents[1]


class ServerProcess:
    """A server, started and answering ``GET /ping``.

    Attributes:
        port: that it listens on.
        seconds_to_ping: from the start of its process to the first 200.
        cpu_to_ping: processor seconds until then.
    """

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], port: int) -> None:
        self.port = port
        begin = time.perf_counter()
        # A pipe that nobody reads could fill up and stop the server.
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by stop()
        self._process = subprocess.Popen(
            command, env={**os.environ, **environ}, cwd=_REPOSITORY, stderr=self._log, text=True
        )
        self._wait(begin + _PATIENCE)
        self.seconds_to_ping = time.perf_counter() - begin
        self.cpu_to_ping = self.cpu_seconds()

    def cpu_seconds(self) -> float:
        """Of the server's processes so far."""
        return sum(_cpu_nanoseconds(pid) for pid in self._processes()) / 1e9

    def memory(self) -> int:
        """Bytes of physical memory, shared pages divided among those that share them (PSS)."""
        lines = [line for pid in self._processes() for line in _smaps(pid) if line.startswith("Pss:")]
        return sum(int(line.split()[1]) for line in lines) * 1024

    def stop(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=_PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()
            self._log.close()

    def _processes(self) -> list[int]:
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def _wait(self, deadline: float) -> None:
        while not _answers(self.port):
            if self._process.poll() is not None or time.perf_counter() > deadline:
                self._process.kill()
                self._process.wait()
                self._log.seek(0)
                raise RuntimeError(f"the server did not start:\n{self._log.read()}")
            time.sleep(_POLL)


def gunicorn(app: str, port: int, *, worker_class: str, workers: int, threads: int) -> list[str]:
    """The command that serves ``module:factory()``."""
    options = ["-k", worker_class, "-w", str(workers), "--threads", str(threads), "-b", f"127.0.0.1:{port}"]
    return [sys.executable, "-m", "gunicorn", "--preload", "--worker-connections", "1200", *options, app]


@contextlib.contextmanager
def running(server: ServerProcess) -> Iterator[ServerProcess]:
    """The server, which is stopped at the end."""
    try:
        yield server
    finally:
        server.stop()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _cpu_nanoseconds(pid: int) -> int:
    # The clock of all threads that a process has and had, by the number that clock_getcpuclockid(3) gives it: the sum
    # in /proc/<pid>/stat is in hundredths of a second.
    return time.clock_gettime_ns(~pid << 3 | 2)


def _smaps(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
