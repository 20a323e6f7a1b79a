"""Labelled rows in memory."""

from __future__ import annotations

import numpy as np
import pytest

from openfm.errors import DataError
from openfm.fm.matrices import as_rows
from openfm.fm.model import PredictorType
from openfm.learning import Examples

X = np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0], [1.0, 0.0, 2.0], [0.0, 0.0, 0.0]])
Y = np.array([1, 0, 1, 0], dtype=np.float32)


def examples(weights: list[float] | None = None) -> Examples:
    given = None if weights is None else np.array(weights, dtype=np.float32)
    return Examples(as_rows(X, 3), Y, given)


def dense(found: Examples) -> np.ndarray:
    return found.rows.to_scipy().toarray()


def test_rows_of_weight_0_are_left_out() -> None:
    found = examples([1, 0, 2, 0]).checked(PredictorType.BINARY_CLASSIFIER, "examples")
    assert np.array_equal(dense(found), X[[0, 2]])
    assert np.array_equal(found.weights, [1, 2])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"labels": Y[:3]}, r"4 rows and labels of shape \(3,\)"),
        ({"weights": np.ones(5, np.float32)}, r"weights of shape \(5,\)"),
        ({"weights": np.zeros(4, np.float32)}, "no row"),
        ({"weights": np.array([1, 1, -2, 1], np.float32)}, "is -2"),
        ({"weights": np.array([1, 1, np.nan, 1], np.float32)}, "is nan"),
        ({"labels": np.array([1, 0, np.inf, 0], np.float32)}, "label of the examples is NaN, infinite"),
        ({"labels": np.array([1, 0, 3, 0], np.float32)}, "is 3; those of a binary_classifier are 0 and 1"),
    ],
)
def test_what_is_wrong_is_named(changed: dict[str, np.ndarray], message: str) -> None:
    given = {"labels": Y, "weights": None} | changed
    with pytest.raises(DataError, match=message):
        Examples(as_rows(X, 3), **given).checked(PredictorType.BINARY_CLASSIFIER, "examples")


def test_a_part_is_held_out_by_the_seed() -> None:
    rows = as_rows(np.arange(1.0, 101.0)[:, np.newaxis], 1)
    all_of_them = Examples(rows, np.arange(100, dtype=np.float32))
    rest, held = all_of_them.split(0.2, 1)
    assert len(held) == 20
    assert sorted([*rest.labels, *held.labels]) == list(range(100))
    assert (np.diff(held.labels) > 0).all()
    assert np.array_equal(held.labels, all_of_them.split(0.2, 1)[1].labels)
    assert not np.array_equal(held.labels, all_of_them.split(0.2, 2)[1].labels)
    assert len(all_of_them.split(0.001, 1)[1]) == 1
    with pytest.raises(DataError, match="early_stopping"):
        all_of_them.slice(0, 1).split(0.1, 0)


def test_of_both_labels_the_same_share_is_held_out() -> None:
    labels = (np.arange(1000) % 10 == 0).astype(np.float32)
    rows = as_rows(np.arange(1000, dtype=np.float32)[:, np.newaxis], 1)
    rest, held = Examples(rows, labels).split(0.2, 5, by_label=True)
    assert (len(held), held.labels.sum()) == (200, 20)
    assert (len(rest), rest.labels.sum()) == (800, 80)
    assert (np.diff(dense(held)[:, 0]) > 0).all()
    for fraction, sizes in ((0.001, (999, 1)), (0.9999, (1, 999))):
        assert tuple(map(len, Examples(rows, labels).split(fraction, 5, by_label=True))) == sizes


def test_equal_rows_become_one_in_an_order_of_their_own() -> None:
    merged = examples().merged()
    assert len(merged) == 3
    assert sorted(merged.weights) == [1, 1, 2]
    assert np.array_equal(dense(merged)[merged.weights == 2], X[[0]])
    turned = examples([2, 1, 1, 1]).take(np.array([3, 0, 1])).merged()
    for a, b in ((dense(merged), dense(turned)), (merged.labels, turned.labels), (merged.weights, turned.weights)):
        assert np.array_equal(a, b)


def test_equal_rows_of_other_labels_stay_apart() -> None:
    assert len(Examples(as_rows(X[[0, 2]], 3), np.array([1, 0], np.float32)).merged()) == 2


def test_padding_weighs_nothing() -> None:
    padded = examples().padded(2)
    assert np.array_equal(dense(padded), np.vstack([X, np.zeros((2, 3))]))
    assert np.array_equal(padded.weights, [1, 1, 1, 1, 0, 0])


def test_normalized_weights_have_mean_1() -> None:
    assert np.array_equal(examples([1, 2, 3, 2]).normalized().weights, [0.5, 1, 1.5, 1])
    assert examples().normalized().weights is None
