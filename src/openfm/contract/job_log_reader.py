"""Reads the log of a job back, openfm's or that of Amazon's container: its configuration and its metrics.

Logs come out of CloudWatch in several forms, and each is taken as it is:

* lines of text: the console's download, ``aws logs tail`` (each line begins with a time and a stream's name), an
  export to S3 (``.gz``), CSV;
* the JSON of ``aws logs get-log-events`` or ``filter-log-events``, or a list of such events.
"""

from __future__ import annotations

import ast
import gzip
import json
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openfm.errors import CustomerError

__all__ = ["LoggedJob", "MetricKey", "read_job_log"]

_GZIP_MAGIC = b"\x1f\x8b"

_CONFIGURATION = re.compile(r"Final configuration: (\{[^{}]*\})")
_DENSE_NETWORK = "[Fully symbolic network]"
_METRIC = re.compile(
    r"#quality_metric: host=(?P<host>\S+), (?:epoch=(?P<epoch>\d+), )?(?:batch=(?P<batch>\d+) )?"
    r"(?P<channel>train|test) (?P<name>\S+) <(?:loss|score)>=(?P<value>[-+.\w]+)"
)


@dataclass(frozen=True, slots=True)
class MetricKey:
    """Which metric: of a batch, of an epoch (``batch`` is None), or of the whole job (both are None)."""

    channel: str
    name: str
    epoch: int | None = None
    batch: int | None = None

    def __str__(self) -> str:
        parts = [f"{self.channel} {self.name}"]
        if self.epoch is not None:
            parts.append(f"epoch {self.epoch}")
        if self.batch is not None:
            parts.append(f"batch {self.batch}")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class LoggedJob:
    """What a log says of its job.

    Attributes:
        configuration: the final configuration: defaults updated with what the job gave.
        metrics: the quality metrics, in the order of the log. Of one that was logged twice (a job that was interrupted
            and went on) it is the last.
        fully_symbolic: whether Amazon's container trained its network for dense records.
    """

    configuration: dict[str, int | str]
    metrics: dict[MetricKey, float]
    fully_symbolic: bool

    @classmethod
    def parse(cls, text: str, source: str) -> LoggedJob:
        """Read a log.

        Args:
            text: in any of the forms of this module's description.
            source: its name, for errors.

        Raises:
            CustomerError: it is not the log of one training job on one host.
        """
        lines = _lines(text, source)
        metrics: dict[MetricKey, float] = {}
        hosts = set()
        for match in filter(None, map(_METRIC.search, lines)):
            hosts.add(match["host"])
            metrics[_key(match)] = _value(match, source)
        if len(hosts) > 1:
            raise CustomerError(
                f"{source} has the metrics of {len(hosts)} hosts ({', '.join(sorted(hosts))}), each of its own part of "
                "the records, which a job on this machine alone cannot repeat. Give the log of a job of one instance."
            )
        configuration = _configuration(lines, source)
        if not metrics:
            raise CustomerError(
                f"{source} has no line with a #quality_metric. Export the whole log of the training job."
            )
        return cls(configuration, metrics, any(_DENSE_NETWORK in line for line in lines))


def read_job_log(path: Path) -> LoggedJob:
    """Read the log of a job from a file, which may be compressed with gzip.

    Raises:
        CustomerError: it cannot be read, or is not the log of one training job on one host.
    """
    try:
        content = path.read_bytes()
        if content.startswith(_GZIP_MAGIC):
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise CustomerError(f"The log {path} cannot be read: {error}. Name a log that was exported whole.") from error
    return LoggedJob.parse(content.decode("utf-8-sig", errors="replace"), str(path))


def _lines(text: str, source: str) -> list[str]:
    """The log's messages, whatever form they come in."""
    # A plain log may begin with the bracket of a time, and a line of metrics is JSON within text.
    if not re.match(r'\s*(\{\s*"|\[\s*[{\]])', text):
        return text.splitlines()
    try:
        document = json.loads(text)
        events: list[Any] = document["events"] if isinstance(document, dict) else document
        return [line for event in events for line in str(event["message"]).splitlines()]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise CustomerError(
            f"{source} begins like JSON, but is not the events of a log stream: {error!r}. Export it with 'aws logs "
            "get-log-events --start-from-head --output json', or as text."
        ) from error


def _configuration(lines: list[str], source: str) -> dict[str, int | str]:
    printed = {match[1] for match in map(_CONFIGURATION.search, lines) if match}
    if len(printed) != 1:
        found = f"{len(printed)} different lines" if printed else "no line"
        raise CustomerError(
            f"{source} has {found} 'Final configuration: {{...}}', but the whole log of one training job has one. "
            "Export that."
        )
    try:
        configuration = ast.literal_eval(printed.pop())  # a Python dict of strings, of Python 2 in old containers
    except (ValueError, SyntaxError) as error:
        raise CustomerError(
            f"{source} has a broken line 'Final configuration': {error}. Export the log anew."
        ) from error
    return {str(name): value if isinstance(value, int) else str(value) for name, value in configuration.items()}


def _key(match: re.Match[str]) -> MetricKey:
    epoch, batch = (None if match[part] is None else int(match[part]) for part in ("epoch", "batch"))
    return MetricKey(match["channel"], match["name"], epoch, batch)


def _value(match: re.Match[str], source: str) -> float:
    try:
        return float(match["value"])
    except ValueError as error:
        raise CustomerError(
            f"{source} has a metric that is no number: '{match['value']}' in '{match[0]}'. Export the log anew."
        ) from error
