from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from openfm.artifact import Model
from openfm.errors import DataError
from openfm.fm.model import FactorizationMachine, PredictorType

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


def test_explanations_add_up(small):
    model = small.model("binary_classifier")
    explanations = model.explain(X)
    np.testing.assert_allclose([explanation.score for explanation in explanations], expected(model), rtol=1e-12)
    assert [len(explanation.pairs) for explanation in explanations] == [1, 0, 1]
    assert [len(explanation.pairs) for explanation in model.explain(X, pairs=0)] == [0, 0, 0]


def test_strongest_pairs(small):
    products = np.abs(small.factors.astype(float) @ small.factors.astype(float).T)
    i, j = np.unravel_index(np.argmax(np.triu(products, 1)), products.shape)
    assert small.model().strongest_pairs(1).pairs.tolist() == [[i, j]]
    between = small.model().strongest_pairs(100, between=(range(2), range(3, 5)))
    assert sorted(between.pairs.tolist()) == [[0, 3], [0, 4], [1, 3], [1, 4]]


@pytest.mark.parametrize(
    "candidates",
    [
        range(2, 5),
        [4, 2, 3],
        np.array([False, False, True, True, True]),
        sparse.csr_matrix([[0, 0, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]]),
    ],
    ids=["range", "list", "mask", "rows"],
)
@pytest.mark.parametrize("fixed", [{0: 1.0, 1: 0}, [[1, 0, 0, 0, 0]], sparse.csr_matrix([[1, 0, 0, 0, 0]])])
def test_the_best_candidates(small, fixed, candidates):
    model = small.model("binary_classifier")
    scores = expected(model, np.array([[1, 0, 1, 0, 0], [1, 0, 0, 1, 0], [1, 0, 0, 0, 1]]))
    ranking = model.top_k(2, fixed=fixed, candidates=candidates)
    best = np.argsort(-scores)[:2]
    first = 0 if sparse.issparse(candidates) else 2
    assert ranking.candidates.tolist() == (best + first).tolist()
    np.testing.assert_allclose(ranking.raw_scores, scores[best], rtol=1e-12)
    np.testing.assert_allclose(ranking.scores, 1 / (1 + np.exp(-scores[best])), rtol=1e-6)
    left_out = model.top_k(2, fixed=fixed, candidates=candidates, exclude=[best[0] + first])
    assert ranking.candidates[0] not in left_out.candidates


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fixed": {5: 1}}, "the fixed feature 5 is none"),
        ({"fixed": {0: np.inf}}, "the value of the fixed feature 0 is not a finite float32"),
        ({"fixed": {0.5: 1}}, "fixed must be a list of whole numbers"),
        ({"fixed": [[1, 0, 0]]}, "X has 3 columns"),
        ({"fixed": [[1, 0, 0, 0, 0]] * 2}, "must be one row of 5 columns, but are 2 rows"),
        ({"candidates": [0.5]}, "candidates must be a list of whole numbers"),
        ({"candidates": [True]}, r"the boolean candidates have shape \(1,\), but must be \(5,\)"),
        ({"exclude": [[1]]}, "exclude must be a list of whole numbers"),
    ],
)
def test_rankings_that_are_refused(small, changes, message):
    with pytest.raises(ValueError, match=message):
        small.model().top_k(1, **({"fixed": {0: 1}, "candidates": range(2, 5)} | changes))


def test_neighbour_vectors_order_items_as_scores_do():
    rng = np.random.default_rng(4)
    machine = FactorizationMachine(0.5, rng.normal(size=60), rng.normal(size=(60, 4)), PredictorType.BINARY_CLASSIFIER)
    model = Model(machine)
    vectors = model.neighbour_vectors(range(20), range(20, 60))
    assert (vectors.users.shape, vectors.items.shape) == ((20, 5), (40, 5))
    assert vectors.users.dtype == vectors.items.dtype == np.float32
    for user in range(20):
        by_vectors = 20 + np.argsort(-(vectors.items @ vectors.users[user]), kind="stable")
        ranking = model.top_k(40, fixed={user: 1}, candidates=range(20, 60))
        np.testing.assert_array_equal(by_vectors, ranking.candidates)
    with pytest.raises(ValueError, match=r"range\(50, 61\) is no range of the 60 features"):
        model.neighbour_vectors(range(20), range(50, 61))
