from __future__ import annotations

import abc
import io
import json
import sys
import types

import numpy as np
import pytest
import scipy.sparse as sp

from openfm.data.record_schema import Record
from openfm.data.recordio import frame
from openfm.data.records import encode_scores
from openfm.errors import DataError
from openfm.sagemaker import (
    RecordDeserializer,
    RecordSerializer,
    SparseJSONSerializer,
    read_records,
    write_numpy_to_dense_tensor,
    write_spmatrix_to_sparse_tensor,
)

ROWS = np.array([[0, 1, 0], [0, 0, 0], [-2, 0, 300]])
LABELS = np.array([1, 0, -1])
TENSORS = {"float32": "float32_tensor", "float64": "float64_tensor", "int64": "int32_tensor", "int32": "int32_tensor"}


def written(write, *args) -> bytes:
    buffer = io.BytesIO()
    write(buffer, *args)
    return buffer.getvalue()


def by_protobuf(rows, labels, *, sparse: bool) -> bytes:
    """What the SDK's writers do, message by message."""
    out = b""
    for i, row in enumerate(rows):
        record = Record()
        tensor = getattr(record.features["values"], TENSORS[rows.dtype.name])
        tensor.values.extend(row[row != 0].tolist() if sparse else row.tolist())
        if sparse:
            tensor.keys.extend(np.flatnonzero(row).tolist())
            tensor.shape.append(len(row))
        if labels is not None:
            getattr(record.label["values"], TENSORS[labels.dtype.name]).values.append(labels[i].item())
        out += frame(record.SerializeToString())
    return out


@pytest.mark.parametrize("label_type", [None, "float32", "float64", "int64"])
@pytest.mark.parametrize("dtype", TENSORS)
def test_writers_choose_tensors_as_the_sdk_does(dtype, label_type):
    rows = ROWS.astype(dtype)
    labels = None if label_type is None else LABELS.astype(label_type)
    assert written(write_numpy_to_dense_tensor, rows, labels) == by_protobuf(rows, labels, sparse=False)
    for matrix in (sp.csr_matrix(rows), sp.coo_array(rows), sp.csc_matrix(rows)):
        data = written(write_spmatrix_to_sparse_tensor, matrix, labels)
        assert data == by_protobuf(rows, labels, sparse=True)


def test_booleans_are_integers():
    rows = ROWS != 0
    expected = by_protobuf(rows.astype(np.int32), rows[:, 1].astype(np.int32), sparse=False)
    assert written(write_numpy_to_dense_tensor, rows, rows[:, 1]) == expected


@pytest.mark.parametrize(
    ("rows", "labels", "message"),
    [
        (ROWS[0], None, "Array must be a Matrix"),
        (ROWS, LABELS[:, None], "Labels must be a Vector"),
        (ROWS, LABELS[:2], r"Label shape \(2,\) not compatible with 3 rows"),
        (ROWS.astype(complex), None, "Unsupported dtype complex128 on array"),
        (ROWS, LABELS.astype(str), "Unsupported dtype .* on labels"),
        (ROWS + 2**31, None, "array holds integers that an Int32 tensor cannot hold"),
    ],
)
def test_writers_refuse(rows, labels, message):
    with pytest.raises(ValueError, match=message):
        write_numpy_to_dense_tensor(io.BytesIO(), rows, labels)


def test_sparse_writer_refuses_arrays():
    with pytest.raises(TypeError, match="Array must be sparse"):
        write_spmatrix_to_sparse_tensor(io.BytesIO(), ROWS)


def test_read_records():
    data = written(write_numpy_to_dense_tensor, ROWS.astype(np.float32), LABELS.astype(np.float32))
    records = read_records(io.BytesIO(data))
    assert [list(record.features["values"].float32_tensor.values) for record in records] == ROWS.tolist()
    assert [record.label["values"].float32_tensor.values[0] for record in records] == LABELS.tolist()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (frame(b"") + b"x,y", r"Record 1 \(byte 8\) does not start with the recordIO magic"),
        (frame(b"") + frame(b"\xff"), r"Record 1 \(byte 8\) is not a valid aialgs.data.Record"),
    ],
)
def test_read_records_refuses(data, message):
    with pytest.raises(DataError, match=message):
        read_records(io.BytesIO(data))


class TestRecordSerializer:
    def test_serializes_rows(self):
        rows = ROWS.astype(np.float32)
        assert RecordSerializer().serialize(rows) == by_protobuf(rows, None, sparse=False)
        assert RecordSerializer().serialize(rows[2]) == by_protobuf(rows[2:], None, sparse=False)

    def test_content_type(self):
        assert RecordSerializer().CONTENT_TYPE == "application/x-recordio-protobuf"
        assert RecordSerializer(content_type="a/b").CONTENT_TYPE == "a/b"

    def test_three_dimensions(self):
        with pytest.raises(ValueError, match="Expected a 1D or 2D array, but got a 3D array instead"):
            RecordSerializer().serialize(np.zeros((1, 1, 1)))


class TestRecordDeserializer:
    def test_deserializes_scores_and_closes_the_stream(self):
        stream = io.BytesIO(encode_scores(np.float32([0.5, 0.25]), np.float32([1, 0])))
        records = RecordDeserializer().deserialize(stream, "application/x-recordio-protobuf")
        assert [record.label["score"].float32_tensor.values[0] for record in records] == [0.5, 0.25]
        assert stream.closed

    def test_accept(self):
        assert RecordDeserializer().ACCEPT == ("application/x-recordio-protobuf",)
        assert RecordDeserializer(accept=("a/b", "c/d")).ACCEPT == ("a/b", "c/d")


@pytest.mark.parametrize(
    ("package", "base", "make"),
    [
        ("serializers", "BaseSerializer", RecordSerializer),
        ("serializers", "BaseSerializer", SparseJSONSerializer),
        ("deserializers", "BaseDeserializer", RecordDeserializer),
    ],
)
def test_sdk_3_takes_them_for_its_own(monkeypatch, package, base, make):
    """Its Endpoint is a pydantic model with fields of its abstract base classes."""
    sdk = types.ModuleType(f"sagemaker.core.{package}.base")
    abstract = abc.ABCMeta(base, (), {})
    setattr(sdk, base, abstract)
    monkeypatch.setitem(sys.modules, sdk.__name__, sdk)
    assert isinstance(make(), abstract)


class TestSparseJSONSerializer:
    EXPECTED = [  # noqa: RUF012
        {"data": {"features": {"keys": [1], "shape": [3], "values": [1.0]}}},
        {"data": {"features": {"keys": [], "shape": [3], "values": []}}},
        {"data": {"features": {"keys": [0, 2], "shape": [3], "values": [-2.0, 300.0]}}},
    ]

    @pytest.mark.parametrize("rows", [sp.csr_matrix(ROWS), sp.coo_array(ROWS), ROWS, ROWS.tolist()])
    def test_instances(self, rows):
        assert json.loads(SparseJSONSerializer().serialize(rows)) == {"instances": self.EXPECTED}

    def test_one_row(self):
        assert json.loads(SparseJSONSerializer().serialize(ROWS[2])) == {"instances": self.EXPECTED[2:]}

    def test_values_survive_to_the_bit(self):
        rows = np.float32([[0.1, 1e-40, 3.4e38]])
        (instance,) = json.loads(SparseJSONSerializer().serialize(rows))["instances"]
        assert np.float32(instance["data"]["features"]["values"]).tolist() == rows[0].tolist()

    def test_content_type(self):
        assert SparseJSONSerializer().CONTENT_TYPE == "application/json"
        assert SparseJSONSerializer(content_type="a/b").CONTENT_TYPE == "a/b"

    def test_not_finite(self):
        with pytest.raises(DataError, match="JSON has no form for NaN and infinity"):
            SparseJSONSerializer().serialize(np.array([[1, np.nan]]))
