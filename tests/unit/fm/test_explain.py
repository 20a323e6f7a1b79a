from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from openfm.fm.explain import explain_rows
from openfm.fm.matrices import as_rows
from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.fm.reference import reference_scores


def machine_of(d: int, k: int = 5, predictor_type=PredictorType.REGRESSOR) -> FactorizationMachine:
    rng = np.random.default_rng(k)
    return FactorizationMachine(0.25, rng.normal(0, 1, d), rng.normal(0, 1, (d, k)), predictor_type)


def total(explanation) -> float:
    listed = explanation.linear.sum() + explanation.pair_contributions.sum()
    return explanation.bias + listed + explanation.other_pairs


def test_a_row_by_hand():
    """s(x) = 1/4 + x0/2 - x1 + x2/4 + x0 x2 + x1 x2 for x = (1, 2, -4)."""
    machine = FactorizationMachine(0.25, [0.5, -1.0, 0.25], [[1, 0], [0, 1], [1, 1]], PredictorType.BINARY_CLASSIFIER)
    (row,) = explain_rows(machine, as_rows([[1, 2, -4]], 3))
    assert row.score == 0.25 + 0.5 - 2 - 1 - 4 - 8
    assert row.bias == 0.25
    assert row.features.tolist() == [0, 1, 2]
    assert row.values.tolist() == [1, 2, -4]
    assert row.linear.tolist() == [0.5, -2, -1]
    assert row.pairs.tolist() == [[1, 2], [0, 2], [0, 1]]
    assert row.pair_contributions.tolist() == [-8, -4, 0]
    assert row.interactions.tolist() == [-2, -4, -6]
    assert row.other_pairs == 0


@pytest.mark.parametrize("pairs", [None, 0, 1, 5, 10**6])
def test_contributions_add_up_to_the_score(data, pairs):
    machine = machine_of(37)
    rows = as_rows(data[0], 37)
    explanations = explain_rows(machine, rows, pairs=pairs)
    scores = [explanation.score for explanation in explanations]
    np.testing.assert_allclose(scores, reference_scores(machine, data[0]), rtol=1e-11)
    np.testing.assert_allclose(scores, machine.decision_function(rows), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose([total(explanation) for explanation in explanations], scores, rtol=1e-11)
    for explanation in explanations:
        all_pairs = explanation.pair_contributions.sum() + explanation.other_pairs
        assert explanation.interactions.sum() == pytest.approx(all_pairs, abs=1e-12)


def test_the_strongest_pairs_come_first(data):
    rows = as_rows(data[0], 37)
    for complete, some in zip(
        explain_rows(machine_of(37), rows), explain_rows(machine_of(37), rows, pairs=3), strict=True
    ):
        sizes = np.abs(complete.pair_contributions)
        assert (np.diff(sizes) <= 0).all()
        assert len(complete.pairs) == len(complete.features) * (len(complete.features) - 1) // 2
        np.testing.assert_array_equal(some.pairs, complete.pairs[:3])
        np.testing.assert_allclose(some.pair_contributions, complete.pair_contributions[:3], rtol=1e-12)


def test_a_wide_row():
    rng = np.random.default_rng(1)
    row = csr_matrix(rng.normal(0, 1, (1, 5000)).astype(np.float32))
    machine = machine_of(5000)
    with pytest.raises(ValueError, match="row 0 has 5000 non-zero features"):
        explain_rows(machine, as_rows(row, 5000))
    (explanation,) = explain_rows(machine, as_rows(row, 5000), pairs=10)
    assert len(explanation.pairs) == 10
    assert total(explanation) == pytest.approx(reference_scores(machine, row)[0], rel=1e-11)


def test_what_is_refused():
    with pytest.raises(ValueError, match="rows are 3 wide"):
        explain_rows(machine_of(4), as_rows([[1, 2, 3]], 3))
    with pytest.raises(ValueError, match="pairs is -1"):
        explain_rows(machine_of(3), as_rows([[1, 2, 3]], 3), pairs=-1)
