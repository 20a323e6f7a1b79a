"""What came out of ``openfm train`` on files, for people and for programs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from openfm.artifact import Model
from openfm.errors import DataError
from openfm.fm.auc import AreaUnderCurve
from openfm.fm.metrics import Metric, running_metrics
from openfm.fm.model import PredictorType
from openfm.learning import Examples, Fitted

__all__ = ["Outcome", "by_name", "quality_on"]


def by_name(metrics: Sequence[Metric]) -> dict[str, float]:
    """Metrics by the names that jobs log."""
    return {metric.name: metric.value for metric in metrics}


def quality_on(model: Model, examples: Examples, *, threads: int) -> dict[str, float]:
    """The metrics of a model on examples, by the names that jobs log, ``auc`` of a classifier among them.

    Args:
        model: the model.
        examples: the examples, at least one; a binary classifier's labels are 0 and 1.
        threads: how many score.

    Raises:
        DataError: a metric is not finite.
    """
    scores = model.machine.score(examples.rows, threads=threads)
    metrics = running_metrics(model.predictor_type)
    metrics.add_scores(scores, examples.labels)
    found = by_name(metrics.values())
    if not all(map(math.isfinite, found.values())):
        raise DataError("The metrics of the test file are not finite: scale its features and labels to about 1.")
    if model.predictor_type is PredictorType.BINARY_CLASSIFIER:
        area = AreaUnderCurve()
        area.add(scores, examples.labels)
        if (value := area.value()) is not None:
            found["auc"] = value
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came out.

    Attributes:
        path: of the model's file.
        model: the model.
        rows: that were trained on.
        fitted: what training gave.
        seconds: that all took.
        test: the metrics of the test file, if there was one.
        unseen: for each column of the file that was trained on, in how many of its rows the value is one that the model
            to start from does not know.
        unseen_in_test: for each column of the test file, in how many of its rows the value did not occur in training.
    """

    path: str
    model: Model
    rows: int
    fitted: Fitted
    seconds: float
    test: Mapping[str, float] | None = None
    unseen: Mapping[str, int] = field(default_factory=dict)
    unseen_in_test: Mapping[str, int] = field(default_factory=dict)

    def document(self) -> dict[str, object]:
        """For programs."""
        last = self.fitted.history[-1] if self.fitted.history else None
        watched = self._watched()
        return {
            "model": self.path,
            "predictor_type": self.model.predictor_type.value,
            "features": self.model.feature_dim,
            "factors": self.model.num_factors,
            "threshold": self.model.threshold,
            "rows": self.rows,
            "epochs": len(self.fitted.history) - self._on_all_rows(),
            "epochs_on_all_rows": self._on_all_rows(),
            "best_epoch": self.fitted.best_epoch,
            "interrupted": self.fitted.interrupted,
            "seconds": round(self.seconds, 3),
            "train": None if last is None else by_name(last.train),
            "validation": watched,
            "test": None if self.test is None else dict(self.test),
            "unseen_in_train": dict(self.unseen),
            "unseen_in_test": dict(self.unseen_in_test),
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        kind = self.model.predictor_type.value.replace("_", " ")
        yield f"model     {self.path} ({kind}, {self.model.feature_dim:,} features, {self.model.num_factors} factors)"
        yield f"trained   {_count(self.rows, 'row')}, {self._epochs()}, {self.seconds:.1f} s in all"
        for column, rows in self.unseen.items():
            verb = "has" if rows == 1 else "have"
            yield f"          {_count(rows, 'row')} {verb} a value in column '{column}' that the model did not know"
        if self.model.threshold is not None:
            yield (
                f"          the threshold {self.model.threshold:g} of the model to start from was kept: see whether "
                "it still fits (openfm thresholds)"
            )
        if (watched := self._watched()) is not None:
            yield f"held out  {_line(watched)}"
        if self.test is not None:
            yield f"test      {_line(self.test)}"
        for column, rows in self.unseen_in_test.items():
            verb = "has" if rows == 1 else "have"
            yield f"          {_count(rows, 'row')} of the test file {verb} a value in column '{column}' that is new"

    def _epochs(self) -> str:
        best, again = self.fitted.best_epoch, self._on_all_rows()
        text = _count(len(self.fitted.history) - again, "epoch")
        if best is not None and self._watched() is not None:
            text += f", of which number {best + 1} was the best"
        elif best is None and self.fitted.history and not self.fitted.interrupted:
            text += ", none of which was better than the start"
        return f"{text}, then {_count(again, 'epoch')} on all rows" if again else text

    def _on_all_rows(self) -> int:
        return sum(report.refit for report in self.fitted.history)

    def _watched(self) -> dict[str, float] | None:
        """The held-out rows' metrics of the epoch whose parameters were kept."""
        best = self.fitted.best_epoch
        found = [report for report in self.fitted.history if report.epoch == best and report.validation is not None]
        return by_name(found[0].validation or ()) if found else None


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _line(metrics: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.5f}" for name, value in metrics.items())
