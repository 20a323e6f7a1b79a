"""Signs of life: how a host learns that another is dead, hung or cut off, whatever it is doing itself."""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections.abc import Callable

import numpy as np

from openfm.training.hosts.engine import Ring, allreduce, root_cause

__all__ = ["Heartbeat"]

INTERVAL_SECONDS = 2.0
"""How long a host rests between two signs."""

SILENCE_SECONDS = 30.0
"""For how long there may be none, before a host counts as lost: well below the minute that the others have to end."""


class Heartbeat:
    """Exchanges a sign with all hosts every two seconds, on a ring of its own.

    Training has another ring, on which a host may be waited for as long as it takes: it may have to read, score or save
    much more than the others. A host that is lost is missed here.

    Args:
        ring: that all hosts have joined, and nobody else uses.
        on_lost: told why, on a thread of its own, if a host is lost.
    """

    def __init__(self, ring: Ring, on_lost: Callable[[str], None]) -> None:
        self._ring = ring
        self._on_lost = on_lost
        self._leaving = threading.Event()
        self._last = time.monotonic()
        self._beating: concurrent.futures.Future[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._last = time.monotonic()
        self._beating = self._ring.start(self._beat)
        threading.Thread(target=self._watch, args=(self._beating,), name="openfm-watch", daemon=True).start()

    def finish(self) -> None:
        """End, together with all hosts: from here on no other host is missed when it leaves.

        Raises:
            Exception: a host is lost.
        """
        self._leaving.set()
        if self._beating is not None:
            self._beating.result()

    def _beat(self) -> None:
        while True:
            # Whoever has got the answer that all are leaving may leave: the others have it on the way to them.
            all_leave = np.array([self._leaving.is_set()], np.int32)
            allreduce(all_leave, "MIN")
            self._last = time.monotonic()
            if all_leave[0]:
                return
            self._leaving.wait(INTERVAL_SECONDS)

    def _watch(self, beating: concurrent.futures.Future[None]) -> None:
        while not concurrent.futures.wait([beating], timeout=1.0).done:
            if time.monotonic() - self._last > SILENCE_SECONDS:
                self._on_lost(f"there was no sign of life for {SILENCE_SECONDS:g} seconds")
                return
        error = beating.exception()
        if error is not None:
            self._on_lost(root_cause(error))
