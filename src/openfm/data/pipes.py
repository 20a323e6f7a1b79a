"""The FIFOs of Pipe mode: opened once, read without ever getting stuck.

SageMaker feeds a channel in Pipe mode through named pipes beside the channel's path, ``train_0``, ``train_1`` and so
on, one for each pass over the data, and makes the next one when the last was read or closed ("How Amazon SageMaker
Provides Training Information" in the SageMaker developer guide). An open counts: whoever opens a FIFO to look into it
has used up a pass.
"""

from __future__ import annotations

import fcntl
import os
import select
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from openfm.errors import PlatformError

__all__ = ["PipeStream", "ReadingStoppedError"]

_CAPACITY = 2**20  # bytes that the writer may be ahead; Linux gives no more to all users, and 64 KiB by default
_INTERVAL = 0.05  # seconds between two looks at whether a stop is requested, or the FIFO has appeared


class ReadingStoppedError(Exception):
    """Data are no longer read because a stop was requested; no failure, so no :class:`~openfm.errors.OpenFMError`."""


class PipeStream:
    """The bytes of one FIFO up to its end, which is where its writer closes it.

    A regular file in the FIFO's place, as some emulators of the platform put it there, is read just so.

    Args:
        path: the FIFO, which need not be there yet.
        channel: the channel's name, for errors.
        stopping: asked at least twenty times a second while there is nothing to read.
        timeout: seconds to wait for the FIFO, and for each next byte of it.

    Raises:
        ReadingStoppedError: a stop was requested while waiting for the FIFO.
        PlatformError: the FIFO did not appear in time.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path, *, channel: str, stopping: Callable[[], bool], timeout: float) -> None:
        self._path = path
        self._channel = channel
        self._stopping = stopping
        self._timeout = timeout
        self._file = -1
        self._arrival = select.poll()
        self._silence = "got no data"
        self._wait(self._open, "did not appear")

    def readinto(self, buffer: memoryview, /) -> int:
        """Reads what is there, waiting for at least one byte: the number of bytes, 0 at the end.

        Raises:
            ReadingStoppedError: a stop was requested.
            PlatformError: nothing came in time.
        """
        while True:
            self._wait(self._has_data, self._silence)
            with suppress(BlockingIOError):  # one writer went, the next one came and has written nothing yet
                count = os.readv(self._file, [buffer])
                self._silence = "got no more data"
                return count

    def close(self) -> None:
        """Closes the FIFO, at its end or before."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open(self) -> bool:
        # Opened to block, a FIFO without a writer could not be left again when a stop is requested. Opened so, it is
        # there at once, and poll() tells nothing of it until a writer has come: then data, or the end.
        try:
            self._file = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            time.sleep(_INTERVAL)
            return False
        with suppress(OSError):  # no FIFO, or the user's pipes are as large as they may be together
            fcntl.fcntl(self._file, fcntl.F_SETPIPE_SZ, _CAPACITY)
        self._arrival.register(self._file, select.POLLIN)
        return True

    def _has_data(self) -> bool:
        return bool(self._arrival.poll(_INTERVAL * 1000))

    def _wait(self, ready: Callable[[], bool], complaint: str) -> None:
        deadline = time.monotonic() + self._timeout
        while not self._stopping():
            if ready():
                return
            if time.monotonic() >= deadline:
                raise PlatformError(
                    f"Channel '{self._channel}' is read in Pipe mode, but the FIFO '{self._path}' {complaint} within "
                    f"{self._timeout:g} seconds. Check what feeds the FIFOs, one for each pass over the data, or set "
                    "OPENFM_PIPE_TIMEOUT to wait longer."
                )
        raise ReadingStoppedError
