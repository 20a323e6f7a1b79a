from __future__ import annotations

import itertools

import numpy as np
import pytest

from openfm.data.batches import BatchCutter, joined
from openfm.fm.matrices import as_rows

ROWS = as_rows(np.arange(1, 24, dtype=np.float32)[:, None], 1)
LABELS = np.arange(23, dtype=np.float32)


def parts(*borders):
    edges = [0, *borders, 23]
    return [(ROWS.slice(a, b), LABELS[a:b]) for a, b in itertools.pairwise(edges)]


def cut(cutter, parts):
    pieces = [cutter.add(*part) for part in parts]
    return [piece for piece in [*pieces, cutter.last()] if piece is not None]


@pytest.mark.parametrize("borders", [(), (1,), (5, 10), (4, 4, 4, 9), tuple(range(1, 23)), (22,)])
@pytest.mark.parametrize("size", [1, 4, 5, 23, 100])
def test_pieces_hold_whole_batches_of_the_same_rows(borders, size):
    pieces = cut(BatchCutter(size), parts(*borders))
    assert all(len(labels) % size == 0 for _, labels in pieces[:-1])
    assert all(len(rows) == len(labels) > 0 for rows, labels in pieces)
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in pieces]), LABELS)
    np.testing.assert_array_equal(np.concatenate([rows.values for rows, _ in pieces]), ROWS.values)


@pytest.mark.parametrize("size", [1, 4, 5, 23, 100])
def test_a_cutter_goes_on_where_another_came(size):
    whole = cut(BatchCutter(size), parts(3, 11, 12, 20))
    for number in range(5):
        first = BatchCutter(size)
        before, after = parts(3, 11, 12, 20)[:number], parts(3, 11, 12, 20)[number:]
        pieces = [piece for part in before if (piece := first.add(*part)) is not None]
        pieces += cut(BatchCutter(size, first.held), after)
        assert [labels.tolist() for _, labels in pieces] == [labels.tolist() for _, labels in whole]


def test_a_piece_keeps_no_memory_but_its_own():
    cutter = BatchCutter(4)
    for part in parts(3, 10, 12, 20):
        piece = cutter.add(*part)
        if piece is not None:
            rows, labels = piece
            assert not np.shares_memory(rows.values, part[0].values)
            assert labels.base is None


def test_nothing_gives_nothing():
    assert cut(BatchCutter(4), []) == []
    assert BatchCutter(4).held == ()


def test_joined_is_a_copy():
    rows, labels = joined([(ROWS, LABELS)])
    assert not np.shares_memory(rows.indices, ROWS.indices)
    assert not np.shares_memory(labels, LABELS)
