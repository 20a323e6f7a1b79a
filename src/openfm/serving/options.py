"""Gunicorn's settings: how many processes and threads, and what a file of the user's says."""

from __future__ import annotations

import runpy
from dataclasses import dataclass
from typing import Any

from openfm.contract.environment import available_cpus
from openfm.errors import CustomerError
from openfm.serving.logs import ServerLogger
from openfm.serving.settings import ServingSettings
from openfm.serving.supervisor import HOOKS
from openfm.serving.worker import FewThreadsWorker

__all__ = ["Capacity", "gunicorn_options"]

RUNNING_PER_WORKER = 2
"""Invocations that compute at once in each of several worker processes: while one is scored, which other threads need
not wait for, another is decoded. More would only make each other slower, and /ping with them."""

SPARE_THREADS = 16
"""Threads that a worker may have for all that is never queued: /ping, /metrics, lists of models, refusals."""

KEEP_ALIVE_SECONDS = 65
"""Load balancers keep idle connections for 60 seconds. Whoever closes first must be them: a server that does so
meanwhile drops the request that is just being sent."""

CONNECTIONS = 1000
"""Kept-alive connections that a worker holds beside those that its threads are busy with."""


@dataclass(frozen=True)
class Capacity:
    """How much a server takes on.

    Attributes:
        processes: worker processes.
        running: invocations that compute at once, in each of them.
        admitted: invocations in hand at once, in each: computing, waiting, or still arriving.
    """

    processes: int
    running: int
    admitted: int

    @classmethod
    def of(cls, settings: ServingSettings) -> Capacity:
        """What the settings ask for; a multi-model server has its models in one process."""
        workers = settings.workers or available_cpus()
        processes, running = (1, max(workers, 2)) if settings.multi_model else (workers, RUNNING_PER_WORKER)
        return cls(processes, running, running + settings.queue_size)

    @property
    def threads(self) -> int:
        """The most threads of each process: see :class:`openfm.serving.worker.RequestThreads`."""
        return self.admitted + SPARE_THREADS


def gunicorn_options(settings: ServingSettings, capacity: Capacity) -> dict[str, Any]:
    """Gunicorn's settings: ours, then those of the file that ``OPENFM_GUNICORN_CONF`` names.

    Raises:
        CustomerError: the file cannot be run, or sets what is ours to set.
    """
    options = {
        "worker_class": FewThreadsWorker.of(capacity.running),
        "workers": capacity.processes,
        "threads": capacity.threads,
        "worker_connections": capacity.threads + CONNECTIONS,
        "keepalive": KEEP_ALIVE_SECONDS,
        "timeout": settings.timeout,
        "graceful_timeout": settings.graceful_timeout,
        "preload_app": True,
        "proc_name": "openfm",
        "logger_class": ServerLogger,
        "control_socket_disable": True,
    }
    if settings.gunicorn_conf is not None:
        options |= _read_gunicorn_conf(settings.gunicorn_conf)
    return options


def _read_gunicorn_conf(path: str) -> dict[str, Any]:
    try:
        names = runpy.run_path(path)
    except Exception as error:  # Whatever it is, it comes from the code of that file.
        raise CustomerError(
            f"The gunicorn settings in {path} (OPENFM_GUNICORN_CONF) cannot be read: {error!r}."
        ) from error
    if taken := sorted(HOOKS & names.keys()):
        raise CustomerError(
            f"The gunicorn settings in {path} (OPENFM_GUNICORN_CONF) have {taken[0]}, which openfm sets itself; leave "
            "it out."
        )
    return {name: value for name, value in names.items() if not name.startswith("_")}
