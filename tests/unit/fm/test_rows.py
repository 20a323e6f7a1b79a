from __future__ import annotations

import numpy as np

from openfm.fm.matrices import as_rows
from openfm.fm.rows import SparseRows


def dense(rows: SparseRows) -> np.ndarray:
    return np.asarray(rows.to_scipy().todense())


def test_slice_take_and_concatenate_as_numpy_does(data):
    rows = as_rows(data[0], 37)
    matrix = dense(rows)
    assert len(rows) == 107
    np.testing.assert_array_equal(dense(rows.slice(3, 60)), matrix[3:60])
    assert len(rows.slice(5, 5)) == 0
    order = np.random.default_rng(0).permutation(107)
    np.testing.assert_array_equal(dense(rows.take(order)), matrix[order])
    parts = [rows.slice(0, 10), rows.slice(10, 10), rows.slice(10, 107)]
    np.testing.assert_array_equal(dense(SparseRows.concatenate(parts)), matrix)
    alone = SparseRows.concatenate([rows])
    np.testing.assert_array_equal(dense(alone), matrix)
    assert not np.shares_memory(alone.values, rows.values)
