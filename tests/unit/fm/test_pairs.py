from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from openfm.fm import pairs as module
from openfm.fm.pairs import strongest_pairs


def brute_force(vectors, n, left=None, right=None):
    """All pairs, compared one by one."""
    v = np.asarray(vectors, dtype=np.float64)
    numbers = range(len(v))
    found = []
    for i in left or numbers:
        for j in right or numbers:
            if (left or i < j) and v[i] @ v[j] != 0:
                found.append((-abs(v[i] @ v[j]), min(i, j), max(i, j), v[i] @ v[j]))
    found.sort()
    return [(i, j) for _, i, j, _ in found[:n]], [product for *_, product in found[:n]]


# Small whole numbers: many products are equal, and all are exact.
VECTORS = hnp.arrays(np.float32, st.tuples(st.integers(1, 40), st.integers(1, 4)), elements=st.integers(-3, 3))


@given(VECTORS, st.integers(1, 60), st.sampled_from([1, 2, 7, 64]))
def test_agrees_with_all_pairs(vectors, n, block):
    ranked = strongest_pairs(vectors, n, block=block)
    pairs, products = brute_force(vectors, n)
    assert [tuple(pair) for pair in ranked.pairs.tolist()] == pairs
    assert ranked.products.tolist() == products


@given(VECTORS, st.integers(1, 60), st.data())
def test_agrees_with_all_pairs_of_two_parts(vectors, n, data):
    a, b, c, d = sorted(data.draw(st.lists(st.integers(0, len(vectors)), min_size=4, max_size=4)))
    parts = data.draw(st.permutations([range(a, b), range(c, d)]))
    ranked = strongest_pairs(vectors, n, between=tuple(parts), block=3)
    pairs, products = brute_force(vectors, n, *parts) if all(parts) else ([], [])
    assert [tuple(pair) for pair in ranked.pairs.tolist()] == pairs
    assert ranked.products.tolist() == products


def test_most_vectors_are_never_multiplied(monkeypatch):
    rng = np.random.default_rng(3)
    vectors = rng.normal(0, 0.001, (4000, 8)).astype(np.float32)
    vectors[rng.choice(4000, 30, replace=False)] *= 1000
    multiplied = []
    add = module._Best.add

    def count(self, products, *arguments):
        multiplied.append(products.size)
        add(self, products, *arguments)

    monkeypatch.setattr(module._Best, "add", count)
    ranked = strongest_pairs(vectors, 20, block=20)
    assert sum(multiplied) < 4000
    products = np.triu(vectors.astype(float) @ vectors.T.astype(float), 1)
    np.testing.assert_allclose(np.abs(ranked.products), np.sort(np.abs(products).ravel())[::-1][:20], rtol=1e-12)


def test_pairs_of_nothing():
    assert len(strongest_pairs(np.zeros((5000, 3), np.float32), 10)) == 0
    assert strongest_pairs(np.ones((1, 3), np.float32), 10).pairs.shape == (0, 2)
    assert strongest_pairs(np.ones((0, 3), np.float32), 10).pairs.shape == (0, 2)


@pytest.mark.parametrize(
    ("n", "between", "message"),
    [
        (0, None, "n is 0"),
        (1, (range(5), range(4, 8)), "overlap"),
        (1, (range(5), range(5, 11)), r"range\(5, 11\) is no range of the 10 vectors"),
        (1, (range(0, 5, 2), range(5, 8)), "with a step of 1"),
    ],
)
def test_what_is_refused(n, between, message):
    with pytest.raises(ValueError, match=message):
        strongest_pairs(np.ones((10, 2), np.float32), n, between=between)
