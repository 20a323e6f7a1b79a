"""``output/data/metrics.jsonl``: how a training went, one JSON object a line, for programs and for ``openfm report``.

======================  ==============================================================================================
``event``               further members
======================  ==============================================================================================
``start``               ``hyperparameters``: an object
``epoch``               ``epoch`` from 0, ``channel``, ``metrics``: an object, named as logged; ``rows``, ``seconds``
``resume``              ``epoch`` and ``batch`` that are done: a checkpoint of them is what training goes on from
``early_stop``          ``epoch``: the last one; ``best_epoch``, whose parameters the model has
``score``               ``channel``, ``rows``, ``seconds``, ``metrics``: what the finished model gives on a channel
``end``                 ``epochs`` that are done, ``seconds`` in all, ``stopped``: whether that was requested; perhaps
                        ``best_epoch``, whose parameters the model has though nothing stopped early
======================  ==============================================================================================

Each object has ``time`` too, in seconds since 1970.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from openfm.errors import DataError

__all__ = ["MetricsFile", "read_metrics"]

_MOST_REMEMBERED = 10_000


class MetricsFile:
    """Writes the file of one training.

    Each line is handed to the system whole and at once, so that a program that is killed leaves whole lines. A file
    that cannot be written ends no training: that is told once, and nothing more is written.

    Args:
        path: the file; its folder is made if it is missing. None: nothing is written.
        on_failure: gets the sentence that says why the file cannot be written.
        clock: seconds since 1970.
    """

    def __init__(
        self, path: Path | None, on_failure: Callable[[str], None], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = path
        self._on_failure = on_failure
        self._clock = clock
        self._lines: deque[str] = deque(maxlen=_MOST_REMEMBERED)

    @property
    def lines(self) -> list[str]:
        """What was written, without line breaks: the newest 10000 lines, for :meth:`resume` (a copy)."""
        return list(self._lines)

    def start(self, hyperparameters: Mapping[str, object]) -> None:
        """Begin the file; an older one is replaced."""
        self._lines.clear()
        self._replace()
        self._add("start", hyperparameters=dict(hyperparameters))

    def resume(self, lines: Iterable[str], *, epoch: int, batch: int) -> None:
        """Begin the file with the lines of a training that goes on.

        Args:
            lines: what had been written when the state that it goes on from was saved (:attr:`lines`).
            epoch, batch: how many epochs, and mini-batches of the next one, are done.
        """
        self._lines.clear()
        self._lines.extend(lines)
        self._replace()
        self._add("resume", epoch=epoch, batch=batch)

    def epoch(
        self,
        epoch: int,
        channel: str,
        metrics: Mapping[str, float],
        *,
        rows: int | None = None,
        seconds: float | None = None,
    ) -> None:
        """An epoch, from 0, as measured on a channel; rows and seconds where they are known."""
        known = {name: value for name, value in (("rows", rows), ("seconds", seconds)) if value is not None}
        self._add("epoch", epoch=epoch, channel=channel, **known, metrics=dict(metrics))

    def early_stop(self, epoch: int, best_epoch: int) -> None:
        """Training ends with an epoch because it has not improved since the best one."""
        self._add("early_stop", epoch=epoch, best_epoch=best_epoch)

    def score(self, channel: str, metrics: Mapping[str, float], *, rows: int, seconds: float) -> None:
        """What the finished model gives on a channel."""
        self._add("score", channel=channel, rows=rows, seconds=seconds, metrics=dict(metrics))

    def end(self, *, epochs: int, seconds: float, stopped: bool, best_epoch: int | None = None) -> None:
        """The end, whether it was requested, and the epoch that held-out rows chose where nothing stopped early."""
        chosen = {} if best_epoch is None else {"best_epoch": best_epoch}
        self._add("end", epochs=epochs, seconds=seconds, stopped=stopped, **chosen)

    def _add(self, event: str, **members: object) -> None:
        if self._path is None:
            return
        line = json.dumps({"event": event, **members, "time": round(self._clock(), 3)}, allow_nan=False)
        self._lines.append(line)
        with self._telling_failures(), self._path.open("ab", buffering=0) as file:
            _write_whole(file.fileno(), f"{line}\n".encode())

    def _replace(self) -> None:
        if self._path is None:
            return
        with self._telling_failures():
            text = "".join(f"{line}\n" for line in self._lines)
            if self._path.exists() and (self._path.is_symlink() or not self._path.is_file()):
                self._path.write_text(text, encoding="utf-8")  # a link or a device stays what it is
                return
            target = self._path.resolve()  # where a link that leads nowhere yet points to
            target.parent.mkdir(parents=True, exist_ok=True)
            unfinished = target.with_name(f".{target.name}.{os.getpid()}")
            try:
                unfinished.write_text(text, encoding="utf-8")
                unfinished.replace(target)
            finally:
                unfinished.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _telling_failures(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            path, self._path = self._path, None
            self._on_failure(
                f"The metrics cannot be written to {path}: {error.strerror or error}. Training goes on without."
            )


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The objects of a file, in order. A last line without its end, which is still being written, is left out.

    Raises:
        DataError: a line is no such object; names it.
        OSError: the file cannot be read.
    """
    *whole, _ = path.read_bytes().split(b"\n")
    events = []
    for number, line in enumerate(whole, start=1):
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if not isinstance(event, dict) or not isinstance(event.get("event"), str):
            raise DataError(
                f"{path}, line {number} is no event of a training. Give the metrics.jsonl that training wrote."
            )
        events.append(event)
    return events


def _write_whole(file: int, data: bytes) -> None:
    written = os.write(file, data)
    if written < len(data):
        raise OSError("no space is left for it")
