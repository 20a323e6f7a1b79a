"""Does openfm do what Amazon's container did? Trains a logged job again and lays the metrics side by side."""

from __future__ import annotations

import contextlib
import io
import json
import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from openfm.contract.hyperparameters import DEFAULT_CONFIGURATION, DenseNetwork
from openfm.contract.job_log_reader import LoggedJob, MetricKey
from openfm.contract.paths import ContractPaths
from openfm.errors import CustomerError
from openfm.training import job
from openfm.training.stop import StopRequest

__all__ = ["ComparedMetric", "Comparison", "compare", "train_again"]


@dataclass(frozen=True, slots=True)
class ComparedMetric:
    """A metric of both jobs.

    Attributes:
        key: which.
        amazon: its value in the log that was given.
        openfm: its value in the job that was trained here; None if that job did not log it.
    """

    key: MetricKey
    amazon: float
    openfm: float | None

    @property
    def relative_difference(self) -> float:
        """Of openfm's value from Amazon's; infinite where one is missing, not finite, or should be 0 and is not."""
        if self.openfm is None or not math.isfinite(self.amazon) or not math.isfinite(self.openfm):
            return math.inf
        difference = abs(self.openfm - self.amazon)
        if self.amazon == 0:
            return math.inf if difference else 0.0
        return difference / abs(self.amazon)


@dataclass(frozen=True, slots=True)
class Comparison:
    """All metrics that Amazon's container logged, beside openfm's.

    Attributes:
        configuration: of both jobs.
        metrics: in the order of Amazon's log; at least one.
        tolerance: the largest relative difference that passes.
    """

    configuration: dict[str, int | str]
    metrics: tuple[ComparedMetric, ...]
    tolerance: float

    @property
    def worst(self) -> ComparedMetric:
        """The metric that differs most."""
        return max(self.metrics, key=lambda metric: metric.relative_difference)

    @property
    def passes(self) -> bool:
        """Whether every metric is within the tolerance."""
        return self.worst.relative_difference <= self.tolerance

    def table(self) -> str:
        """For reading: a line for each metric, and the verdict."""
        rows = [("metric", "Amazon", "openfm", "relative difference")]
        for metric in self.metrics:
            ours = "-" if metric.openfm is None else repr(metric.openfm)
            rows.append((str(metric.key), repr(metric.amazon), ours, f"{metric.relative_difference:.1e}"))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        verdict = "within" if self.passes else "beyond"
        lines.append(
            f"Largest relative difference: {self.worst.relative_difference:.1e} ({self.worst.key}), {verdict} the "
            f"tolerance of {self.tolerance:g}."
        )
        return "\n".join(lines)

    def to_json(self) -> str:
        """For programs; an infinite difference is null."""
        document = {
            "configuration": self.configuration,
            "metrics": [
                {
                    "channel": metric.key.channel,
                    "name": metric.key.name,
                    "epoch": metric.key.epoch,
                    "batch": metric.key.batch,
                    "amazon": _finite(metric.amazon),
                    "openfm": _finite(metric.openfm),
                    "relative_difference": _finite(metric.relative_difference),
                }
                for metric in self.metrics
            ],
            "largest_relative_difference": _finite(self.worst.relative_difference),
            "tolerance": self.tolerance,
            "passes": self.passes,
        }
        return json.dumps(document, indent=2, allow_nan=False)


def compare(logged: LoggedJob, again: LoggedJob, *, tolerance: float) -> Comparison:
    """Lay the metrics of two jobs side by side.

    Args:
        logged: Amazon's.
        again: the same job, trained here. What only this one logged is left out, and so are Amazon's metrics of the
            channel ``test`` if this one had no such channel.
        tolerance: the largest relative difference that passes.

    Raises:
        CustomerError: nothing is left to compare.
    """
    channels = {key.channel for key in again.metrics}
    metrics = [
        ComparedMetric(key, value, again.metrics.get(key))
        for key, value in logged.metrics.items()
        if key.channel in channels
    ]
    if not metrics:
        raise CustomerError(
            "The log has metrics of the channel 'test' only, and no such channel was given. Give it with --test."
        )
    return Comparison(logged.configuration, tuple(metrics), tolerance)


def train_again(logged: LoggedJob, train: Path, test: Path | None, environ: Mapping[str, str]) -> tuple[LoggedJob, str]:
    """Train a logged job here, with exactly its configuration, in a folder that is removed afterwards.

    Args:
        logged: the job. If Amazon's container trained its network for dense records, so does this.
        train: the folder or file of the channel ``train``.
        test: that of the channel ``test``, if any.
        environ: for openfm's own variables, such as the number of threads.

    Returns:
        What the log of the new job says, and the log itself.

    Raises:
        OpenFMError: the job cannot be done.
        OSError: the machine refuses to read or write.
    """
    given = {
        name: value
        for name, value in logged.configuration.items()
        if name not in DEFAULT_CONFIGURATION or str(DEFAULT_CONFIGURATION[name]) != str(value)
    }
    if logged.fully_symbolic:
        given["dense_network"] = DenseNetwork.AMAZON.value
    output = io.StringIO()
    with tempfile.TemporaryDirectory(prefix="openfm-compare-") as folder, contextlib.redirect_stdout(output):
        paths = ContractPaths(Path(folder))
        paths.config.mkdir(parents=True)
        paths.data.mkdir(parents=True)
        paths.hyperparameters.write_text(json.dumps(given), encoding="utf-8")
        for name, source in (("train", train), ("test", test)):
            if source is not None:
                (paths.data / name).symlink_to(source.resolve())
        job.run(paths, environ, StopRequest())
    log = output.getvalue()
    return LoggedJob.parse(log, "the log of the job trained here"), log


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
