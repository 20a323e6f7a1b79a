"""The platform's side of Pipe mode: feeds a channel through one FIFO after the other."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path

_PATIENCE = 0.005  # seconds between two looks


class PipeFeeder:
    """Makes ``<path>_0``, ``<path>_1`` ..., feeds each with all objects end to end, and deletes it after use.

    A context; the feeding is done by a thread. The next FIFO is made when the last was read or closed.

    Args:
        path: the channel's path, such as ``/opt/ml/input/data/train``.
        objects: the bytes of the channel's objects, or a function that gives them for the number of a pass.
        passes: how many FIFOs to make; without end if None.
        chunk: how many bytes to write at a time.
        pause: seconds to wait after each chunk.
        delay: seconds to wait before each FIFO is made, and as long again before it is opened.

    Attributes:
        has_reader: set once a FIFO has a reader.
        read: of each pass whose FIFO had a reader, how many bytes the reader took before it closed the FIFO.
    """

    def __init__(
        self,
        path: Path,
        objects: Sequence[bytes] | Callable[[int], Sequence[bytes]],
        *,
        passes: int | None = None,
        chunk: int = 65536,
        pause: float = 0.0,
        delay: float = 0.0,
    ) -> None:
        self._path = path
        self._objects = objects if callable(objects) else lambda _: objects
        self._passes = range(passes) if passes is not None else count()
        self._chunk = chunk
        self._pause = pause
        self._delay = delay
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._feed)
        self.has_reader = threading.Event()
        self.read: list[int] = []

    def path(self, number: int) -> Path:
        """The FIFO of a pass."""
        return self._path.with_name(f"{self._path.name}_{number}")

    def __enter__(self) -> PipeFeeder:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(timeout=60)
        assert not self._thread.is_alive(), "a reader neither reads nor closes its FIFO"

    def _feed(self) -> None:
        for number in self._passes:
            if self._ended.wait(self._delay):
                return
            fifo = self.path(number)
            os.mkfifo(fifo)
            self._ended.wait(self._delay)
            file = self._open(fifo)
            if file is not None:
                self.has_reader.set()
                self.read.append(self._write(file, b"".join(self._objects(number))))
            fifo.unlink()
            if file is None:
                return

    def _open(self, fifo: Path) -> int | None:
        """Opens the FIFO once it has a reader; None if the feeding ended before."""
        while not self._ended.is_set():
            with suppress(OSError):  # ENXIO: no reader
                return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
            time.sleep(_PATIENCE)
        return None

    def _write(self, file: int, data: bytes) -> int:
        os.set_blocking(file, True)
        written = 0
        with suppress(BrokenPipeError):  # the reader closed it early
            while written < len(data) and not self._ended.is_set():
                written += os.write(file, data[written : written + self._chunk])
                if self._pause:
                    self._ended.wait(self._pause)
        os.close(file)
        return written
