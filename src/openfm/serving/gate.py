"""Keeps threads free for the requests that must always be answered at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from openfm.errors import ServerBusyError

__all__ = ["WorkGate"]


class WorkGate:
    """Where requests that take long wait for each other, and are turned away when too many wait.

    A thread is taken by each request that was let in. A server with a few more threads than the gate lets in always
    has one for ``/ping``.

    Args:
        running: how many may compute at once.
        admitted: how many may be in hand at once: computing, waiting for it, or still arriving.
        on_refusal: called for each that is turned away.
    """

    def __init__(self, running: int, admitted: int, *, on_refusal: Callable[[], None] = lambda: None) -> None:
        self.admitted = admitted
        self._on_refusal = on_refusal
        self._running = threading.Semaphore(running)
        self._admitted = threading.Semaphore(admitted)

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Around everything that a long request does.

        Raises:
            ServerBusyError: too many are in hand.
        """
        if not self._admitted.acquire(blocking=False):
            self._on_refusal()
            raise ServerBusyError(f"the server has {self.admitted} requests in hand, as many as it takes; try again")
        try:
            yield
        finally:
            self._admitted.release()

    def run(self) -> AbstractContextManager[object]:
        """Around what keeps a processor busy; waits for its turn."""
        return self._running
