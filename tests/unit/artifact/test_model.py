from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from openfm.errors import DataError
from openfm.fm.model import PredictorType

X = np.array([[1, 0, 2.5, 0, 0], [0, 0, 0, 0, 0], [0, -1, 0, 0, 3]])


def expected(model, X=X):
    """Equation (1) in float64, pair by pair."""
    w, V = model.linear.astype(np.float64), model.factors.astype(np.float64)
    scores = []
    for row in X:
        pairs = sum(V[i] @ V[j] * row[i] * row[j] for i in range(len(row)) for j in range(i + 1, len(row)))
        scores.append(model.bias + row @ w + pairs)
    return np.array(scores)


def test_regressor_predicts_the_score(small):
    model = small.model()
    scores = model.predict(X)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected(model), rtol=1e-5)
    assert scores[1] == np.float32(model.bias)


def test_classifier_predicts_the_probability(small):
    model = small.model("binary_classifier")
    probabilities = 1 / (1 + np.exp(-expected(model)))
    np.testing.assert_allclose(model.predict(X), probabilities, rtol=1e-5)


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"])
@pytest.mark.parametrize("make", [sparse.csr_matrix, sparse.csr_array])
def test_every_sparse_format(small, form, make):
    model = small.model()
    np.testing.assert_array_equal(model.predict(make(X).asformat(form)), model.predict(X))


def test_threads_do_not_change_scores(small):
    model = small.model()
    many = np.repeat(X, 500, axis=0)
    np.testing.assert_array_equal(model.predict(many, threads=2), model.predict(many))


def test_what_a_model_shows(small):
    model = small.model()
    assert model.bias == small.bias
    assert model.predictor_type is PredictorType.REGRESSOR
    assert (model.feature_dim, model.num_factors) == (5, 3)
    assert (model.linear.shape, model.factors.shape) == ((5,), (5, 3))
    assert not model.factors.flags.writeable
    assert repr(model) == "Model(predictor_type='regressor', feature_dim=5, num_factors=3)"


def test_training_parameters_are_a_copy(small):
    model = small.model()
    model.training_parameters["epochs"] = "9"
    assert model.training_parameters["epochs"] == 1


def test_width_of_the_input(small):
    with pytest.raises(DataError, match="X has 4 columns; the model takes 5"):
        small.model().predict(X[:, :4])
