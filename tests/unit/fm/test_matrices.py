from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from openfm.errors import DataError
from openfm.fm.matrices import as_rows
from openfm.fm.rows import SparseRows

DENSE = np.array([[0, 1.5, 0, -2], [0, 0, 0, 0], [3, 0, -0.0, 4]])


def assert_rows(rows: SparseRows) -> None:
    assert rows.feature_dim == 4
    assert (rows.indptr.dtype, rows.indices.dtype) == (np.int64, np.int32)
    assert rows.values.dtype == np.float32
    np.testing.assert_array_equal(rows.indptr, [0, 2, 2, 4])
    np.testing.assert_array_equal(rows.indices, [1, 3, 0, 3])
    np.testing.assert_array_equal(rows.values, [1.5, -2, 3, 4])


@pytest.mark.parametrize(
    "X",
    [
        DENSE,
        DENSE.astype(np.float32),
        DENSE.astype(np.float16),
        np.asfortranarray(DENSE),
        DENSE.tolist(),
        *(sparse.coo_matrix(DENSE).asformat(form) for form in ("csr", "csc", "coo", "bsr", "lil")),
        sparse.csr_array(DENSE),
        sparse.coo_array(DENSE),
    ],
)
def test_all_forms_give_the_same_rows(X):
    assert_rows(as_rows(X, 4))


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint16, np.int64])
def test_whole_numbers(dtype):
    X = np.array([[0, 1], [1, 0]], dtype=dtype)
    for form in (X, sparse.csr_matrix(X)):
        np.testing.assert_array_equal(as_rows(form, 2).values, [1, 1])


def test_rows_pass_through():
    rows = as_rows(DENSE, 4)
    assert as_rows(rows, 4) is rows


def test_clean_csr_is_not_copied():
    X = sparse.csr_matrix(DENSE.astype(np.float32))
    assert as_rows(X, 4).values is X.data


def test_untidy_csr_is_tidied_and_left_alone():
    data, indices, indptr = [4.0, 1.0, 2.0, 0.0, -3.0, 3.0], [3, 0, 0, 1, 2, 2], [0, 3, 3, 6]
    X = sparse.csr_matrix((data, indices, indptr), shape=(3, 4))
    rows = as_rows(X, 4)
    np.testing.assert_array_equal(rows.indptr, [0, 2, 2, 2])
    np.testing.assert_array_equal(rows.indices, [0, 3])
    np.testing.assert_array_equal(rows.values, [3, 4])
    np.testing.assert_array_equal(X.data, data)
    np.testing.assert_array_equal(X.indices, indices)


def test_what_underflows_is_zero():
    assert as_rows(np.array([[1e-60, 1]]), 2).nnz == 1


@pytest.mark.parametrize("X", [np.zeros((0, 4)), sparse.csr_matrix((0, 4))])
def test_no_row(X):
    assert len(as_rows(X, 4)) == 0


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e39])
@pytest.mark.parametrize("make", [np.array, sparse.csr_matrix])
def test_not_finite(make, wrong):
    X = DENSE.copy()
    X[2, 3] = wrong
    with pytest.raises(DataError, match="value in row 2, column 3 is not a finite float32"):
        as_rows(make(X), 4)


def test_not_finite_in_the_first_row_after_empty_ones():
    X = np.zeros((4, 4))
    X[3, 0] = np.nan
    with pytest.raises(DataError, match="row 3, column 0"):
        as_rows(X, 4)


@pytest.mark.parametrize(
    ("X", "sentence"),
    [
        (DENSE[:, :3], "X has 3 columns; the model takes 4"),
        (sparse.csr_matrix((2, 9)), "X has 9 columns; the model takes 4"),
        (as_rows(DENSE, 4).__class__(np.zeros(1, np.int64), *[np.zeros(0)] * 2, 5), "X has 5 col"),
        (DENSE[0], r"X has 1 dimension\(s\); expected two.*X\[None, :\] for a single row"),
        (DENSE[None], r"X has 3 dimension\(s\); expected two, rows and 4 columns$"),
        (3.5, r"X has 0 dimension\(s\)"),
        ([[1, 2], [3]], "X is not a matrix of numbers"),
        ([["a", "b", "c", "d"]], "X holds <U1 values; expected numbers"),
        (DENSE.astype(complex), "X holds complex128 values"),
        (sparse.csr_matrix(DENSE.astype(complex)), "X holds complex128 values"),
        (DENSE.astype(object), "X holds object values"),
    ],
)
def test_refused_with_a_sentence(X, sentence):
    with pytest.raises(DataError, match=sentence):
        as_rows(X, 4)
