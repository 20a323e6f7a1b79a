"""What ``openfm train`` shows while it trains: a bar on a terminal, a line for each epoch elsewhere."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from typing import TextIO

from openfm.fm.metrics import Metric
from openfm.learning import EpochReport, Event, Progress

__all__ = ["ProgressDisplay", "loss_of"]

_SECONDS_BETWEEN = 0.1
_BAR = 24
_ERASE = "\r\x1b[K"  # to the line's start, and the line cleared

_LOSSES = {"rmse": "rmse", "binary_classification_cross_entropy": "log loss"}
"""What an epoch is judged by, and how it is called here."""


def loss_of(metrics: Sequence[Metric]) -> tuple[str, float]:
    """The metric that people look at first: its short name and its value."""
    return next((_LOSSES[metric.name], metric.value) for metric in metrics if metric.name in _LOSSES)


class ProgressDisplay:
    """Shows the events of a training.

    Args:
        stream: to write to, such as standard error.
        clock: seconds, from anywhere.
    """

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._is_terminal = stream.isatty()
        self._drawn_at: float | None = None

    def __call__(self, event: Event) -> None:
        """Show an event."""
        if isinstance(event, EpochReport):
            self.line(_epoch_line(event))
        elif self._is_terminal and (self._drawn_at is None or self._clock() - self._drawn_at >= _SECONDS_BETWEEN):
            self._stream.write(_ERASE + _bar_line(event)[: shutil.get_terminal_size().columns - 1])
            self._stream.flush()
            self._drawn_at = self._clock()

    def line(self, text: str) -> None:
        """Write a line, in place of the bar."""
        self.clear()
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def clear(self) -> None:
        """Take the bar away."""
        if self._drawn_at is not None:
            self._stream.write(_ERASE)
            self._stream.flush()
            self._drawn_at = None


def _bar_line(event: Progress) -> str:
    done = event.rows_done / max(event.rows, 1)
    full = round(done * _BAR)
    again = "all rows, " if event.refit else ""
    return (
        f"{again}epoch {event.epoch + 1}/{event.epochs}  [{'#' * full}{'.' * (_BAR - full)}] {done:4.0%}  "
        f"loss {event.loss:.5g}  {event.rows_per_second:,.0f} rows/s"
    )


def _epoch_line(report: EpochReport) -> str:
    name, value = loss_of(report.train)
    line = f"{'all rows, ' if report.refit else ''}epoch {report.epoch + 1:3}  train {name} {value:.5f}"
    if report.validation is not None:
        name, value = loss_of(report.validation)
        line += f"  held out {name} {value:.5f}"
    return f"{line}  {report.rows / max(report.seconds, 1e-9):,.0f} rows/s"
