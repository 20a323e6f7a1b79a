from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from openfm.fm.auc import AreaUnderCurve


def area(records: list[tuple[float, int]], pieces: int = 1) -> float | None:
    auc = AreaUnderCurve()
    for piece in range(pieces):
        part = records[piece::pieces]
        auc.add(np.array([score for score, _ in part], np.float32), np.array([label for _, label in part], np.float32))
    return auc.value()


def test_by_hand():
    assert area([(0.1, 0), (0.2, 1)]) == 1.0
    assert area([(0.3, 0), (0.2, 1)]) == 0.0
    assert area([(0.2, 0), (0.2, 1)]) == 0.5
    # Of the six pairs the positive is higher in four, and in one they are equal.
    assert area([(0.9, 1), (0.4, 1), (0.35, 0), (0.4, 0), (0.8, 0)]) == 4.5 / 6


def test_one_label_has_no_area():
    assert area([]) is None
    assert AreaUnderCurve().value() is None
    assert area([(0.1, 1), (0.2, 1)]) is None
    assert area([(0.1, 0), (0.2, 0)]) is None


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]), st.integers(0, 1)), max_size=40),
    st.integers(1, 3),
)
def test_by_definition(records, pieces):
    positives = [score for score, label in records if label]
    negatives = [score for score, label in records if not label]
    wins = [1.0 if p > n else 0.5 if p == n else 0.0 for p in positives for n in negatives]
    assert area(records, pieces) == (sum(wins) / len(wins) if wins else None)
