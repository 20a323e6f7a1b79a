from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from openfm.fm.matrices import as_rows
from openfm.fm.occurrences import Occurrences

RECORDS = st.lists(st.lists(st.integers(0, 1), min_size=5, max_size=5), max_size=12)


@given(RECORDS, st.lists(st.integers(0, 4), unique=True, max_size=3))
def test_by_definition(records, features):
    matrix = np.array(records, dtype=np.float32).reshape(-1, 5)
    together = {j for row in matrix if all(row[feature] for feature in features) for j in np.flatnonzero(row)}
    found = Occurrences(as_rows(matrix, 5)).together_with(features)
    assert found.tolist() == sorted(together)
    assert found.dtype == np.int64
