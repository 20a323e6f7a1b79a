"""Learning curves, from the events of ``metrics.jsonl``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from openfm.errors import DataError
from openfm.report.chart import Axis, Chart, shown

__all__ = ["History"]

_TITLES = {
    "rmse": "Root mean squared error",
    "absolute_loss": "Mean absolute error",
    "mse": "Mean squared error",
    "binary_classification_cross_entropy": "Cross entropy",
    "binary_classification_accuracy": "Accuracy",
    "binary_f_1.000": "F1",
}
_REDUNDANT = {"mse"}  # where rmse is shown
_SERIES = {"train": "s1", "validation": "s2"}  # what comes after early stopping has the third
_NAMES = {"train": "train", "validation": "held out"}


@dataclass(frozen=True, slots=True)
class History:
    """How a training went.

    Attributes:
        epochs: for each channel, the metrics of each epoch, in order.
        scores: the finished model's metrics on a channel.
        best_epoch: whose parameters the model has, where held-out rows chose it.
        hyperparameters: what the training was told.
        facts: what else is known, in words.
    """

    epochs: dict[str, list[tuple[int, dict[str, float]]]]
    scores: dict[str, dict[str, float]]
    best_epoch: int | None
    hyperparameters: dict[str, str]
    facts: dict[str, str]

    @classmethod
    def of(cls, events: Iterable[Mapping[str, Any]]) -> History:
        """Understand the events of one training.

        Raises:
            DataError: an event lacks what it must have.
        """
        epochs: dict[str, list[tuple[int, dict[str, float]]]] = {}
        scores: dict[str, dict[str, float]] = {}
        best = None
        hyperparameters: dict[str, str] = {}
        facts: dict[str, str] = {}
        rows, seconds = 0, 0.0
        for event in events:
            try:
                match event["event"]:
                    case "start":
                        hyperparameters = {name: str(value) for name, value in event["hyperparameters"].items()}
                    case "epoch":
                        epochs.setdefault(event["channel"], []).append((event["epoch"], dict(event["metrics"])))
                        if event["channel"] == "train":
                            rows, seconds = rows + event["rows"], seconds + event["seconds"]
                            facts["rows trained on"] = f"{event['rows']:,}"
                    case "early_stop":
                        best = event["best_epoch"]
                    case "score":
                        scores[event["channel"]] = dict(event["metrics"])
                    case "end":
                        best = event.get("best_epoch", best)
                        facts["epochs"] = f"{event['epochs']:,}{' (stopped on request)' if event['stopped'] else ''}"
                        facts["seconds in all"] = shown(event["seconds"])
            except (KeyError, TypeError, AttributeError) as error:
                raise DataError(
                    f"An event of the metrics lacks {error}. Give the metrics.jsonl of a training."
                ) from error
        if seconds:
            facts["rows a second"] = f"{rows / seconds:,.0f}"
        return cls(epochs, scores, best, hyperparameters, facts)

    def charts(self) -> list[Chart]:
        """A chart for each metric, with a line for each channel."""
        names = dict.fromkeys(name for series in self.epochs.values() for _, metrics in series for name in metrics)
        return [self._chart(name) for name in names if name not in _REDUNDANT or "rmse" not in names]

    def _chart(self, name: str) -> Chart:
        lines = {
            channel: [(epoch + 1, metrics[name]) for epoch, metrics in series if name in metrics]
            for channel, series in self.epochs.items()
        }
        lines = {channel: points for channel, points in lines.items() if points}
        scores = {channel: metrics[name] for channel, metrics in self.scores.items() if name in metrics}
        numbers = [epoch for points in lines.values() for epoch, _ in points]
        values = [value for points in lines.values() for _, value in points] + list(scores.values())
        title = _TITLES.get(name, name)
        ends = ", ".join(f"{_NAMES.get(channel, channel)} {shown(points[-1][1])}" for channel, points in lines.items())
        summary = f"{title} over {max(numbers)} epochs; at the end: {ends}."
        chart = Chart(title, summary, Axis.over("epoch", numbers, whole=True), Axis.over("", values))
        for channel, points in lines.items():
            series, called = _SERIES.get(channel, "s3"), _NAMES.get(channel, channel)
            chart.line([x for x, _ in points], [y for _, y in points], series, called)
            for epoch, value in points if len(points) <= 60 else points[-1:]:
                chart.dot(epoch, value, series, f"{called}, epoch {epoch}: {shown(value)}")
        for channel, value in scores.items():
            chart.line([chart.x.low, chart.x.high], [value] * 2, "s4", f"{channel}, the model", dashed=True)
        if self.best_epoch is not None:
            at = self.best_epoch + 1
            chart.line([at, at], [chart.y.low, chart.y.high], "muted", f"best epoch ({at})", dashed=True)
        return chart
