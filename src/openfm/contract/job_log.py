"""The lines of a job's log, as Amazon's container writes them.

Metric definitions of tuning jobs and dashboards are regular expressions over these lines, so their
shape is fixed: one line a message, no tabs, no colour, numbers as Python's ``repr`` of the double.
Each line is flushed at once, because a log collector shows nothing before.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TextIO

from openfm.contract.hyperparameters import DEFAULT_CONFIGURATION, Hyperparameters
from openfm.errors import PlatformError

__all__ = ["JobLog"]

_SEVERITIES = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

_DEFAULTS_SOURCE = Path(__file__).with_name("hyperparameter_table.py")
"""Where the default configuration stands; the log names it."""


class JobLog:
    """Writes the log of one job.

    Args:
        host: name of this host, which metric lines carry.
        stream: where lines go; standard output if None.
        level: the least severe messages to write: debug, info, warning, error or critical. Metric
            lines and errors are always written.
        clock: seconds since the epoch, as ``time.time``.
        metrics: whether metrics, progress and timings are written: by one of several hosts.
    """

    def __init__(
        self,
        host: str = "algo-1",
        stream: TextIO | None = None,
        level: str = "info",
        clock: Callable[[], float] = time.time,
        metrics: bool = True,
    ) -> None:
        self._host = host
        self._stream = sys.stdout if stream is None else stream
        self._threshold = min(_SEVERITIES[level], _SEVERITIES["error"])
        self._clock = clock
        self._writes_metrics = metrics

    def debug(self, message: str) -> None:
        """A detail for whoever looks into openfm itself."""
        self._message("debug", message)

    def info(self, message: str) -> None:
        """What the job does."""
        self._message("info", message)

    def warning(self, message: str) -> None:
        """What may not be meant so."""
        self._message("warning", message)

    def error(self, message: str) -> None:
        """Why the job fails. Always written."""
        self._message("error", message)

    def configuration(self, hyperparameters: Hyperparameters, source: Path) -> None:
        """The opening lines: default, provided and final configuration.

        Args:
            hyperparameters: of the job.
            source: the file that they were read from.
        """
        self.info(f"Reading default configuration from {_DEFAULTS_SOURCE}: {DEFAULT_CONFIGURATION}")
        self.info(f"Merging with provided configuration from {source}: {hyperparameters.given}")
        self.info(f"Final configuration: {hyperparameters.final_configuration()}")

    def quality_metric(
        self,
        name: str,
        direction: Literal["loss", "score"],
        value: float,
        *,
        epoch: int | None = None,
        batch: int | None = None,
        channel: str = "train",
    ) -> None:
        """A quality metric of an epoch up to a batch, of an epoch (no ``batch``) or of the whole job (neither).

        Args:
            name: such as ``rmse``.
            direction: ``loss`` is to become smaller, ``score`` greater.
            value: the metric.
            epoch: counted from 0.
            batch: within the epoch, counted from 0.
            channel: the data that it was measured on.
        """
        place = f"host={self._host}, "
        if epoch is not None:
            place += f"epoch={epoch}, "
        if batch is not None:
            place += f"batch={batch} "
        self._metric(f"#quality_metric: {place}{channel} {name} <{direction}>={float(value)!r}")

    def progress(self, percent: float) -> None:
        """How much of the epochs is done, in percent."""
        self._metric(f"#progress_metric: host={self._host}, completed {float(percent)!r} % of epochs")

    def throughput(self, records_per_second: float) -> None:
        """The training speed of an epoch."""
        self._metric(
            f"#throughput_metric: host={self._host}, train throughput={float(records_per_second)!r} records/second"
        )

    def test_scores(self, scores: Iterable[tuple[str, float]]) -> None:
        """The metrics of the channel ``test``, by name, in the order given."""
        for name, value in scores:
            self._metric(f"#test_score ({self._host}) : {(name, float(value))!r}")

    def metrics(
        self,
        values: Mapping[str, float | Sequence[float]],
        *,
        start: float,
        end: float,
        extra_dimensions: Mapping[str, str | int] | None = None,
    ) -> None:
        """A ``#metrics`` line: timings (in milliseconds) and counts as one JSON object.

        Args:
            values: each metric's value, or its several values of which sum, count and extremes are
                written.
            start: when the measured work began, in seconds since the epoch.
            end: when it ended.
            extra_dimensions: of the metrics, such as ``epoch`` and ``Meta``.
        """
        dimensions = {
            "Algorithm": "factorization-machines",
            "Host": self._host,
            "Operation": "training",
            **(extra_dimensions or {}),
        }
        body = {
            "StartTime": start,
            "EndTime": end,
            "Dimensions": dimensions,
            "Metrics": {name: _summary(value) for name, value in values.items()},
        }
        if self._writes_metrics:
            self._write(f"#metrics {json.dumps(body)}")

    def _metric(self, line: str) -> None:
        if self._writes_metrics:
            self._line("info", line)

    def _message(self, level: str, message: str) -> None:
        if _SEVERITIES[level] >= self._threshold:
            self._line(level, message)

    def _line(self, level: str, message: str) -> None:
        moment = time.strftime("%m/%d/%Y %H:%M:%S", time.localtime(self._clock()))
        self._write(f"[{moment} {level.upper()} {threading.get_ident()}] {_printable(message)}")

    def _write(self, line: str) -> None:
        try:
            self._stream.write(f"{line}\n")
            self._stream.flush()
        except OSError as error:
            _discard(self._stream)
            raise PlatformError(
                f"The log cannot be written to standard output: {error.strerror or error}. Keep what reads it running, "
                "or give it more space."
            ) from error


def _discard(stream: TextIO) -> None:
    """Let what the stream still holds go nowhere: Python would fail on it once more when it exits, with code 120."""
    with contextlib.suppress(OSError), Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def _printable(message: str) -> str:
    """One line without control characters: a file's name must not forge lines or colours."""
    return _CONTROL_CHARACTERS.sub(lambda match: " " if match[0] == "\t" else repr(match[0])[1:-1], message)


def _summary(value: float | Sequence[float]) -> dict[str, float]:
    values = value if isinstance(value, Sequence) else [value]
    return {
        "sum": float(sum(values)),
        "count": len(values),
        "min": min(values),
        "max": max(values),
    }
