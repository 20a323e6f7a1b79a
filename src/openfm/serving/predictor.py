"""The predictor: rows in, predictions out. It knows no HTTP."""

from __future__ import annotations

import numpy as np

from openfm.codecs.predictions import Predictions
from openfm.errors import RequestError
from openfm.fm.model import FactorizationMachine, PredictorType, predicted_labels
from openfm.fm.rows import SparseRows

__all__ = ["Predictor"]


class Predictor:
    """Scores the rows of a request with one model.

    Safe to call from several threads at once: the model never changes, and each call scores on its
    own thread, since a server's workers and their threads already keep the processors busy.

    Args:
        machine: the trained model.
    """

    def __init__(self, machine: FactorizationMachine) -> None:
        machine.prepare()
        self._machine = machine

    @property
    def feature_dim(self) -> int:
        """The width of the rows that it takes."""
        return self._machine.feature_dim

    def predict(self, rows: SparseRows) -> Predictions:
        """Score rows; a binary classifier labels them too.

        Raises:
            RequestError: A score is not finite, because finite values of the row overflow float32
                in the model.
        """
        scores = self._machine.score(rows, threads=1)
        finite = np.isfinite(scores)
        if not finite.all():
            raise RequestError(f"instance {int(np.argmin(finite))}: its score overflows float32; scale its values down")
        if self._machine.predictor_type is PredictorType.REGRESSOR:
            return Predictions(scores)
        return Predictions(scores, predicted_labels(scores))
