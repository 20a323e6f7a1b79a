"""Weights in the formats: where each has them, and what is refused with which words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet
from scipy.sparse import csr_matrix, load_npz

import openfm
from openfm.data.formats.columns import column_names
from openfm.data.formats.files import iter_data, read_data, write_data
from openfm.data.records import write_records
from openfm.errors import DataError

X = np.array([[1.0, 0.0, 2.5], [0.0, 0.0, 0.0], [0.0, -3.0, 0.0]], dtype=np.float32)
Y = np.array([1.0, 0.0, 5.5], dtype=np.float32)
W = np.array([0.5, 2.0, 0.0], dtype=np.float32)


def test_a_column_of_text_by_name_or_number(tmp_path: Path) -> None:
    (tmp_path / "named.csv").write_text("a,shown,rating,b\n1,3,5,0\n0,-0.0,4,2\n")
    (tmp_path / "bare.tsv").write_text("1\t3\t5\t0\n0\t0\t4\t2\n")
    for path, options in (
        ("named.csv", {"target": "rating", "weight": "shown"}),
        ("named.csv", {"target": 2, "weight": 1}),
        ("bare.tsv", {"target": "2", "weight": "1", "header": False}),
        ("bare.tsv", {"target": 2, "weight": 1, "header": False, "feature_dim": 2}),
    ):
        rows, labels, weights = read_data(tmp_path / path, return_weights=True, **options)
        assert rows.toarray().tolist() == [[1, 0], [0, 2]]
        assert labels.tolist() == [5, 4]
        assert weights.tolist() == [3, 0] and not np.signbit(weights).any()
        again, _ = read_data(tmp_path / path, **options)
        assert (again != rows).nnz == 0
    rows, labels, weights = read_data(tmp_path / "named.csv", weight="shown", return_weights=True)
    assert rows.shape == (2, 3) and labels is None and weights.tolist() == [3, 0]


def test_columns_are_written_with_names(tmp_path: Path) -> None:
    write_data(tmp_path / "all.csv", X, Y, weights=W)
    assert (tmp_path / "all.csv").read_text() == "label,weight,f0,f1,f2\n1,0.5,1,0,2.5\n0,2,0,0,0\n5.5,0,0,-3,0\n"
    write_data(tmp_path / "some.csv", X, weights=W, weight="shown")
    assert (tmp_path / "some.csv").read_text().splitlines()[0] == "shown,f0,f1,f2"
    write_data(tmp_path / "all.parquet", X, Y, weights=W, target="y", weight="shown")
    assert parquet.read_schema(tmp_path / "all.parquet").names == ["y", "shown", "f0", "f1", "f2"]
    with pytest.raises(DataError, match="Label and weight would both be in a column 'w'"):
        column_names(3, "w", "w")


def test_npz_has_a_member(tmp_path: Path) -> None:
    write_data(tmp_path / "data.npz", csr_matrix(X), Y, weights=W)
    np.testing.assert_array_equal(np.load(tmp_path / "data.npz")["weights"], W)
    np.testing.assert_array_equal(load_npz(tmp_path / "data.npz").toarray(), X)
    np.savez(tmp_path / "arrays.npz", X=X, y=Y, weights=[1, 2, 3])
    assert read_data(tmp_path / "arrays.npz", return_weights=True)[2].tolist() == [1, 2, 3]
    np.savez(tmp_path / "wrong.npz", X=X, weights=[1, -2, 3])
    with pytest.raises(DataError, match=r"Row 1 of the weights of '.*wrong.npz' is -2, where a finite float32"):
        read_data(tmp_path / "wrong.npz")


@pytest.mark.parametrize("name", ["recordio", "csv", "parquet", "npz"])
def test_weights_come_block_by_block(tmp_path: Path, name: str) -> None:
    rows = np.arange(300_000, dtype=np.float32)
    write_data(tmp_path / "data", rows[:, None], rows, format=name, weights=rows / 2)
    options = {} if name in ("recordio", "npz") else {"target": "label", "weight": "weight"}
    blocks = list(iter_data(tmp_path / "data", format=name, feature_dim=1, return_weights=True, **options))
    assert len(blocks) > 1
    np.testing.assert_array_equal(np.concatenate([weights for _, _, weights in blocks]), rows / 2)
    assert all(len(block) == 2 for block in iter_data(tmp_path / "data", format=name, feature_dim=1, **options))


@pytest.mark.parametrize("kind", ["arrow", "polars", "pandas"])
def test_tables(kind: str) -> None:
    table = openfm.to_table(X, Y, weights=W, weight="shown")
    assert table.schema.names == ["label", "shown", "f0", "f1", "f2"]
    given = {"arrow": table, "polars": pl.from_arrow(table), "pandas": table.to_pandas()}[kind]

    rows, labels, weights = openfm.from_table(given, target="label", weight="shown", return_weights=True)

    np.testing.assert_array_equal(rows.toarray(), X)
    np.testing.assert_array_equal(labels, Y)
    np.testing.assert_array_equal(weights, W)
    assert openfm.from_table(given, return_weights=True)[2] is None
    assert len(openfm.from_table(given, target="label", weight=1)) == 2


@pytest.mark.parametrize("name", ["libsvm", "npy"])
def test_formats_without_a_place_refuse(tmp_path: Path, name: str) -> None:
    path = tmp_path / "data"
    with pytest.raises(DataError, match=f"^{name} has no place for the records' weights. Write recordio, csv, tsv"):
        write_data(path, X, Y, format=name, index_base=1, weights=W)
    assert not path.exists()
    write_data(path, X, Y, format=name, index_base=1)
    with pytest.raises(DataError, match=f"{name} has no weights, so '.*data' has no column 'w' of them"):
        read_data(path, format=name, index_base=1, weight="w")


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            "a,w\n1,2\n1,-2\n",
            {"weight": "w"},
            "Line 3, column 2 ('w') of '{}' holds '-2', where a weight of at least 0",
        ),
        ("a,w\n1,\n", {"weight": "w"}, "Line 2, column 2 ('w') of '{}' is empty"),
        ("a,w\n1,inf\n", {"weight": "w"}, "Line 2, column 2 ('w') of '{}' holds 'inf', which is infinite as float32"),
        ("a,w\n1,2\n", {"weight": "v"}, "'{}' has no column 'v' to be the weight. It has 'a', 'w'."),
        ("a,w\n1,2\n", {"weight": 2}, "'{}' has 2 columns, numbered from 0: none is the weight 2"),
        ("a,w\n1,2\n", {"weight": "w", "target": 1}, "Target and weight of '{}' are the same column, 1."),
        (
            "1,2\n",
            {"weight": 2, "header": False},
            "Line 1 of '{}' has 2 columns: there is none to be the weight column 3",
        ),
        (
            "1,2\n",
            {"weight": 2, "header": False, "feature_dim": 1},
            "'{}' has 2 columns by its feature_dim, numbered from 0: none is number 2",
        ),
        ("1,2\n", {"weight": "9" * 5000, "header": False}, "have no names: give the weight by its number, from 0"),
        ("1,2\n", {"weight": "w", "header": False}, "have no names: give the weight by its number, from 0, not as 'w'"),
    ],
)
def test_faults_of_text(tmp_path: Path, text: str, options: dict, message: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text(text)
    with pytest.raises(DataError) as raised:
        read_data(path, **options)
    assert message.format(path) in str(raised.value)


def test_faults_of_tables() -> None:
    table = pa.table({"a": [1.0, 2.0], "w": [1.0, -0.5]})
    with pytest.raises(DataError, match=r"Row 1 of the table holds -0.5 in column 'w', where a weight of at least 0"):
        openfm.from_table(table, weight="w")
    with pytest.raises(DataError, match=r"Row 2 of the weights of X is -1, where"):
        openfm.to_table(X, weights=[0, 1, -1])
    with pytest.raises(DataError, match=r"The weights of X have the shape \(2,\), where \(3,\) is needed"):
        openfm.to_table(X, weights=[0, 1])


@pytest.fixture
def partly_weighted(tmp_path: Path) -> Path:
    """Records of which those in the middle have weights, more than one block of them each."""
    path = tmp_path / "some.rec"
    rows = np.ones((40_000, 1), dtype=np.float32)
    with path.open("wb") as file:
        for weights in (None, np.full(40_000, 3), None):
            write_records(file, rows, rows[:, 0], weights=weights)
    return path


def test_a_record_without_a_weight_has_one(partly_weighted: Path) -> None:
    weights = read_data(partly_weighted, return_weights=True)[2]
    np.testing.assert_array_equal(weights, np.repeat([1, 3, 1], 40_000))
    write_data(partly_weighted.with_name("all.npz"), iter_data(partly_weighted, return_weights=True))
    np.testing.assert_array_equal(read_data(partly_weighted.with_name("all.npz"), return_weights=True)[2], weights)


def test_a_column_of_weights_is_there_from_the_first_row(partly_weighted: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="csv has a column of weights or none, but the first records have no weight"):
        write_data(tmp_path / "all.csv", iter_data(partly_weighted, return_weights=True))
    last = partly_weighted.read_bytes()
    half = tmp_path / "half.rec"
    start = len(last) // 3
    start = last.index(b"\x0a\x23\xd7\xce", start + 200_000)  # a record in the weighted part
    half.write_bytes(last[start:])
    write_data(tmp_path / "all.csv", iter_data(half, return_weights=True))
    weights = read_data(tmp_path / "all.csv", target="label", weight="weight", return_weights=True)[2]
    assert weights[0] == 3 and weights[-1] == 1
    np.testing.assert_array_equal(weights, read_data(half, return_weights=True)[2])
