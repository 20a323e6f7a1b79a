"""Predictions: what the model answers, before a codec turns it into bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from openfm.data.identities import RecordIdentities

__all__ = ["Predictions"]


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
