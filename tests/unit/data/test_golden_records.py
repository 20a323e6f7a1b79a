"""The record files of tests/golden, each named by its edge case: what they decode to, or the error they give."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from openfm.data.records import RecordReader, decode_records
from openfm.data.records_reference import decode_records_reference
from openfm.errors import DataError

GOLDEN = Path(__file__).parents[2] / "golden"
FEATURE_DIM = 5


def cases(folder: str) -> list[Path]:
    found = sorted((GOLDEN / folder / "records").glob("*.pbr"))
    assert found, f"no record files in {folder}"
    return found


@pytest.mark.parametrize("decode", [decode_records, decode_records_reference])
@pytest.mark.parametrize("path", cases("valid"), ids=lambda path: path.stem)
def test_valid(path, decode):
    expected = json.loads(path.with_suffix(".expected.json").read_text())
    block = decode(path.read_bytes(), feature_dim=FEATURE_DIM)
    assert block.rows.indptr.tolist() == expected["indptr"]
    assert block.rows.indices.tolist() == expected["indices"]
    assert block.rows.values.tolist() == expected["values"]
    assert (None if block.labels is None else block.labels.tolist()) == expected["labels"]
    assert (None if block.weights is None else block.weights.tolist()) == expected.get("weights")
    assert block.dense_records == expected["dense_records"]
    assert block.rows.feature_dim == FEATURE_DIM


@pytest.mark.parametrize("block_bytes", [2**20, 8])
@pytest.mark.parametrize("path", cases("invalid"), ids=lambda path: path.stem)
def test_invalid(path, block_bytes):
    reader = RecordReader([path], channel="train", feature_dim=FEATURE_DIM, block_bytes=block_bytes)
    with pytest.raises(DataError) as error:
        list(reader)
    message = error.value.message.replace(str(path), path.name)
    assert message == path.with_suffix(".message.txt").read_text().rstrip("\n")


@pytest.mark.parametrize("path", cases("invalid"), ids=lambda path: path.stem)
def test_reference_refuses_with_the_same_words(path):
    data = path.read_bytes()
    with pytest.raises(DataError) as native:
        decode_records(data, feature_dim=FEATURE_DIM, labels="required")
    with pytest.raises(DataError) as reference:
        decode_records_reference(data, feature_dim=FEATURE_DIM, labels="required")
    assert native.value.message == reference.value.message


def test_types():
    block = decode_records((GOLDEN / "valid/records/dense.pbr").read_bytes(), feature_dim=FEATURE_DIM)
    assert block.rows.indptr.dtype == np.int64
    assert block.rows.indices.dtype == np.int32
    assert block.rows.values.dtype == np.float32
    assert block.labels.dtype == np.float32
    assert len(block) == len(block.rows) == 2
