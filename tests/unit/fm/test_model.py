from __future__ import annotations

import numpy as np
import pytest

from openfm.fm.matrices import as_rows
from openfm.fm.model import FactorizationMachine, PredictorType, predicted_labels
from openfm.fm.reference import reference_scores
from openfm.fm.rows import SparseRows
from openfm.native._core import Scorer, instruction_sets


def naive_score(machine: FactorizationMachine, x: np.ndarray) -> float:
    """The definition, pair by pair."""
    score = machine.bias + float(machine.linear.astype(float) @ x)
    v = machine.factors.astype(float)
    for i in range(len(x)):
        for j in range(i + 1, len(x)):
            score += float(v[i] @ v[j]) * x[i] * x[j]
    return score


def machine_of(d: int, k: int, predictor_type=PredictorType.REGRESSOR) -> FactorizationMachine:
    rng = np.random.default_rng(k)
    return FactorizationMachine(0.25, rng.normal(0, 1, d), rng.normal(0, 1, (d, k)), predictor_type)


@pytest.mark.parametrize("k", [1, 7, 8, 10, 24, 64, 65, 100, 1000, 1100])
def test_scores_by_definition(k, data):
    X, _ = data
    machine = machine_of(37, k)
    scores = machine.decision_function(as_rows(X, 37))
    assert scores.dtype == np.float32
    dense = np.asarray(X.todense(), dtype=float)
    terms = np.abs(dense) @ np.abs(machine.linear) + 0.5 * (np.abs(dense) @ np.abs(machine.factors)).__pow__(2).sum(1)
    for i in range(0, len(dense), 9):
        assert scores[i] == pytest.approx(naive_score(machine, dense[i]), abs=2e-6 * max(1, terms[i]))
    np.testing.assert_allclose(reference_scores(machine, X)[::9], [naive_score(machine, x) for x in dense[::9]])


def test_scores_do_not_depend_on_threads_or_instruction_set(data):
    rows = as_rows(data[0], 37)
    machine = machine_of(37, 20)
    expected = machine.decision_function(rows)
    np.testing.assert_array_equal(machine.decision_function(rows, threads=3), expected)
    for name in instruction_sets():
        scorer = Scorer(machine.bias, machine.linear, machine.factors, name)
        scores = scorer.score(rows.indptr, rows.indices, rows.values, False, 1)
        np.testing.assert_array_equal(scores, expected)


def at_odd_addresses(*arrays: np.ndarray) -> list[np.ndarray]:
    """The same arrays in read-only memory that ends where the last of them ends, each at an odd address."""
    buffer, offsets = bytearray(), []
    for array in arrays:
        buffer += bytes(1 + len(buffer) % 2)
        offsets.append(len(buffer))
        buffer += array.tobytes()
    memory = bytes(buffer)
    return [
        np.frombuffer(memory, array.dtype, array.size, offset).reshape(array.shape)
        for array, offset in zip(arrays, offsets, strict=True)
    ]


@pytest.mark.parametrize("name", instruction_sets())
@pytest.mark.parametrize("k", [1, 2, 3, 7, 8, 9, 10, 64, 70])
@pytest.mark.parametrize("d", [1, 2, 37])
def test_parameters_are_scored_where_they_lie(d, k, name, data):
    machine = machine_of(d, k)
    linear, factors = at_odd_addresses(machine.linear, machine.factors)
    assert not factors.flags.aligned
    there = FactorizationMachine(0.25, linear, factors, PredictorType.REGRESSOR)
    assert np.shares_memory(there.factors, factors)
    rows = as_rows(data[0][:, :d], d)
    np.testing.assert_array_equal(there.decision_function(rows), machine.decision_function(rows))
    scorer = Scorer(0.25, linear, factors, name)
    scores = scorer.score(rows.indptr, rows.indices, rows.values, False, 1)
    np.testing.assert_array_equal(scores, machine.decision_function(rows))


@pytest.mark.parametrize("k", [1, 5, 8, 12, 24])
def test_what_other_features_hold_does_not_reach_a_score(k):
    factors = np.full((9, k), np.nan, dtype=np.float32)
    factors[4] = 2.0
    machine = FactorizationMachine(0.0, np.arange(9), factors, PredictorType.REGRESSOR)
    rows = SparseRows(np.array([0, 1]), np.array([4], dtype=np.int32), np.ones(1, dtype=np.float32), 9)
    assert machine.decision_function(rows) == [4.0]


def test_a_machine_takes_little_more_memory_than_its_parameters():
    machine = machine_of(1000, 10)
    assert 44000 + 4000 <= machine.nbytes <= 44000 + 4000 + 8 * 64


def test_a_classifier_answers_probabilities(data):
    rows = as_rows(data[0], 37)
    machine = machine_of(37, 4, PredictorType.BINARY_CLASSIFIER)
    raw = machine.decision_function(rows).astype(float)
    np.testing.assert_allclose(machine.score(rows), 1 / (1 + np.exp(-raw)), rtol=1e-6, atol=1e-38)
    labels = predicted_labels(machine.score(rows))
    assert labels.dtype == np.float32
    np.testing.assert_array_equal(labels, raw >= 0)


def test_probabilities_saturate_at_0_and_1():
    machine = FactorizationMachine(0, [1.0], [[0.0]], PredictorType.BINARY_CLASSIFIER)
    X = [[-1e30], [-200.0], [-1.0], [1.0], [200.0], [1e30]]
    scores = machine.score(as_rows(X, 1))
    assert scores[0] == 0.0
    assert scores[-1] == scores[-2] == 1.0
    assert (np.diff(scores) >= 0).all()


def test_a_regressor_answers_the_score_itself(data):
    rows = as_rows(data[0], 37)
    machine = machine_of(37, 4)
    np.testing.assert_array_equal(machine.score(rows), machine.decision_function(rows))


def test_no_rows(data):
    rows = as_rows(np.zeros((0, 37)), 37)
    assert machine_of(37, 4).score(rows).shape == (0,)


def test_rows_of_another_width_are_refused():
    with pytest.raises(ValueError, match="rows are 3 wide, but the model has feature_dim 37"):
        machine_of(37, 4).score(as_rows(np.ones((2, 3)), 3))


@pytest.mark.parametrize(
    ("indptr", "indices", "sentence"),
    [
        ([0, 2], [0, 37], "outside feature_dim"),
        ([0, 2], [-1, 3], "outside feature_dim"),
        ([0, 1], [0, 3], "start at 0 and end at"),
        ([1, 2], [0, 3], "start at 0 and end at"),
        ([0, 2, 1, 2], [0, 3], "decreases"),
    ],
)
def test_the_kernels_check_what_they_index_with(indptr, indices, sentence):
    rows = SparseRows(
        np.array(indptr, dtype=np.int64),
        np.array(indices, dtype=np.int32),
        np.ones(2, dtype=np.float32),
        37,
    )
    with pytest.raises(ValueError, match=sentence):
        machine_of(37, 4).score(rows)


@pytest.mark.parametrize(
    ("linear", "factors"), [([1.0], [[1.0], [2.0]]), ([1.0], [1.0]), ([], np.zeros((0, 3))), ([1.0], np.zeros((1, 0)))]
)
def test_parameters_that_do_not_fit_are_refused(linear, factors):
    with pytest.raises(ValueError, match="do not make a Factorization Machine"):
        FactorizationMachine(0.0, linear, factors, PredictorType.REGRESSOR)


def test_parameters_are_read_only():
    machine = machine_of(3, 2)
    with pytest.raises(ValueError, match="read-only"):
        machine.linear[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        machine.factors[0, 0] = 1.0
