"""Predictions: what the model answers, before a codec turns it into bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from openfm.data.identities import RecordIdentities

__all__ = ["Predictions"]

_SLICE = 10_000
"""How many rows are Python numbers at a time, which take several times the memory of the arrays."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """The answers to the rows of one request, in the request's order.

    Attributes:
        scores: float32, shape (rows,): the probability of label 1 from a binary classifier, the
            predicted value from a regressor.
        predicted_labels: float32, shape (rows,): 0.0 or 1.0 from a binary classifier; None from a
            regressor.
        identities: the uid and metadata of the request's records, which a recordIO answer repeats.
    """

    scores: npt.NDArray[np.float32]
    predicted_labels: npt.NDArray[np.float32] | None = None
    identities: RecordIdentities | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def identified(self, identities: RecordIdentities | None) -> Predictions:
        """The same predictions with the identities of the request's records."""
        return replace(self, identities=identities)

    def iter_dicts(self) -> Iterator[dict[str, float]]:
        """One dict per row, such as ``{"score": 0.58, "predicted_label": 1.0}``.

        Amazon's order and types: the score first; both floats; the float32 score widened to a
        double as it is, so that it prints as 0.5895045399665833 and not as 0.58950454.
        """
        for start in range(0, len(self), _SLICE):
            part = slice(start, start + _SLICE)
            scores = self.scores[part].tolist()
            if self.predicted_labels is None:
                yield from ({"score": score} for score in scores)
            else:
                for score, label in zip(scores, self.predicted_labels[part].tolist(), strict=True):
                    yield {"score": score, "predicted_label": label}
