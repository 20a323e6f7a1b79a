from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openfm.fm.matrices import as_rows
from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.fm.rows import SparseRows
from openfm.fm.topk import FixedFeatures, best_features, best_rows, joined_rows

D = 400


def machine_of(predictor_type=PredictorType.REGRESSOR, *, d=D, k=8, scale=0.5) -> FactorizationMachine:
    rng = np.random.default_rng(k)
    return FactorizationMachine(0.25, rng.normal(0, scale, d), rng.normal(0, scale, (d, k)), predictor_type)


def one_row(features, values=None, d=D) -> SparseRows:
    values = np.ones(len(features)) if values is None else values
    return SparseRows(np.array([0, len(features)]), np.array(features, np.int32), np.array(values, np.float32), d)


def joined(fixed: SparseRows, feature: int) -> np.ndarray:
    """The dense row of the fixed features and one candidate."""
    row = np.zeros(fixed.feature_dim)
    row[fixed.indices] = fixed.values
    row[feature] = 1
    return row


def by_all_scores(machine, fixed, candidates, k):
    """The k best by scoring every candidate with everything."""
    rows = as_rows(np.array([joined(fixed, feature) for feature in candidates]), machine.feature_dim)
    scores = machine.score(rows)
    order = np.lexsort((candidates, -scores.astype(float)))[:k]
    return np.asarray(candidates)[order], scores[order]


@pytest.mark.parametrize("predictor_type", PredictorType)
@pytest.mark.parametrize("fixed", [one_row([]), one_row([3]), one_row([3, 7, 9], [1, -0.5, 2])])
def test_the_best_of_a_range(predictor_type, fixed):
    machine = machine_of(predictor_type, scale=0.2)
    ranking = best_features(FixedFeatures(machine, fixed), range(10, D), 25)
    candidates, scores = by_all_scores(machine, fixed, range(10, D), 25)
    np.testing.assert_array_equal(ranking.candidates, candidates)
    np.testing.assert_allclose(ranking.scores, scores, rtol=1e-5)
    assert ranking.scores.dtype == np.float32


def test_the_best_of_a_list_without_those_seen():
    machine, fixed = machine_of(), one_row([3])
    listed = np.array([300, 17, 12, 99, 17, 250, 40])
    ranking = best_features(FixedFeatures(machine, fixed), listed, 3, exclude=np.array([99, 1, 399, 12]))
    candidates, _ = by_all_scores(machine, fixed, [17, 40, 250, 300], 3)
    np.testing.assert_array_equal(ranking.candidates, candidates)


@given(st.lists(st.integers(0, 2), min_size=1, max_size=60), st.integers(1, 70), st.data())
def test_of_equal_candidates_the_lowest_comes_first(levels, k, data):
    d = len(levels) + 1
    machine = FactorizationMachine(0, [0, *levels], np.zeros((d, 1)), PredictorType.REGRESSOR)
    exclude = data.draw(st.lists(st.integers(0, d - 1), max_size=5))
    ranking = best_features(
        FixedFeatures(machine, one_row([0], d=d)), range(1, d), k, exclude=np.array(exclude, np.int64)
    )
    left = sorted((-level, feature) for feature, level in enumerate(levels, 1) if feature not in exclude)
    assert ranking.candidates.tolist() == [feature for _, feature in left[:k]]


def test_scores_closer_than_float32_tells():
    """1 + 2^-30 and 1 are one float32, but the first is larger."""
    d = 50
    factors = np.zeros((d, 2))
    factors[:, 0] = 1
    factors[0] = [1, 2.0**-15]
    factors[37, 1] = 2.0**-15
    machine = FactorizationMachine(0, np.zeros(d), factors, PredictorType.REGRESSOR)
    ranking = best_features(FixedFeatures(machine, one_row([0], d=d)), range(1, d), 2)
    assert ranking.candidates.tolist() == [37, 1]
    assert ranking.raw_scores.tolist() == [1 + 2.0**-30, 1]


def test_many_blocks(monkeypatch):
    machine, fixed = machine_of(), one_row([3])
    whole = best_features(FixedFeatures(machine, fixed), range(4, D), 30)
    monkeypatch.setattr("openfm.fm.topk._BLOCK_VALUES", 64)
    for candidates in (range(4, D), np.arange(4, D)):
        ranking = best_features(FixedFeatures(machine, fixed), candidates, 30)
        np.testing.assert_array_equal(ranking.candidates, whole.candidates)
        np.testing.assert_array_equal(ranking.raw_scores, whole.raw_scores)


def test_candidate_rows():
    machine, fixed = machine_of(scale=0.2), one_row([3, 5], [1, 0.5])
    rng = np.random.default_rng(8)
    dense = np.where(rng.random((60, D)) < 0.02, rng.normal(0, 1, (60, D)), 0).astype(np.float32)
    dense[:, :10] = 0
    dense[[0, 30]] = 0
    ranking = best_rows(FixedFeatures(machine, fixed), as_rows(dense, D), 20, exclude=np.array([7, 7, 8]))
    dense[:, [3, 5]] = [1, 0.5]
    scores = machine.score(as_rows(dense, D)).astype(float)
    scores[[7, 8]] = -np.inf
    np.testing.assert_array_equal(ranking.candidates, np.argsort(-scores, kind="stable")[:20])
    np.testing.assert_allclose(ranking.scores, scores[ranking.candidates], rtol=1e-5, atol=1e-6)


def test_nothing_is_left():
    fixed = FixedFeatures(machine_of(), one_row([3]))
    assert len(best_features(fixed, range(5, 5), 3)) == 0
    assert len(best_features(fixed, np.empty(0, np.int64), 3)) == 0
    assert len(best_features(fixed, range(5, 7), 3, exclude=np.array([5, 6]))) == 0
    assert len(best_rows(fixed, as_rows(np.zeros((0, D)), D), 3)) == 0


def test_parameters_that_are_not_aligned():
    """A member of a zip lies anywhere in its file."""
    aligned = machine_of()
    memory = np.frombuffer(b"\0" + aligned.factors.tobytes(), np.uint8)[1:]
    machine = machine_of()
    machine._factors = memory.view(np.float32).reshape(aligned.factors.shape)
    assert not machine.factors.flags.aligned
    ranking = best_features(FixedFeatures(machine, one_row([3])), range(4, D), 30)
    expected = best_features(FixedFeatures(aligned, one_row([3])), range(4, D), 30)
    np.testing.assert_array_equal(ranking.candidates, expected.candidates)


@pytest.mark.parametrize(
    ("candidates", "k", "message"),
    [
        (range(4, 9), 0, "k is 0"),
        (range(2, 9), 1, "have the feature 3, which is a fixed one"),
        (np.array([9, 3]), 1, "have the feature 3, which is a fixed one"),
        (range(4, D + 1), 1, "candidate 400 is no feature"),
        (np.array([-1, 9]), 1, "candidate -1 is no feature"),
        (range(4, 9, 2), 1, "have a step of 2"),
    ],
)
def test_candidates_that_are_refused(candidates, k, message):
    with pytest.raises(ValueError, match=message):
        best_features(FixedFeatures(machine_of(), one_row([3])), candidates, k)


def test_rows_that_are_refused():
    machine = machine_of()
    with pytest.raises(ValueError, match="must be one row of 400 columns, but are 2 rows of 400"):
        FixedFeatures(machine, as_rows(np.zeros((2, D)), D))
    fixed = FixedFeatures(machine, one_row([3]))
    with pytest.raises(ValueError, match="the candidates are 3 wide"):
        best_rows(fixed, as_rows([[1, 2, 3]], 3), 1)
    with pytest.raises(ValueError, match="have the feature 3, which is a fixed one"):
        best_rows(fixed, one_row([2, 3]), 1)


@pytest.mark.parametrize(("factor", "value"), [(1e30, 1e30), (1.0, 3e38)])
def test_scores_that_overflow(factor, value):
    machine = FactorizationMachine(0, np.full(4, 1e30), np.full((4, 2), factor), PredictorType.REGRESSOR)
    with pytest.raises(ValueError, match="overflows float32"):
        best_features(FixedFeatures(machine, one_row([0], [value], 4)), range(1, 4), 2)


@pytest.mark.parametrize("candidates", ["features", "rows"])
def test_joined_rows_have_the_ranked_scores(candidates):
    machine, fixed = machine_of(), one_row([3, 200], [1, 0.5])
    rows = as_rows(np.eye(D, dtype=np.float32)[5:200] * 2, D)
    if candidates == "rows":
        ranking = best_rows(FixedFeatures(machine, fixed), rows, 10)
        joined = joined_rows(fixed, rows, ranking.candidates)
    else:
        ranking = best_features(FixedFeatures(machine, fixed), np.arange(5, 200), 10)
        joined = joined_rows(fixed, range(5, 200), ranking.candidates)
    assert len(joined) == 10
    assert (np.diff(joined.indices.reshape(10, 3), axis=1) > 0).all()
    np.testing.assert_allclose(machine.score(joined), ranking.scores, rtol=1e-5, atol=1e-6)
