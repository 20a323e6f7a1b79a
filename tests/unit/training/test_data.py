from __future__ import annotations

import numpy as np
import pytest

from openfm.training.data import LabelOrder
from openfm.training.progress import LossHistory, still_improving


@pytest.mark.parametrize(
    ("pieces", "is_sorted"),
    [
        ([[0, 0, 1, 1]], True),
        ([[1, 1], [0, 0]], True),
        ([[0, 1], [0, 1]], False),
        ([[0, 1, 0]], False),
        ([[1, 1], [1]], False),  # one label only
        ([[0], [], [1], [2, 3]], True),
        ([[2], [1], [2]], False),
        ([[]], False),
    ],
)
def test_label_order(pieces, is_sorted):
    order = LabelOrder()
    for piece in pieces:
        order.add(np.float32(piece))
    assert order.is_sorted is is_sorted


@pytest.mark.parametrize(
    ("epochs", "batches", "improving"),
    [
        ([1.0, 0.9], [0.9], True),
        ([1.0, 0.995], [1.0, 0.1], False),
        ([1.0, 1.1], [1.1], False),
        ([0.8], [1.0, 0.9, 0.7, 0.6], True),
        ([0.8], [0.8, 0.8, 0.8], False),
        ([0.8], [0.8], False),
        ([0.0, 0.0], [0.0], False),
        ([], [], False),
    ],
)
def test_still_improving(epochs, batches, improving):
    history = LossHistory()
    history.add(batches)
    assert still_improving(epochs, history) is improving


@pytest.mark.parametrize("count", [2, 255, 256, 257, 1000, 5000])
def test_a_long_history_stays_short_and_knows_its_halves(count):
    losses = np.linspace(1.0, 0.5, count)
    history = LossHistory()
    history.add(losses.tolist())
    assert len(history.sums) <= 256
    before, after = history.halves()
    assert before == pytest.approx(losses[: count // 2].mean(), rel=0.01)
    assert after == pytest.approx(losses[count // 2 :].mean(), rel=0.01)
