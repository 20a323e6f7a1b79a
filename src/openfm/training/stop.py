"""How a job is asked to stop: SIGTERM, from SageMaker's stop, a spot interruption or ``docker stop``."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType

__all__ = ["JoiningStoppedError", "StopRequest"]


class JoiningStoppedError(Exception):
    """A stop was requested before the hosts of a job had found each other."""


class StopRequest:
    """Remembers a SIGTERM, so that the job ends after the mini-batches at hand with its model saved.

    A second signal changes nothing, not even when the job is done and the program about to end. Outside the main
    thread, where Python allows no signal handlers, nothing is caught.
    """

    def __init__(self) -> None:
        self.requested = False

    def catch(self) -> None:
        """From here on remember the signal."""
        self._handle(self._request)

    def ignore(self) -> None:
        """From here on ignore it: the exit code is decided, and while Python shuts down the signal would kill."""
        self._handle(signal.SIG_IGN)

    @staticmethod
    def _handle(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)

    def _request(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
