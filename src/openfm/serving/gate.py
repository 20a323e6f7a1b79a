"""Keeps threads free for the requests that must always be answered at once."""

from __future__ import annotations

import queue
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType

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
        self._running = _Places(running)
        self._admission = _Admission(admitted, on_refusal)

    def admit(self) -> AbstractContextManager[None]:
        """Around everything that a long request does.

        Raises:
            ServerBusyError: too many are in hand.
        """
        return self._admission

    def run(self) -> AbstractContextManager[None]:
        """Around what keeps a processor busy; waits for its turn."""
        return self._running


class _Places:
    """So many may be inside at once; the others wait.

    A queue of tokens that is written in C: each request passes here, and ``threading.Semaphore`` takes ten times as
    long.
    """

    def __init__(self, count: int) -> None:
        self._tokens: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(count):
            self._tokens.put(None)

    def __enter__(self) -> None:
        self._tokens.get()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._tokens.put(None)


class _Admission(_Places):
    """Of which nobody waits."""

    def __init__(self, count: int, on_refusal: Callable[[], None]) -> None:
        super().__init__(count)
        self._count = count
        self._on_refusal = on_refusal

    def __enter__(self) -> None:
        try:
            self._tokens.get_nowait()
        except queue.Empty:
            self._on_refusal()
            raise ServerBusyError(
                f"the server has {self._count} requests in hand, as many as it takes; try again"
            ) from None
