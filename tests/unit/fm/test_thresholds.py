from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openfm.fm.thresholds import threshold_table


def test_a_table_by_hand():
    scores = np.array([0.1, 0.4, 0.4, 0.75, 0.9], np.float32)
    labels = np.array([0, 1, 0, 1, 1], np.float32)
    table = threshold_table(scores, labels, [0.0, 0.4, 0.5, 0.95])
    assert table.thresholds.tolist() == [0.0, 0.4, 0.5, 0.95]
    # 0.4 in float64 is below the float32 score 0.4, so both of these records are positive at it.
    assert table.true_positives.tolist() == [3, 3, 2, 0]
    assert table.false_positives.tolist() == [2, 1, 0, 0]
    assert table.true_negatives.tolist() == [0, 1, 2, 2]
    assert table.false_negatives.tolist() == [0, 0, 1, 3]
    assert table.precision.tolist() == [3 / 5, 3 / 4, 1, 0]
    assert table.recall.tolist() == [1, 1, 2 / 3, 0]
    assert table.f1.tolist() == [6 / 8, 6 / 7, 4 / 5, 0]
    assert table.accuracy.tolist() == [3 / 5, 4 / 5, 4 / 5, 2 / 5]


def test_every_score_is_a_threshold():
    scores = np.array([0.5, 0.25, 0.5], np.float32)
    table = threshold_table(scores, np.array([1, 0, 0]))
    assert table.thresholds.tolist() == [0.25, 0.5]
    assert table.true_positives.tolist() == [1, 1]
    assert table.false_positives.tolist() == [2, 1]


def test_no_records():
    table = threshold_table(np.empty(0, np.float32), np.empty(0), [0.5])
    assert [column.tolist() for column in (table.precision, table.recall, table.f1, table.accuracy)] == [[0.0]] * 4


SCORES = st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), st.integers(0, 1)), max_size=30)


@given(SCORES, st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.6, 1.0, 2.0]), min_size=1, max_size=5, unique=True))
def test_counts_by_definition(records, thresholds):
    scores = np.array([score for score, _ in records], np.float32)
    labels = np.array([label for _, label in records], np.float32)
    table = threshold_table(scores, labels, thresholds)
    for row, threshold in enumerate(sorted(thresholds)):
        predicted = scores >= threshold
        assert table.true_positives[row] == np.sum(predicted & (labels == 1))
        assert table.false_positives[row] == np.sum(predicted & (labels == 0))
        assert table.true_negatives[row] == np.sum(~predicted & (labels == 0))
        assert table.false_negatives[row] == np.sum(~predicted & (labels == 1))


@pytest.mark.parametrize(
    ("scores", "labels", "thresholds", "message"),
    [
        ([0.5], [1, 0], None, r"scores of shape \(1,\) and labels of shape \(2,\)"),
        ([[0.5]], [[1]], None, "are not one of each record"),
        ([0.5], [2], None, "a label is neither 0 nor 1"),
        ([np.nan], [1], None, "is NaN"),
        ([0.5], [1], [np.nan], "is NaN"),
    ],
)
def test_what_is_refused(scores, labels, thresholds, message):
    with pytest.raises(ValueError, match=message):
        threshold_table(np.array(scores), np.array(labels), thresholds)
