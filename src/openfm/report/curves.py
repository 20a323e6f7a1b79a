"""The numbers behind the charts: curves of a classifier, errors of a regressor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from openfm.fm.thresholds import threshold_table

__all__ = ["CalibrationBin", "Curves", "bins_of", "calibration", "curves", "log_loss"]

_CALIBRATION_BINS = 10
_LEAST_PROBABILITY = 1e-8  # as in the logged cross entropy
_WILSON_Z = 1.96  # 95 %

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """What a classifier does at every threshold, from the highest to the lowest: float64, shape (points,) each.

    Attributes:
        false_positive_rate, recall: of the ROC curve, from (0, 0) to (1, 1).
        precision: at each recall; its first is that of its second.
        average_precision: precision averaged over recall, by steps.
    """

    false_positive_rate: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]
    precision: npt.NDArray[np.float64]
    average_precision: float


def curves(scores: Floats, labels: Floats) -> Curves:
    """The curves of scores whose records are of both labels.

    Raises:
        ValueError: a label is neither 0 nor 1, or all are alike.
    """
    table = threshold_table(scores, labels)
    found, false = table.true_positives[::-1], table.false_positives[::-1]
    if not found[-1] or not false[-1]:
        raise ValueError("all records have the same label")
    recall = np.concatenate([[0.0], found / found[-1]])
    precision = table.precision[::-1]
    return Curves(
        np.concatenate([[0.0], false / false[-1]]),
        recall,
        np.concatenate([precision[:1], precision]),
        float(np.sum(np.diff(recall) * precision)),
    )


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Records with scores next to each other.

    Attributes:
        count: how many.
        predicted: their mean score.
        observed: the share of label 1 among them.
        low, high: the 95 % interval of that share (E. B. Wilson, 1927).
    """

    count: int
    predicted: float
    observed: float
    low: float
    high: float


def calibration(scores: Floats, labels: Floats) -> list[CalibrationBin]:
    """Ten parts of the records, by score, of about the same size; equal scores stay together."""
    order = np.argsort(scores, kind="stable")
    scores, labels = scores[order].astype(np.float64), labels[order]
    edges = np.arange(_CALIBRATION_BINS) * len(scores) // _CALIBRATION_BINS
    starts = np.unique(np.searchsorted(scores, scores[edges], side="left"))
    ends = [*starts[1:].tolist(), len(scores)]
    bins = []
    for begin, end in zip(starts.tolist(), ends, strict=True):
        share = float(labels[begin:end].mean(dtype=np.float64))
        low, high = _wilson(share, end - begin)
        bins.append(CalibrationBin(end - begin, float(scores[begin:end].mean()), share, low, high))
    return bins


def _wilson(share: float, count: int) -> tuple[float, float]:
    z2 = _WILSON_Z**2 / count
    centre = (share + z2 / 2) / (1 + z2)
    half = _WILSON_Z / (1 + z2) * float(np.sqrt(share * (1 - share) / count + z2 / (4 * count)))
    return max(0.0, centre - half), min(1.0, centre + half)


def log_loss(scores: Floats, labels: Floats) -> float:
    """Mean cross entropy."""
    wide = scores.astype(np.float64)
    of_label = np.where(labels == 1, wide, 1 - wide) + _LEAST_PROBABILITY
    return float(-np.log(of_label).mean())


def bins_of(values: npt.NDArray[np.floating], most: int = 30, apart: int = 15) -> npt.NDArray[np.float64]:
    """Edges of a histogram: where only few different values occur, around each of them.

    Args:
        values: at least one, finite.
        most: bins there are at most otherwise.
        apart: different values that are few.
    """
    different = np.unique(values).astype(np.float64)
    if 1 < len(different) <= apart:
        between = (different[1:] + different[:-1]) / 2
        first, last = different[0] - (between[0] - different[0]), different[-1] + (different[-1] - between[-1])
        return np.concatenate([[first], between, [last]])
    low, high = float(different[0]), float(different[-1])
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, most + 1)
