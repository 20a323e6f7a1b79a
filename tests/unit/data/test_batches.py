from __future__ import annotations

import itertools

import numpy as np
import pytest

from openfm.data.batches import whole_batches
from openfm.fm.matrices import as_rows

ROWS = as_rows(np.arange(1, 24, dtype=np.float32)[:, None], 1)
LABELS = np.arange(23, dtype=np.float32)


def parts(*borders):
    edges = [0, *borders, 23]
    return [(ROWS.slice(a, b), LABELS[a:b]) for a, b in itertools.pairwise(edges)]


@pytest.mark.parametrize("borders", [(), (1,), (5, 10), (4, 4, 4, 9), tuple(range(1, 23)), (22,)])
@pytest.mark.parametrize("size", [1, 4, 5, 23, 100])
def test_pieces_hold_whole_batches_of_the_same_rows(borders, size):
    pieces = list(whole_batches(parts(*borders), size))
    assert all(len(labels) % size == 0 for _, labels in pieces[:-1])
    assert all(len(rows) == len(labels) > 0 for rows, labels in pieces)
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in pieces]), LABELS)
    np.testing.assert_array_equal(np.concatenate([rows.values for rows, _ in pieces]), ROWS.values)


def test_nothing_gives_nothing():
    assert list(whole_batches([], 4)) == []
