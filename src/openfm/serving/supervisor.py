"""The parent of the worker processes: gunicorn's arbiter, which stops as SageMaker and Kubernetes expect it.

Gunicorn closes its socket first and lets the workers finish what they have: a client that comes meanwhile is refused
at the door, or never answered, and each idle kept-alive connection delays the end. Here the workers answer on, by 503,
until nothing is in flight any more or the time is up, and then end at once.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]

from openfm.serving.metrics import ServerMetrics
from openfm.serving.observer import StopFlag

__all__ = ["HOOKS", "GunicornServer"]

HOOKS = frozenset({"pre_fork", "post_fork", "child_exit", "worker_int", "worker_exit"})
"""Gunicorn's settings that are taken."""

_POLL_SECONDS = 0.02

# So long requests are answered by 503 at least: those that came just before the signal are still on their way to being
# counted.
_LINGER_SECONDS = 0.2

# Kept-alive connections would hold the workers for longer.
_DOOR_SECONDS = 0.25

# After which a worker that should have ended is killed.
_KILL_SECONDS = 1


class GunicornServer(BaseApplication):  # type: ignore[misc]
    """Gunicorn with an application that is there already.

    Args:
        app: the application.
        options: gunicorn's settings; those that the installed version does not know are left out.
        metrics: what is in flight, with rows for twice the workers at least.
        stopping: told to all workers before the end.
        graceful_seconds: how long requests in flight may still take then.
    """

    def __init__(
        self,
        app: Flask,
        options: Mapping[str, Any],
        *,
        metrics: ServerMetrics,
        stopping: StopFlag,
        graceful_seconds: float,
    ) -> None:
        self._app = app
        self._rows = _WorkerRows(metrics)
        self._options = {
            **options,
            "pre_fork": lambda _server, worker: self._rows.assign(worker.age),
            "post_fork": lambda _server, worker: self._rows.use(worker.age),
            "child_exit": lambda _server, worker: self._rows.release(worker.age),
            "worker_int": lambda _worker: os._exit(0),  # not after a stuck thread, as Python would end
            "worker_exit": lambda _server, _worker: _end_if_done(),
        }
        self._metrics = metrics
        self._stopping = stopping
        self._graceful_seconds = graceful_seconds
        super().__init__()

    def load_config(self) -> None:
        """Pass the settings on."""
        for name, value in self._options.items():
            # Settings come and go between gunicorn's versions.
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Flask:
        """The application."""
        return self._app

    def run(self) -> None:
        """Serve until a signal ends it, by SystemExit."""
        _Supervisor(self, self._metrics.in_flight, self._stopping, self._graceful_seconds).run()


def _end_if_done() -> None:
    """End a worker that has nothing left to do, before Python tidies up: meanwhile a signal would kill it."""
    error = sys.exc_info()[1]
    if isinstance(error, SystemExit) and not error.code:
        os._exit(0)


class _WorkerRows:
    """Which worker, by its number, counts in which row of the metrics."""

    def __init__(self, metrics: ServerMetrics) -> None:
        self._metrics = metrics
        self._free = list(range(metrics.table.rows - 1, -1, -1))
        self._rows: dict[int, int] = {}

    def assign(self, worker: int) -> None:
        # More workers than rows (SIGTTIN adds some) share the last: a rare lost count is no reason not to serve.
        self._rows[worker] = self._free.pop() if self._free else self._metrics.table.rows - 1

    def use(self, worker: int) -> None:
        self._metrics.use_row(self._rows[worker])

    def release(self, worker: int) -> None:
        row = self._rows.pop(worker)
        self._metrics.forget_process(row)
        if row not in self._rows.values():
            self._free.append(row)


class _Supervisor(Arbiter):  # type: ignore[misc]
    def __init__(
        self, server: GunicornServer, in_flight: Callable[[], int], stopping: StopFlag, graceful_seconds: float
    ) -> None:
        super().__init__(server)
        self._in_flight = in_flight
        self._stopping = stopping
        self._graceful_seconds = graceful_seconds

    def handle_term(self) -> None:
        """SIGTERM: refuse what comes, wait for what is in flight, end at once."""
        self._stopping.set()
        hurried: list[int] = []
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for number in (signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, lambda number, _frame: hurried.append(number))
        start = time.monotonic()
        while self.WORKERS and not hurried:
            self.reap_workers()
            waited = time.monotonic() - start
            unfinished = self._in_flight()
            if waited >= self._graceful_seconds:
                if unfinished:
                    self.log.warning("%d requests are cut off after %g s", unfinished, self._graceful_seconds)
                break
            if waited >= _LINGER_SECONDS and unfinished == 0:
                self._close_doors()
                break
            time.sleep(_POLL_SECONDS)
        self.cfg.set("graceful_timeout", _KILL_SECONDS)
        self.handle_quit()

    def handle_int(self) -> None:
        """SIGINT, such as Ctrl-C: end at once. A worker that is only being started may miss it: none is waited for."""
        self.cfg.set("graceful_timeout", _KILL_SECONDS)
        super().handle_int()

    def _close_doors(self) -> None:
        """Let the workers take no more and finish the refusals that they are sending."""
        self.kill_workers(signal.SIGTERM)
        deadline = time.monotonic() + _DOOR_SECONDS
        while self.WORKERS and time.monotonic() < deadline:
            self.reap_workers()
            time.sleep(_POLL_SECONDS)

    def spawn_workers(self) -> None:
        """All that are missing, without gunicorn's pauses, in which a signal would wait: nothing loads in a worker."""
        for _ in range(self.num_workers - len(self.WORKERS)):
            self.spawn_worker()
