"""What a binary classifier's threshold makes of its scores: precision, recall, F1 and accuracy at each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["ThresholdTable", "threshold_table"]


@dataclass(frozen=True, slots=True, eq=False)
class ThresholdTable:
    """Counts at thresholds, in ascending order; a record whose score is at least the threshold is predicted to be a 1.

    Attributes:
        thresholds: float64, shape (n,).
        true_positives, false_positives, true_negatives, false_negatives: int64, shape (n,).
    """

    thresholds: npt.NDArray[np.float64]
    true_positives: npt.NDArray[np.int64]
    false_positives: npt.NDArray[np.int64]
    true_negatives: npt.NDArray[np.int64]
    false_negatives: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.thresholds)

    @property
    def precision(self) -> npt.NDArray[np.float64]:
        """Which part of the positive predictions is right; 0 where there is none."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> npt.NDArray[np.float64]:
        """Which part of the records of label 1 is found; 0 where there is none."""
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> npt.NDArray[np.float64]:
        """The harmonic mean of precision and recall; 0 with neither a record nor a prediction of label 1."""
        found = 2 * self.true_positives
        return _ratio(found, found + self.false_positives + self.false_negatives)

    @property
    def accuracy(self) -> npt.NDArray[np.float64]:
        """Which part of all predictions is right; 0 with no record."""
        right = self.true_positives + self.true_negatives
        return _ratio(right, right + self.false_positives + self.false_negatives)


def threshold_table(
    scores: npt.NDArray[np.float32],
    labels: npt.NDArray[np.float32],
    thresholds: npt.ArrayLike | None = None,
) -> ThresholdTable:
    """Count, exactly, how records are classified at thresholds.

    Args:
        scores: a binary classifier's, shape (n,).
        labels: 0 or 1, shape (n,).
        thresholds: the thresholds; None: every score that occurs, at which alone the counts change.

    Raises:
        ValueError: scores and labels are not of one length, a score or a threshold is NaN, or a label is neither 0 nor
            1.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.ndim != 1 or scores.shape != labels.shape:
        raise ValueError(
            f"scores of shape {scores.shape} and labels of shape {labels.shape} are not one of each record"
        )
    positive = labels == 1
    if not (positive | (labels == 0)).all():
        raise ValueError("a label is neither 0 nor 1")
    wanted = np.unique(scores if thresholds is None else np.asarray(thresholds)).astype(np.float64)
    if np.isnan(scores).any() or np.isnan(wanted).any():
        raise ValueError("a score or a threshold is NaN")
    of_positives, of_negatives = np.sort(scores[positive]), np.sort(scores[~positive])
    # Records below a threshold are predicted to be of label 0.
    false_negatives = np.searchsorted(of_positives, wanted, side="left").astype(np.int64)
    true_negatives = np.searchsorted(of_negatives, wanted, side="left").astype(np.int64)
    return ThresholdTable(
        thresholds=wanted,
        true_positives=len(of_positives) - false_negatives,
        false_positives=len(of_negatives) - true_negatives,
        true_negatives=true_negatives,
        false_negatives=false_negatives,
    )


def _ratio(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
