"""Rows come back from every format, and through any two of them, as they were."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import permutations
from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from openfm.data.formats.files import iter_data, read_data, write_data
from openfm.data.formats.registry import FORMATS
from openfm.errors import DataError

VALUES = st.sampled_from([0.0, 0.0, 1.0, -2.5, 0.1, 1e-45, 3.4e38]) | st.floats(
    width=32, allow_nan=False, allow_infinity=False
)


@st.composite
def labelled_rows(draw) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(st.tuples(st.integers(1, 12), st.integers(1, 6)))
    X = draw(arrays.arrays(np.float32, shape, elements=VALUES))
    y = draw(arrays.arrays(np.float32, shape[0], elements=VALUES))
    return X, y


def reading(name: str, width: int) -> dict[str, Any]:
    """What must be said to read what :func:`write` wrote. libsvm does not tell of features that never occur."""
    return {
        "libsvm": {"index_base": 1, "feature_dim": width},
        "csv": {"target": "label"},
        "tsv": {"target": "label"},
        "parquet": {"target": "label"},
        "npy": {"target": 0},
    }.get(name, {})


def write(path: Path, name: str, X: Any, y: Any = None) -> None:
    write_data(path, X, y, format=name, **({"index_base": 1} if name == "libsvm" else {}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("formats")


@pytest.mark.parametrize(("first", "second"), list(permutations(FORMATS, 2)))
@settings(max_examples=12, deadline=None)
@given(data=labelled_rows(), sparse=st.booleans())
def test_rows_go_through_two_formats(folder: Path, first: str, second: str, data: Any, sparse: bool) -> None:
    X, y = data
    width = X.shape[1]
    write(folder / "first", first, csr_matrix(X) if sparse else X, y)
    write(folder / "second", second, iter_data(folder / "first", format=first, **reading(first, width)))

    rows, labels = read_data(folder / "second", format=second, **reading(second, width))

    assert rows.shape == X.shape
    assert rows.has_sorted_indices and (rows.data != 0).all()
    np.testing.assert_array_equal(rows.toarray(), X + 0.0)
    np.testing.assert_array_equal(labels, y)


WEIGHTED = [name for name, format in FORMATS.items() if format.weights != "no"]


@pytest.mark.parametrize(("first", "second"), list(permutations(WEIGHTED, 2)))
@settings(max_examples=12, deadline=None)
@given(data=labelled_rows(), weights=st.data(), sparse=st.booleans())
def test_weights_go_through_two_formats(
    folder: Path, first: str, second: str, data: Any, weights: Any, sparse: bool
) -> None:
    X, y = data
    factors = np.abs(weights.draw(arrays.arrays(np.float32, len(y), elements=VALUES)))
    named = {"weight": "weight", "return_weights": True}
    of = {name: reading(name, X.shape[1]) | named for name in (first, second)}
    write_data(folder / "first", csr_matrix(X) if sparse else X, y, format=first, weights=factors)
    write_data(folder / "second", iter_data(folder / "first", format=first, **of[first]), format=second)

    rows, labels, found = read_data(folder / "second", format=second, **of[second])

    np.testing.assert_array_equal(rows.toarray(), X + 0.0)
    np.testing.assert_array_equal(labels, y)
    np.testing.assert_array_equal(found, factors)


@pytest.mark.parametrize("name", ["csv", "tsv", "npy", "npz", "parquet", "recordio"])
@settings(max_examples=12, deadline=None)
@given(data=labelled_rows())
def test_rows_without_labels_come_back(folder: Path, name: str, data: Any) -> None:
    X, _ = data
    write(folder / "unlabelled", name, X)

    rows, labels = read_data(folder / "unlabelled", format=name)

    np.testing.assert_array_equal(rows.toarray(), X + 0.0)
    assert labels is None


def nearest_float32(text: str) -> float:
    """By exact arithmetic: NumPy rounds to float64 first."""
    exact = Fraction(text)
    if abs(exact) >= 2**128 - 2**103:  # half way from the largest float32 to the next power of two
        return math.inf
    with np.errstate(over="ignore"):
        close = np.float32(float(exact))
        close = np.clip(close, np.finfo(np.float32).min, np.finfo(np.float32).max)
        around = [np.nextafter(close, np.float32(-np.inf)), close, np.nextafter(close, np.float32(np.inf))]
    candidates = [value for value in around if np.isfinite(value)]
    is_odd = {float(value): int(value.view(np.uint32)) & 1 for value in candidates}
    return min(map(float, candidates), key=lambda value: (abs(Fraction(value) - exact), is_odd[value]))


@settings(max_examples=300, deadline=None)
@given(
    number=st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(width=32, allow_nan=False, allow_infinity=False),
    form=st.sampled_from(["{!r}", "{:.3f}", "{:+.20e}", " {:g}", "{:.45f}"]),
)
@example(number=1.0000000596046448, form="{!r}")
@example(number=1e300, form="{:.3f}")
@example(number=1e-300, form="{:.45f}")
def test_numbers_become_the_nearest_float32(folder: Path, number: float, form: str) -> None:
    text = form.format(number)
    nearest = nearest_float32(text)
    (folder / "number").write_text(f"1,{text}\n")

    if math.isfinite(nearest):
        rows, _ = read_data(folder / "number", format="csv", header=False)
        assert rows[0, 1] == nearest
    else:
        with pytest.raises(DataError, match="Line 1, column 2 of"):
            read_data(folder / "number", format="csv", header=False)
