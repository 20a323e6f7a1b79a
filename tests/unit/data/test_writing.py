from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp

from openfm.data import writing
from openfm.data.record_schema import Record
from openfm.data.recordio import frame
from openfm.data.records import decode_records, read_records, write_records
from openfm.errors import DataError
from openfm.fm.rows import MAX_FEATURE_DIM
from openfm.native import _core

X = np.array([[0, 1.5, 0], [0, 0, 0], [-2, 0, 3]], np.float32)
Y = np.array([1, 0, 1], np.float32)


def written(*args, **kwargs) -> bytes:
    buffer = io.BytesIO()
    write_records(buffer, *args, **kwargs)
    return buffer.getvalue()


def by_protobuf(rows, labels, weights=None, *, sparse: bool) -> bytes:
    """What the SageMaker SDK's writers do, for float32."""
    out = b""
    for i, row in enumerate(rows):
        record = Record()
        tensor = record.features["values"].float32_tensor
        if sparse:
            tensor.values.extend(row[row != 0])
            tensor.keys.extend(np.flatnonzero(row))
            tensor.shape.extend([len(row)])
        else:
            tensor.values.extend(row)
        if labels is not None:
            record.label["values"].float32_tensor.values.extend([labels[i]])
        payload = record.SerializeToString()
        if weights is not None:  # behind the label: protobuf itself gives maps no order
            weighted = Record()
            weighted.label["weight"].float32_tensor.values.extend([weights[i]])
            payload += weighted.SerializeToString()
        out += frame(payload)
    return out


@pytest.mark.parametrize("labels", [None, Y])
@pytest.mark.parametrize("width", [1, 3, 127, 128, 300, 20000])
def test_bytes_are_protobufs_own(labels, width):
    rng = np.random.default_rng(width)
    rows = rng.normal(size=(3, width)).astype(np.float32) * (rng.random((3, width)) < 0.3)
    assert written(rows, labels) == by_protobuf(rows, labels, sparse=False)
    assert written(sp.csr_matrix(rows), labels) == by_protobuf(rows, labels, sparse=True)


@pytest.mark.parametrize("labels", [None, Y])
@pytest.mark.parametrize("weights", [np.float32([0, 2.5, 1e-45]), [1, 2, 0], [[0.5], [1], [2]], [True, False, True]])
def test_weights_stand_behind_the_label(labels, weights):
    expected = np.asarray(weights, dtype=np.float32).reshape(3)
    assert written(X, labels, weights=weights) == by_protobuf(X, labels, expected, sparse=False)
    data = written(sp.csr_matrix(X), labels, weights=weights)
    assert data == by_protobuf(X, labels, expected, sparse=True)
    rows, back, read = read_records(data, return_weights=True)
    assert rows.toarray().tolist() == X.tolist()
    assert (back is None) == (labels is None)
    assert read.tolist() == expected.tolist()
    assert len(read_records(data)) == 2
    assert read_records(written(X, labels), return_weights=True)[2] is None


def test_weights_in_blocks(monkeypatch):
    weights = [3, 0, 2]
    whole = written(X, Y, weights=weights), written(sp.csr_matrix(X), Y, weights=weights)
    monkeypatch.setattr(writing, "_BLOCK_VALUES", 1)
    assert (written(X, Y, weights=weights), written(sp.csr_matrix(X), Y, weights=weights)) == whole


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2], r"The weights have the shape \(2,\), where \(3,\) is needed: one weight a row\."),
        ([1, -0.5, 2], r"Row 1 of the weights is -0\.5, where a finite float32 of at least 0 is needed\. Correct it\."),
        ([1, 2, np.nan], "Row 2 of the weights is nan"),
        ([1e300, 2, 1], r"Row 0 of the weights is 1e\+300"),
        (["a", "b", "c"], "The weights are <U1 values, where numbers are needed"),
    ],
)
def test_weights_that_are_none_are_refused(weights, message, tmp_path):
    with pytest.raises(DataError, match=message):
        write_records(tmp_path / "file", X, Y, weights=weights)
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "dok", "bsr"])
@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csr_array])
def test_sparse_forms(form, kind):
    assert written(kind(X).asformat(form), Y) == by_protobuf(X, Y, sparse=True)


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.uint8, np.float16, np.float64, ">f4", ">i8"])
def test_numbers_of_any_type_become_float32(dtype):
    rows = np.array([[0, 1, 2], [3, 0, 0]])
    labels = np.array([1, 0])
    expected = by_protobuf(rows.astype(np.float32), labels.astype(np.float32), sparse=False)
    assert written(rows.astype(dtype), labels.astype(dtype)) == expected
    assert written(rows.tolist(), labels.tolist()) == expected


def test_booleans():
    rows = np.array([[True, False], [False, True]])
    for data in (written(rows, [True, False]), written(sp.csr_matrix(rows), [True, False])):
        read, labels = read_records(data)
        assert read.toarray().tolist() == [[1, 0], [0, 1]]
        assert labels.tolist() == [1, 0]


def test_dense_or_sparse_by_choice():
    assert decode_records(written(X, dense=False), feature_dim=3).dense_records == 0
    assert decode_records(written(sp.csr_matrix(X), dense=True), feature_dim=3).dense_records == 3
    assert written(X, Y, dense=False) == written(sp.csr_matrix(X), Y)
    assert written(sp.csr_matrix(X), Y, dense=True) == written(X, Y)


def test_array_layouts():
    wide = np.zeros((3, 6), np.float32)
    wide[:, ::2] = X
    for rows in (np.asfortranarray(X), wide[:, ::2]):
        assert written(rows, Y) == written(X, Y)
    assert written(X, np.repeat(Y, 2)[::2]) == written(X, Y)


def test_unsorted_and_repeated_indices_are_put_in_order():
    matrix = sp.csr_matrix((np.float32([1, 2, 3]), [2, 0, 2], [0, 3]), shape=(1, 3))
    assert read_records(written(matrix))[0].toarray().tolist() == [[2, 0, 4]]
    assert matrix.indices.tolist() == [2, 0, 2], "the caller's matrix stays as it was"


def test_blocks(monkeypatch):
    whole = written(X, Y), written(sp.csr_matrix(X), Y)
    monkeypatch.setattr(writing, "_BLOCK_VALUES", 1)
    assert (written(X, Y), written(sp.csr_matrix(X), Y)) == whole


def test_path_and_count(tmp_path):
    assert write_records(tmp_path / "a", X, Y) == 3
    assert write_records(str(tmp_path / "b"), sp.csr_matrix(X)) == 3
    assert (tmp_path / "a").read_bytes() == written(X, Y)
    assert (tmp_path / "b").read_bytes() == written(sp.csr_matrix(X))
    assert write_records(tmp_path / "c", np.zeros((0, 3))) == 0
    assert (tmp_path / "c").read_bytes() == b""


def test_a_row_too_long_for_a_record(tmp_path):
    (tmp_path / "file").write_bytes(b"before")
    rows = np.zeros((1, 2**27), np.float32)
    with pytest.raises(DataError, match=r"Row 0 of X has 134217728 values, too many for a record: .*2\^29 - 1 bytes"):
        write_records(tmp_path / "file", rows)
    assert (tmp_path / "file").read_bytes() == b"before"


@pytest.mark.parametrize("labels", [None, Y])
@pytest.mark.parametrize("rows", [X, sp.csr_matrix(X)], ids=["dense", "sparse"])
def test_long_rows_are_tried_first(rows, labels, monkeypatch):
    expected = written(rows, labels)
    monkeypatch.setattr(writing, "_SAFE_VALUES", 0)
    assert written(rows, labels) == expected
    encode = f"encode_{'sparse' if sp.issparse(rows) else 'dense'}"

    def encode_others(first, *others):  # of row 2 both the largest value and the end in indptr are 3
        if first.max() == 3:
            raise ValueError("a record is longer than it can be")
        return getattr(_core, encode)(first, *others)

    monkeypatch.setattr(writing, "_core", SimpleNamespace(**{encode: encode_others}))
    buffer = io.BytesIO()
    with pytest.raises(DataError, match=r"Row 2 of X has [23] values, too many for a record: a record is longer"):
        write_records(buffer, rows, labels)
    assert buffer.getvalue() == b""


@pytest.mark.parametrize(
    ("rows", "labels", "message"),
    [
        ([1, 2], None, "X must have two dimensions, rows and features, but has 1"),
        (np.zeros((2, 2, 2)), None, "but has 3"),
        (X, [1, 2], r"y must have the shape \(3,\), one label a row of X, but has \(2,\)"),
        (X, [[1], [2], [3]], r"but has \(3, 1\)"),
        ([["a", "b"]], None, "X must hold real numbers, but its dtype is <U1"),
        ([[1j]], None, "complex128"),
        (X, np.array(["a", "b", "c"], object), "y must hold real numbers, but its dtype is object"),
        ([[1, np.nan]], None, "X holds nan, which is not a finite float32 number"),
        ([[1e300, 1]], None, r"X holds 1e\+300"),
        (sp.csr_matrix([[0, np.inf]]), None, "X holds inf"),
        (X, [0, 1, np.nan], "y holds nan"),
        (sp.csr_matrix((1, MAX_FEATURE_DIM + 1)), None, "X has 2147483648 columns, but at most 2147483647"),
    ],
)
def test_refused(rows, labels, message, tmp_path):
    with pytest.raises(DataError, match=message):
        write_records(tmp_path / "file", rows, labels)
    assert not (tmp_path / "file").exists()
