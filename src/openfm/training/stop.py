"""How a job is asked to stop: SIGTERM, from SageMaker's stop, a spot interruption or ``docker stop``."""

from __future__ import annotations

import signal
import threading
from types import FrameType

__all__ = ["StopRequest"]


class StopRequest:
    """Remembers a SIGTERM, so that the job ends after the mini-batches at hand with its model saved.

    A context: the signal is caught inside of it. A second signal changes nothing. Outside the main
    thread, where Python allows no signal handlers, nothing is caught.
    """

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._request)
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(self, "_before"):
            signal.signal(signal.SIGTERM, self._before)

    def _request(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
