"""The engine that connects hosts: ``xgboost.collective``, with which XGBoost trains on many of them.

It comes with the package ``xgboost-cpu``, or with an ``xgboost`` that is there already, and is imported by jobs of
several hosts only. What is used of it is numeric ``allreduce``; its ``broadcast`` pickles.
"""

from __future__ import annotations

import contextlib
import importlib
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Literal, NoReturn

import numpy.typing as npt

from openfm.errors import CustomerError
from openfm.training.hosts.leaving import engine_is_used

__all__ = ["Communicator", "Operation", "Ring", "allreduce", "engine_error", "require_engine", "root_cause"]

_FOREVER = 1_000_000
"""Seconds, above ten days, that the engine waits for a host: another ring tells whether it still lives. (The engine
takes milliseconds in an int.)"""

_RETRY_SECONDS = 1.0

Operation = Literal["MAX", "MIN", "SUM", "BITWISE_OR"]
"""Names of ``xgboost.collective.Op``."""


def require_engine(hosts: int) -> None:
    """Import the engine.

    Raises:
        CustomerError: it is not installed; the message says how to install it.
    """
    try:
        importlib.import_module("xgboost")
    except ModuleNotFoundError as error:
        raise CustomerError(
            f"The job has {hosts} hosts, which train together by the package 'xgboost', and '{error.name}' is not "
            "installed. Install it on all hosts with pip install 'openfm[hosts]', or set the instance count to 1."
        ) from error


def engine_error() -> type[Exception]:
    """What the engine raises."""
    from xgboost.core import XGBoostError

    found: type[Exception] = XGBoostError
    return found


@dataclass(frozen=True, slots=True)
class Communicator:
    """Where a ring is formed.

    Attributes:
        address: of the tracker, as digits.
        port: of the tracker.
        rank: of this host.
        size: how many hosts there are.
    """

    address: str
    port: int
    rank: int
    size: int

    def join(self, cancelled: threading.Event, failed: Callable[[str], None]) -> None:
        """Form the ring with the other hosts; it belongs to the calling thread. Tries until it is formed or cancelled.

        Args:
            cancelled: asked after each failure whether to give up.
            failed: told why, after each failure.
        """
        from xgboost import collective, set_config
        from xgboost.core import XGBoostError

        set_config(verbosity=0)  # of this thread: what goes wrong is told by openfm
        while not cancelled.is_set():
            try:
                collective.init(
                    dmlc_communicator="rabit",
                    dmlc_tracker_uri=self.address,
                    dmlc_tracker_port=self.port,
                    dmlc_task_id=f"{self.rank:06}",  # the tracker sorts by it
                    dmlc_retry=1,
                    dmlc_timeout=_FOREVER,
                )
            except XGBoostError as error:
                failed(root_cause(error))
                cancelled.wait(_RETRY_SECONDS)
                continue
            found = collective.get_rank(), collective.get_world_size()
            if found != (self.rank, self.size):
                raise RuntimeError(f"the engine gave rank and size {found}, not {(self.rank, self.size)}")
            return


def allreduce(array: npt.NDArray[Any], operation: Operation) -> None:
    """Combine an array of all hosts in place; on a thread that has joined a ring."""
    from xgboost import collective

    array[:] = collective.allreduce(array, collective.Op[operation])


def root_cause(error: BaseException) -> str:
    """The innermost cause in the engine's report of many lines, such as ``Connection refused``."""
    report = str(error).partition("Stack trace:")[0]
    lines = [line.strip() for line in report.splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    message = lines[-1].rpartition("]: ")[2]
    return re.split(r"system error:|Socket error\.", message)[-1].strip().rstrip(".")


class Ring:
    """A thread that is one of the hosts of a ring.

    The engine keeps one communicator for each thread, and takes it down when the thread ends. So this one never does:
    the process leaves by :mod:`openfm.training.hosts.leaving`.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        engine_is_used()
        self._tasks: SimpleQueue[tuple[Callable[[], None], Future[None]]] = SimpleQueue()
        self._lock = threading.Lock()
        self._error: BaseException | None = None
        self._current: Future[None] | None = None
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def start(self, task: Callable[[], None]) -> Future[None]:
        """Have something done on the thread, after all that was started before."""
        future: Future[None] = Future()
        with self._lock:
            self._current = future
            if self._error is not None:
                future.set_exception(self._error)
            else:
                self._tasks.put((task, future))
        return future

    def allreduce(self, array: npt.NDArray[Any], operation: Operation) -> None:
        """Combine a one-dimensional array of all hosts in place, and wait for it.

        Raises:
            Exception: the engine's, or what :meth:`fail` was given.
        """
        self.start(lambda: allreduce(array, operation)).result()

    def fail(self, error: BaseException) -> None:
        """Let whoever waits for the ring, now or later, wait no more. The thread may stay in the engine for ever."""
        with self._lock:
            self._error = error
            if self._current is not None:
                with contextlib.suppress(InvalidStateError):
                    self._current.set_exception(error)

    def _work(self) -> NoReturn:
        while True:
            task, future = self._tasks.get()
            with contextlib.suppress(InvalidStateError):  # failed meanwhile
                try:
                    task()
                except Exception as error:  # raised where it is waited for
                    future.set_exception(error)
                else:
                    future.set_result(None)
