from __future__ import annotations

import itertools

import numpy as np
import pytest

from openfm.data.batches import BatchCutter, LabelledRows, joined
from openfm.fm.matrices import as_rows

ROWS = as_rows(np.arange(1, 24, dtype=np.float32)[:, None], 1)
LABELS = np.arange(23, dtype=np.float32)
WEIGHTS = np.arange(23, dtype=np.float32) / 2 + 1


def parts(*borders, weighted=lambda number: False):
    edges = [0, *borders, 23]
    return [
        (ROWS.slice(a, b), LABELS[a:b], WEIGHTS[a:b] if weighted(number) else None)
        for number, (a, b) in enumerate(itertools.pairwise(edges))
    ]


def cut(cutter, parts):
    pieces = [cutter.add(*part) for part in parts]
    return [piece for piece in [*pieces, cutter.last()] if piece is not None]


@pytest.mark.parametrize("borders", [(), (1,), (5, 10), (4, 4, 4, 9), tuple(range(1, 23)), (22,)])
@pytest.mark.parametrize("size", [1, 4, 5, 23, 100])
def test_pieces_hold_whole_batches_of_the_same_rows(borders, size):
    pieces = cut(BatchCutter(size), parts(*borders))
    assert all(len(piece.labels) % size == 0 for piece in pieces[:-1])
    assert all(len(piece.rows) == len(piece.labels) > 0 for piece in pieces)
    np.testing.assert_array_equal(np.concatenate([piece.labels for piece in pieces]), LABELS)
    np.testing.assert_array_equal(np.concatenate([piece.rows.values for piece in pieces]), ROWS.values)
    assert all(piece.weights is None for piece in pieces)


@pytest.mark.parametrize("borders", [(), (1,), (5, 10), (4, 8, 12, 21), tuple(range(1, 23)), (22,)])
@pytest.mark.parametrize("size", [1, 4, 5, 23, 100])
@pytest.mark.parametrize("weighted", [lambda number: True, lambda number: number % 2 == 1], ids=["all", "some"])
def test_weights_follow_their_rows(borders, size, weighted):
    given = parts(*borders, weighted=weighted)
    expected = np.concatenate([np.ones(len(labels)) if weights is None else weights for _, labels, weights in given])
    found = [
        np.ones(len(piece.labels)) if piece.weights is None else piece.weights
        for piece in cut(BatchCutter(size), given)
    ]
    np.testing.assert_array_equal(np.concatenate(found), expected)


def test_taken_rows_keep_their_weights():
    order = np.array([3, 0, 22])
    taken = LabelledRows(ROWS, LABELS, WEIGHTS).take(order)
    assert taken.weights.tolist() == WEIGHTS[order].tolist()
    assert taken.rows.values.tolist() == ROWS.values[order].tolist()
    assert LabelledRows(ROWS, LABELS).take(order).weights is None


@pytest.mark.parametrize("size", [1, 4, 5, 23, 100])
def test_a_cutter_goes_on_where_another_came(size):
    whole = cut(BatchCutter(size), parts(3, 11, 12, 20))
    for number in range(5):
        first = BatchCutter(size)
        before, after = parts(3, 11, 12, 20)[:number], parts(3, 11, 12, 20)[number:]
        pieces = [piece for part in before if (piece := first.add(*part)) is not None]
        pieces += cut(BatchCutter(size, first.held), after)
        assert [piece.labels.tolist() for piece in pieces] == [piece.labels.tolist() for piece in whole]


def test_a_piece_keeps_no_memory_but_its_own():
    cutter = BatchCutter(4)
    for part in parts(3, 10, 12, 20):
        piece = cutter.add(*part)
        if piece is not None:
            assert not np.shares_memory(piece.rows.values, part[0].values)
            assert piece.labels.base is None


def test_nothing_gives_nothing():
    assert cut(BatchCutter(4), []) == []
    assert BatchCutter(4).held == ()


def test_joined_is_a_copy():
    rows, labels, weights = joined([LabelledRows(ROWS, LABELS, WEIGHTS)])
    assert not np.shares_memory(rows.indices, ROWS.indices)
    assert not np.shares_memory(labels, LABELS)
    assert not np.shares_memory(weights, WEIGHTS)
