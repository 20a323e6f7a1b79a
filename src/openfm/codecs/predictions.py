"""Predictions: what the model answers, before a codec turns it into bytes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Predictions"]


@dataclass(frozen=True, slots=True)
class Predictions:
    """The answers to the rows of one request, in the request's order.

    Attributes:
        scores: float32, shape (rows,): the probability of label 1 from a binary classifier, the
            predicted value from a regressor.
        predicted_labels: float32, shape (rows,): 0.0 or 1.0 from a binary classifier; None from a
            regressor.
    """

    scores: npt.NDArray[np.float32]
    predicted_labels: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def to_dicts(self) -> list[dict[str, float]]:
        """One dict per row, such as ``{"score": 0.58, "predicted_label": 1.0}``.

        Amazon's order and types: the score first; both floats; the float32 score widened to a
        double as it is, so that it prints as 0.5895045399665833 and not as 0.58950454.
        """
        scores = self.scores.tolist()
        if self.predicted_labels is None:
            return [{"score": score} for score in scores]
        labels = self.predicted_labels.tolist()
        return [
            {"score": score, "predicted_label": label}
            for score, label in zip(scores, labels, strict=True)
        ]
