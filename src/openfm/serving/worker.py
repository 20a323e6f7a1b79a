"""Gunicorn's worker with threads, of which no more are awake than are of use."""

from __future__ import annotations

import functools
import math
import selectors
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

from gunicorn.workers.gthread import (  # type: ignore[import-untyped]
    DEFAULT_WORKER_DATA_TIMEOUT,
    TConn,
    ThreadWorker,
)

__all__ = ["FewThreadsWorker", "RequestThreads"]

P = ParamSpec("P")
T = TypeVar("T")

_PATIENCE = 0.01
_QUIET_LOOKS = 3

# So many take 0.1 to 0.2 ms, for which requests that are there already wait. Where several workers share a socket each
# takes one at a time, as gunicorn does: the first to wake up could else take most connections of clients that come
# together, and keep them while the others have less to do.
_ACCEPTED_AT_ONCE = 8

# Seconds for a request that may be on its way when the worker stops, as gunicorn gives kept-alive connections.
_STOP_PATIENCE = 2.0

_Job = tuple[Future[Any], Callable[[], Any]]


class RequestThreads(Executor):
    """Threads for requests: few, and more only in the place of those that are stuck.

    Python runs one thread at a time. Were there a thread for each request in hand, all of them would wait for each
    other again at every read and write of a socket, and requests would overtake each other: with 64 clients that takes
    more processor time and has much longer latencies at the tail. But a thread may be stuck with a client that sends
    slowly, or with a long computation. What waits meanwhile is looked at every 10 ms, and each thread that has been
    at its request for so long is replaced by another, which ends when it is no longer needed.

    Args:
        usual: how many threads there are while none is stuck.
        most: how many there may be in all.
    """

    def __init__(self, usual: int, most: int) -> None:
        self._usual, self._most = usual, max(usual, most)
        self._wanted = usual
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads: set[_RequestThread] = set()
        self._lock = threading.Lock()  # around changes of what threads there are
        self._submitted = 0
        self._at_rest = True  # nobody looks after the threads
        self._is_over = False
        self._awake: SimpleQueue[bool] = SimpleQueue()
        self._watcher: threading.Thread | None = None

    def submit(self, function: Callable[P, T], /, *arguments: P.args, **named: P.kwargs) -> Future[T]:
        """Let a thread call a function. Not to be called by several threads at the same time."""
        future: Future[T] = Future()
        self._jobs.put((future, lambda: function(*arguments, **named)))
        self._submitted += 1
        if len(self._threads) < self._usual:
            with self._lock:
                self._start(1)
        if self._at_rest:
            self._at_rest = False
            self._awake.put(True)
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name="openfm-watcher", daemon=True)
                self._watcher.start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the threads end after what they are at, and after what they were given before.

        Safe in a signal handler if it need not wait: it takes no lock.
        """
        while cancel_futures and not self._jobs.empty():
            if (job := self._jobs.get()) is not None:
                job[0].cancel()
        self._is_over = True
        for _ in range(self._most):
            self._jobs.put(None)
        self._awake.put(False)
        if wait:
            for thread in [*self._threads, self._watcher]:
                if thread is not None:
                    thread.join()

    def take(self, thread: _RequestThread) -> None:
        """The life of a thread: one job after the other, until there are more threads than are wanted."""
        while (job := self._jobs.get()) is not None:
            thread.began = time.monotonic()
            _run(*job)
            del job  # nothing of a request is kept while the next one is waited for
            thread.began = math.inf
            if len(self._threads) > self._wanted and self._end(thread):
                return

    def _watch(self) -> None:
        while self._awake.get():
            before, quiet = self._submitted, 0
            while quiet < _QUIET_LOOKS or self._someone_waits or not self._rest(before):
                before = self._submitted
                time.sleep(_PATIENCE)
                self._replace_stuck()
                quiet = quiet + 1 if self._submitted == before else 0

    @property
    def _someone_waits(self) -> bool:
        return not self._is_over and not self._jobs.empty()

    def _rest(self, before: int) -> bool:
        """Whether nothing has come since: then the next one that comes wakes the watcher."""
        self._at_rest = True
        if self._submitted == before:
            return True
        self._at_rest = False  # it may have come before it could see that
        return False

    def _replace_stuck(self) -> None:
        late = time.monotonic() - _PATIENCE
        with self._lock:
            stuck = sum(thread.began < late for thread in self._threads)
            # If all of them are, their successors are likely to meet the same.
            spare = self._usual + (stuck if stuck == len(self._threads) else 0)
            self._wanted = min(self._most, stuck + spare)
            self._start(self._wanted - len(self._threads))

    def _start(self, count: int) -> None:
        for _ in range(count):
            thread = _RequestThread(self)
            try:
                thread.start()
            except RuntimeError:  # the system gives no more, for now
                if not self._threads:
                    raise
                return
            self._threads.add(thread)

    def _end(self, thread: _RequestThread) -> bool:
        with self._lock:
            if len(self._threads) <= self._wanted:
                return False
            self._threads.discard(thread)
            return True


class _RequestThread(threading.Thread):
    """One of the threads.

    Attributes:
        began: by the monotonic clock, when it took the job that it is at; infinite if it has none.
    """

    def __init__(self, pool: RequestThreads) -> None:
        super().__init__(name="openfm-request", daemon=True)
        self._pool = pool
        self.began = math.inf

    def run(self) -> None:
        """Work for the pool."""
        self._pool.take(self)


def _run(future: Future[Any], call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:  # whoever asks for the result gets it
        future.set_exception(error)
    else:
        future.set_result(result)


class FewThreadsWorker(ThreadWorker):  # type: ignore[misc]
    """Gunicorn's ``gthread`` with :class:`RequestThreads`, of which ``threads`` is the greatest number.

    A connection gets a thread only when something comes over it. A worker without others beside it takes up to 8
    connections at a time: of many clients that come at once, the last then need not wait until the first have had
    several answers. Never are there more connections than ``worker_connections``.
    """

    usual_threads = 2
    """While none is stuck: one reads or writes while another one computes."""

    @classmethod
    def of(cls, usual_threads: int) -> type[FewThreadsWorker]:
        """The same class with another number of usual threads."""
        return type(cls.__name__, (cls,), {"usual_threads": usual_threads})

    def accept(self, listener: Any) -> None:
        """Take connections that wait, and look out for their first requests before they get a thread."""
        at_once = _ACCEPTED_AT_ONCE if self.cfg.workers == 1 else 1
        try:
            for _ in range(min(at_once, self.worker_connections - self.nr_conns)):
                connection, client = listener.accept()
                self.nr_conns += 1
                self._await_request(TConn(self.cfg, connection, client, listener.getsockname()))
        except (BlockingIOError, ConnectionAbortedError):
            pass

    def set_accept_enabled(self, enabled: bool) -> None:
        """Begin or end to take connections. At a stop, those that have asked nothing yet are soon closed."""
        super().set_accept_enabled(enabled)
        if not self.alive:
            deadline = time.monotonic() + _STOP_PATIENCE
            for conn in self.pending_conns:
                conn.timeout = min(conn.timeout, deadline)

    def _await_request(self, conn: TConn) -> None:
        # Among gunicorn's pending connections, which like its kept-alive ones must stay in the order of their timeouts.
        # No others come among them: gunicorn's own are connections whose data a thread has waited for in vain.
        conn.timeout = time.monotonic() + max(self.cfg.keepalive, DEFAULT_WORKER_DATA_TIMEOUT)
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, functools.partial(self.on_pending_socket_readable, conn))

    def get_thread_pool(self) -> Executor:
        """What gunicorn hands the connections to."""
        return RequestThreads(self.usual_threads, self.cfg.threads)
