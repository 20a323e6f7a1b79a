"""Every request form of the same features gives the same rows, bit by bit."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from openfm.codecs.registry import DECODERS
from openfm.fm.rows import SparseRows

Matrix = npt.NDArray[np.float32]

matrices = hnp.arrays(
    np.float32,
    st.tuples(st.integers(0, 6), st.integers(1, 9)),
    elements=st.one_of(st.just(0.0), st.just(-0.0), st.floats(width=32, allow_nan=False, allow_infinity=False)),
)


def dense_list(row: Matrix) -> dict[str, Any]:
    return {"features": row.tolist()}


def dense_data(row: Matrix) -> dict[str, Any]:
    return {"data": {"features": {"values": row.tolist()}}}


def sparse_backwards(row: Matrix) -> dict[str, Any]:
    keys = np.flatnonzero(row)[::-1]
    features = {"keys": keys.tolist(), "shape": [len(row)], "values": row[keys].tolist()}
    return {"data": {"features": features}}


def sparse_with_zeros(row: Matrix) -> dict[str, Any]:
    return {"data": {"features": {"keys": list(range(len(row))), "values": row.tolist()}}}


FORMS = [dense_list, dense_data, sparse_backwards, sparse_with_zeros]


def expected(matrix: Matrix) -> SparseRows:
    rows, columns = np.nonzero(matrix)
    return SparseRows(
        indptr=np.searchsorted(rows, np.arange(len(matrix) + 1)).astype(np.int64),
        indices=columns.astype(np.int32),
        values=matrix[rows, columns],
        feature_dim=matrix.shape[1],
    )


def assert_same(found: SparseRows, wanted: SparseRows) -> None:
    assert found.feature_dim == wanted.feature_dim
    np.testing.assert_array_equal(found.indptr, wanted.indptr)
    np.testing.assert_array_equal(found.indices, wanted.indices)
    assert found.values.tobytes() == wanted.values.tobytes()


@given(matrix=matrices, data=st.data())
def test_json_and_jsonlines(matrix: Matrix, data: st.DataObject) -> None:
    forms = data.draw(st.lists(st.sampled_from(FORMS), min_size=len(matrix), max_size=len(matrix)))
    instances = [form(row) for form, row in zip(forms, matrix, strict=True)]
    as_json = json.dumps({"instances": instances}).encode()
    as_lines = "\n".join(json.dumps(instance) for instance in instances).encode()

    wanted = expected(matrix)
    assert_same(DECODERS["application/json"](as_json, matrix.shape[1]).rows, wanted)
    assert_same(DECODERS["application/jsonlines"](as_lines, matrix.shape[1]).rows, wanted)


@pytest.mark.parametrize("dense", [True, False])
@given(matrix=matrices)
def test_recordio_protobuf(dense: bool, matrix: Matrix) -> None:
    body = framed(matrix, dense=dense)
    if len(matrix) > 0:
        decode = DECODERS["application/x-recordio-protobuf"]
        assert_same(decode(body, matrix.shape[1]).rows, expected(matrix))


def framed(matrix: Matrix, *, dense: bool) -> bytes:
    """Written by google.protobuf, framed by hand: independent of openfm's own writer."""
    from openfm.data.record_schema import Record

    frames = []
    for row in matrix:
        record = Record()
        tensor = record.features["values"].float32_tensor
        keys = np.arange(len(row)) if dense else np.flatnonzero(row)
        tensor.values.extend(row[keys].tolist())
        if not dense:
            tensor.keys.extend(keys.tolist())
            tensor.shape.append(len(row))
        payload = record.SerializeToString()
        header = np.array([0xCED7230A, len(payload)], dtype="<u4").tobytes()
        frames.append(header + payload + bytes(-len(payload) % 4))
    return b"".join(frames)
