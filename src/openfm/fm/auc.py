"""The area under the ROC curve, exactly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["AreaUnderCurve"]


class AreaUnderCurve:
    """How probable it is that a record of label 1 scores higher than one of label 0; equal scores count as a half.

    It keeps every score: 4 bytes for each record.
    """

    def __init__(self) -> None:
        self._positives: list[npt.NDArray[np.float32]] = []
        self._negatives: list[npt.NDArray[np.float32]] = []

    def add(self, scores: npt.NDArray[np.float32], labels: npt.NDArray[np.float32]) -> None:
        """See scored records: both float32, shape (n,), the labels 0 or 1, the scores finite."""
        positive = labels == 1.0
        self._positives.append(scores[positive])
        self._negatives.append(scores[~positive])

    def scores(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """All scores of label 1, and all of label 0."""
        return _joined(self._positives), _joined(self._negatives)

    def value(self) -> float | None:
        """The area so far, from 0 to 1; None where all records have one label, or there are none."""
        positives, negatives = _joined(self._positives), np.sort(_joined(self._negatives))
        pairs = len(positives) * len(negatives)
        if not pairs:
            return None
        below = np.searchsorted(negatives, positives, side="left")
        not_above = np.searchsorted(negatives, positives, side="right")
        # In whole numbers, so that only the division rounds.
        return (int(below.sum()) + int(not_above.sum())) / (2 * pairs)


def _joined(parts: list[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.float32)
