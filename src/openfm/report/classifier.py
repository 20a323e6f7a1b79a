"""What a report shows of a binary classifier's scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from openfm.fm.auc import AreaUnderCurve
from openfm.fm.thresholds import ThresholdTable, threshold_table
from openfm.report.chart import Axis, Chart, shown
from openfm.report.curves import CalibrationBin, Curves, calibration, curves, log_loss

__all__ = ["ClassifierSection", "Confusion", "ThresholdRow", "classifier_section"]

_STEPS = np.arange(1, 20) / 20
_DEFAULT = 0.5


@dataclass(frozen=True, slots=True)
class Confusion:
    """How records are classified at a threshold.

    Attributes:
        title: which threshold, and why this one.
        true_positives, false_positives, true_negatives, false_negatives: records.
        f1, accuracy: at this threshold.
    """

    title: str
    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int
    f1: float
    accuracy: float

    def share(self, count: int) -> float:
        """Which part of all records so many are."""
        return count / (self.true_positives + self.false_positives + self.true_negatives + self.false_negatives)


@dataclass(frozen=True, slots=True)
class ThresholdRow:
    """A row of the table of thresholds; ``remark`` says what is special about it."""

    threshold: float
    precision: float
    recall: float
    f1: float
    accuracy: float
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int
    remark: str


@dataclass(frozen=True, slots=True)
class ClassifierSection:
    """All that is shown.

    Attributes:
        tiles: the most important numbers, by name.
        confusions: at 0.5, and at another threshold.
        charts: ROC, precision and recall, calibration, distribution of scores.
        measures: what each threshold does, as a chart.
        thresholds: the same as a table.
        note: what could not be shown, and why; or empty.
    """

    tiles: dict[str, str]
    confusions: list[Confusion]
    charts: list[Chart]
    measures: Chart
    thresholds: list[ThresholdRow]
    note: str = ""


def classifier_section(
    scores: npt.NDArray[np.float32], labels: npt.NDArray[np.float32], stored: float | None
) -> ClassifierSection:
    """Look at scores of records with labels.

    Args:
        scores: probabilities of label 1, shape (n,), n at least 1.
        labels: 0 or 1, shape (n,).
        stored: the model's own threshold, if it has one.

    Raises:
        ValueError: a label is neither 0 nor 1.
    """
    every = threshold_table(scores, labels)
    best = float(every.thresholds[int(np.argmax(every.f1))])
    remarks = {_DEFAULT: "default", best: "best F1"}
    if stored is not None:
        remarks[stored] = f"{remarks[stored]}, stored" if stored in remarks else "stored in the model"
    table = threshold_table(scores, labels, np.unique([*_STEPS, *remarks]))
    both = 0 < int(labels.sum()) < len(labels)
    bins = calibration(scores, labels)
    drawn = curves(scores, labels) if both else None
    area = AreaUnderCurve()
    area.add(scores, labels)
    charts = [] if drawn is None else [_roc(drawn, area.value() or 0.0), _precision_recall(drawn, float(labels.mean()))]
    charts += [_calibration(bins), _distribution(scores, labels)]
    other = best if stored is None else stored
    matrices = [_confusion(scores, labels, _DEFAULT, "At the threshold 0.5")]
    if other != _DEFAULT:
        why = "the best F1 on these records" if stored is None else "stored in the model"
        matrices.append(_confusion(scores, labels, other, f"At {shown(other)}, {why}"))
    return ClassifierSection(
        _tiles(scores, labels, matrices[0], area.value(), drawn, bins),
        matrices,
        charts,
        _measures(table),
        [_row(table, i, remarks.get(float(table.thresholds[i]), "")) for i in range(len(table))],
        "" if both else "All records have the same label: there is no ROC curve, and no curve of precision and recall.",
    )


def _tiles(
    scores: npt.NDArray[np.float32],
    labels: npt.NDArray[np.float32],
    at_half: Confusion,
    area: float | None,
    drawn: Curves | None,
    bins: list[CalibrationBin],
) -> dict[str, str]:
    tiles = {} if area is None or drawn is None else {
        "ROC AUC": shown(area), "average precision": shown(drawn.average_precision),
    }  # fmt: skip
    error = sum(each.count * abs(each.predicted - each.observed) for each in bins) / len(scores)
    return tiles | {
        "log loss": shown(log_loss(scores, labels)),
        "accuracy at 0.5": shown(at_half.accuracy),
        "F1 at 0.5": shown(at_half.f1),
        "Brier score": shown(float(np.mean(np.square(scores.astype(np.float64) - labels)))),
        "calibration error": shown(error),
    }


def _confusion(
    scores: npt.NDArray[np.float32], labels: npt.NDArray[np.float32], threshold: float, title: str
) -> Confusion:
    table = threshold_table(scores, labels, [threshold])
    return Confusion(
        title,
        true_positives=int(table.true_positives[0]),
        false_positives=int(table.false_positives[0]),
        true_negatives=int(table.true_negatives[0]),
        false_negatives=int(table.false_negatives[0]),
        f1=float(table.f1[0]),
        accuracy=float(table.accuracy[0]),
    )


def _row(table: ThresholdTable, row: int, remark: str) -> ThresholdRow:
    return ThresholdRow(
        threshold=float(table.thresholds[row]),
        precision=float(table.precision[row]),
        recall=float(table.recall[row]),
        f1=float(table.f1[row]),
        accuracy=float(table.accuracy[row]),
        true_positives=int(table.true_positives[row]),
        false_positives=int(table.false_positives[row]),
        false_negatives=int(table.false_negatives[row]),
        true_negatives=int(table.true_negatives[row]),
        remark=remark,
    )


def _roc(drawn: Curves, area: float) -> Chart:
    chart = Chart(
        "ROC curve",
        f"Share of label 1 that is found against share of label 0 that is taken for it. The area is {shown(area)}.",
        Axis.share("false positive rate"),
        Axis.share("recall (true positive rate)"),
    )
    chart.line([0, 1], [0, 1], "muted", "by chance", dashed=True)
    chart.line(drawn.false_positive_rate, drawn.recall, "s1", f"the model, area {shown(area)}")
    return chart


def _precision_recall(drawn: Curves, base: float) -> Chart:
    chart = Chart(
        "Precision and recall",
        f"Share of the positive predictions that is right, against the share of label 1 that is found. The average "
        f"precision is {shown(drawn.average_precision)}; label 1 is {shown(base)} of the records.",
        Axis.share("recall"),
        Axis.share("precision"),
    )
    chart.line([0, 1], [base, base], "muted", f"by chance, {shown(base)}", dashed=True)
    chart.line(drawn.recall, drawn.precision, "s1", f"the model, average {shown(drawn.average_precision)}")
    return chart


def _calibration(bins: list[CalibrationBin]) -> Chart:
    most = max(max(each.predicted, each.high) for each in bins)
    whole = most > 0.5
    x = Axis.share("mean predicted probability") if whole else Axis.over("mean predicted probability", [0, most])
    y = Axis.share("observed share of label 1") if whole else Axis.over("observed share of label 1", [0, most])
    chart = Chart(
        "Calibration",
        "Whether predicted probabilities come true: tenths of the records by score, the share of label 1 in each "
        "against its mean score, with 95% intervals. The nearer to the diagonal, the better.",
        x,
        y,
    )
    chart.line([0, min(x.high, y.high)], [0, min(x.high, y.high)], "muted", "perfectly calibrated", dashed=True)
    for each in bins:
        chart.line([each.predicted] * 2, [each.low, each.high], "s1")
    chart.line([each.predicted for each in bins], [each.observed for each in bins], "s1", "the model")
    for each in bins:
        text = f"{each.count:,} records: predicted {shown(each.predicted)}, observed {shown(each.observed)}"
        chart.dot(each.predicted, each.observed, "s1", text)
    return chart


def _distribution(scores: npt.NDArray[np.float32], labels: npt.NDArray[np.float32]) -> Chart:
    edges = np.linspace(0, 1, 31)
    shares = {}
    for label in (0, 1):
        chosen = scores[labels == label]
        if len(chosen):
            shares[label] = np.histogram(chosen, edges)[0] / len(chosen)
    most = max(float(each.max()) for each in shares.values())
    chart = Chart(
        "Scores of each label",
        "How the scores of records of label 0 and of label 1 are distributed. The less they overlap, the better they "
        "are told apart.",
        Axis.share("score"),
        Axis.over("share of the label's records", [0, most]),
    )
    for label, series in ((0, "s2"), (1, "s1")):
        if label not in shares:
            continue
        chart.legend.append((series, f"label {label}", False))
        for i, share in enumerate(shares[label].tolist()):
            if share:
                text = f"label {label}, score {edges[i]:.2f} to {edges[i + 1]:.2f}: {share:.1%}"
                chart.box(float(edges[i]), float(edges[i + 1]), 0, share, series, text, opacity=0.55)
    return chart


def _measures(table: ThresholdTable) -> Chart:
    chart = Chart(
        "What each threshold does",
        "Precision, recall and F1 of label 1 at thresholds from 0 to 1.",
        Axis.share("threshold"),
        Axis.share(""),
    )
    for name, series in (("precision", "s1"), ("recall", "s2"), ("f1", "s3")):
        chart.line(table.thresholds, getattr(table, name), series, name.replace("f1", "F1"))
    return chart
