from __future__ import annotations

import numpy as np
import pytest

from openfm.errors import RequestError
from openfm.fm.model import FactorizationMachine
from openfm.fm.rows import SparseRows
from openfm.serving.predictor import Predictor


def rows_of(*dense: list[float]) -> SparseRows:
    matrix = np.array(dense, dtype=np.float32)
    rows, columns = np.nonzero(matrix)
    return SparseRows(
        indptr=np.searchsorted(rows, np.arange(len(matrix) + 1)).astype(np.int64),
        indices=columns.astype(np.int32),
        values=matrix[rows, columns],
        feature_dim=matrix.shape[1],
    )


def test_regressor_scores_without_labels(regressor: FactorizationMachine) -> None:
    predictions = Predictor(regressor).predict(rows_of([0, 0, 0], [1, 0, 0], [1, 2, 4]))

    # 1/4; 1/4 + 1/2; 1/4 + 1/2 - 2 + 1 + 4 + 8
    assert predictions.scores.tolist() == [0.25, 0.75, 11.75]
    assert predictions.scores.dtype == np.float32
    assert predictions.predicted_labels is None


def test_classifier_scores_probabilities_and_labels(classifier: FactorizationMachine) -> None:
    predictions = Predictor(classifier).predict(rows_of([0, 0, 0], [0, 2, 0]))

    np.testing.assert_allclose(predictions.scores, 1 / (1 + np.exp([-0.25, 1.75])), rtol=2e-6)
    assert predictions.predicted_labels is not None
    assert predictions.predicted_labels.tolist() == [1.0, 0.0]
    assert predictions.predicted_labels.dtype == np.float32


def test_no_rows(regressor: FactorizationMachine) -> None:
    empty = SparseRows(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), feature_dim=3)
    assert len(Predictor(regressor).predict(empty)) == 0


def test_a_score_that_overflows_names_its_instance(regressor: FactorizationMachine) -> None:
    with pytest.raises(RequestError, match=r"^instance 1: its score overflows float32"):
        Predictor(regressor).predict(rows_of([1, 1, 1], [3e38, 0, 3e38]))
