"""Scaled rows and labels, and machines in their own units."""

from __future__ import annotations

import numpy as np
import pytest

from openfm.fm.matrices import as_rows
from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.fm.rows import SparseRows
from openfm.learning import Examples, LearningSettings
from openfm.learning.scaling import Scaling

SIZES = np.array([1.0, 1000.0, 1e-4, 0.3])


@pytest.fixture
def examples() -> Examples:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4)) * SIZES * (rng.random((200, 4)) < 0.6)
    return Examples(as_rows(X, 4), (50 + 7 * rng.normal(size=200)).astype(np.float32))


@pytest.fixture
def scaling(examples: Examples) -> Scaling:
    return Scaling.of(examples, LearningSettings(predictor_type=PredictorType.REGRESSOR))


def test_features_and_labels_come_to_about_one(examples: Examples, scaling: Scaling) -> None:
    scaled = scaling.scaled(examples)
    values = scaled.rows.to_scipy()
    of_rows = np.asarray(values.multiply(values).sum(axis=1))
    assert 1 < of_rows.mean() < 4
    sizes = [np.sqrt(np.mean(np.square(values[:, [j]].data))) for j in range(4)]
    assert max(sizes) < 2.01 * min(sizes)
    assert abs(scaled.labels.mean()) < 1e-6
    assert abs(scaled.labels.std() - 1) < 1e-6


def test_powers_of_two_round_nothing(scaling: Scaling) -> None:
    assert scaling.features is not None
    assert (np.frexp(scaling.features)[0] == 0.5).all()


def test_ones_stay_ones() -> None:
    X = np.eye(6)[:, :6] + np.eye(6)[[1, 2, 3, 4, 5, 0]]
    examples = Examples(as_rows(X, 6), np.zeros(6, np.float32))
    scaling = Scaling.of(examples, LearningSettings(predictor_type=PredictorType.BINARY_CLASSIFIER))
    assert scaling == Scaling()
    assert scaling.rows(examples.rows) is examples.rows


def test_machines_score_the_same_in_both_units(examples: Examples, scaling: Scaling) -> None:
    rng = np.random.default_rng(1)
    learned = FactorizationMachine(0.2, rng.normal(size=4), rng.normal(size=(4, 3)), PredictorType.REGRESSOR)
    in_units = scaling.machine(learned)
    scores = scaling.scores(learned.score(scaling.rows(examples.rows)))
    assert np.allclose(in_units.score(examples.rows), scores, rtol=1e-4)
    back = scaling.learner_machine(in_units)
    assert np.isclose(back.bias, learned.bias, atol=1e-5)
    assert np.allclose(back.linear, learned.linear, rtol=1e-5)
    assert np.allclose(back.factors, learned.factors, rtol=1e-5)


def test_nothing_is_scaled_unless_asked(examples: Examples) -> None:
    settings = LearningSettings.preset("sagemaker", PredictorType.REGRESSOR)
    assert Scaling.of(examples, settings) == Scaling()


def test_a_constant_label_and_rows_of_zeros_are_taken() -> None:
    examples = Examples(as_rows(np.zeros((5, 2)), 2), np.full(5, 3.0, np.float32))
    scaling = Scaling.of(examples, LearningSettings(predictor_type=PredictorType.REGRESSOR))
    assert scaling == Scaling(None, 3.0, 1.0)


def test_a_feature_of_stored_zeros_stays_as_it_is() -> None:
    rows = SparseRows(np.array([0, 2, 4]), np.array([0, 1, 0, 1], np.int32), np.array([50, 0, -50, 0], np.float32), 3)
    settings = LearningSettings(predictor_type=PredictorType.REGRESSOR)
    scaling = Scaling.of(Examples(rows, np.array([1, 2], np.float32)), settings)
    assert scaling.features is not None
    assert scaling.features[0] < 1
    assert scaling.features[1:].tolist() == [1, 1]
    zeros = SparseRows(rows.indptr, rows.indices, np.zeros(4, np.float32), 3)
    assert Scaling.of(Examples(zeros, np.array([1, 2], np.float32)), settings).features is None
