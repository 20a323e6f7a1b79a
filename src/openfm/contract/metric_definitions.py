"""The metrics that a platform can read out of a job's log: names and regular expressions.

They are the 18 of Amazon's built-in algorithm, as awslabs/mlspace publishes them, and ``test:auc``, which is openfm's
own. SageMaker knows those of its own
algorithms; for any other image whoever starts the job gives them (``AlgorithmSpecification.MetricDefinitions``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = ["METRIC_DEFINITIONS", "MetricDefinition"]

Objective = Literal["Maximize", "Minimize"]


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """One metric.

    Attributes:
        name: such as ``test:rmse``; what a tuning job calls it.
        regex: searched for in each line of the log; its only group is the value.
        objective: what a tuning job may do with it; None: no tuning job may be after it.
    """

    name: str
    regex: str
    objective: Objective | None = None

    def find(self, log: str) -> list[float]:
        """The metric's values in a log, in their order."""
        return [float(match[1]) for line in log.splitlines() if (match := re.search(self.regex, line))]


# Name, how the log writes it, which way it improves. The log has mse and absolute_loss too; Amazon leaves them out.
_QUALITY: tuple[tuple[str, str, Objective], ...] = (
    ("binary_classification_accuracy", "binary_classification_accuracy <score>", "Maximize"),
    ("binary_classification_cross_entropy", "binary_classification_cross_entropy <loss>", "Minimize"),
    ("binary_f_beta", "binary_f_1.000 <score>", "Maximize"),
    ("rmse", "rmse <loss>", "Minimize"),
)


def _definitions() -> Iterator[MetricDefinition]:
    host = r"#quality_metric: host=\S+, "
    for name, printed, objective in _QUALITY:
        yield MetricDefinition(f"test:{name}", rf"{host}test {printed}=(\S+)", objective)
    yield MetricDefinition("test:auc", rf"{host}test auc <score>=(\S+)", "Maximize")
    for name, printed, _ in _QUALITY:
        yield MetricDefinition(f"train:{name}", rf"{host}train {printed}=(\S+)")
        yield MetricDefinition(f"train:{name}:epoch", rf"{host}epoch=\S+, train {printed}=(\S+)")
        yield MetricDefinition(f"train:{name}:batch", rf"{host}epoch=\S+, batch=\S+ train {printed}=(\S+)")
    yield MetricDefinition("train:progress", r"#progress_metric: host=\S+, completed (\S+) %")
    yield MetricDefinition("train:throughput", r"#throughput_metric: host=\S+, train throughput=(\S+) records/second")


METRIC_DEFINITIONS: tuple[MetricDefinition, ...] = tuple(_definitions())
"""All metrics: those of the channel ``test``, which tuning jobs may be after, then those of the training."""
