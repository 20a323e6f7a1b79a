"""Columns of numbers and of categories, out of CSV, TSV and Parquet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from openfm.data.formats.registry import FORMATS
from openfm.data.formats.source import Source
from openfm.data.formats.tables import table_columns
from openfm.data.formats.typed import Categories, Coded, ColumnBlock, TypedColumn
from openfm.encoding import ColumnEncoder, NumberColumn
from openfm.errors import DataError
from openfm.native import _core

TEXT = 'user,price,"day, or night",zip\nu1,3.5,day,10115\nu2,,"a ""night""\nlong",01067\nu1,-1e3,,\n'


def read(path: Path, format: str, **options) -> list[ColumnBlock]:
    read_columns = FORMATS[format].read_columns
    assert read_columns is not None
    return list(read_columns(Source.of_file(path), **options))


def values(column: TypedColumn) -> list[object]:
    """A column row by row; None where something is missing."""
    if isinstance(column, Categories):
        texts = [text.decode() for text in column.texts()]
        return [None if code < 0 else texts[code] for code in column.codes]
    return [None if np.isnan(value) else value for value in column]


@pytest.mark.parametrize(("format", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_what_columns_hold_is_seen(tmp_path: Path, format: str, delimiter: str) -> None:
    path = tmp_path / "data"
    path.write_text(TEXT.replace(",", delimiter))
    (block,) = read(path, format)

    assert block.rows == 3
    assert {name: values(column) for name, column in block.columns.items()} == {
        "user": ["u1", "u2", "u1"],
        "price": [3.5, None, -1000.0],
        f"day{delimiter} or night": ["day", 'a "night"\nlong', None],
        "zip": [10115.0, 1067.0, None],
    }


def test_ids_that_look_like_numbers_are_categories_where_said(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text(TEXT)
    (block,) = read(path, "csv", categories={"zip"})

    assert values(block.columns["zip"]) == ["10115", "01067", None]


def test_an_empty_column_is_of_numbers(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text("a,b\n,x\n,y\n")
    (block,) = read(path, "csv")

    assert values(block.columns["a"]) == [None, None]


def test_the_first_block_decides(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text("id,word\n" + "123456789,a\n" * 500_000 + "x7,b\n")
    with pytest.raises(DataError, match=r"Line 500002, column 1 \('id'\) of .* holds 'x7', which is not a number"):
        read(path, "csv")
    with pytest.raises(DataError, match=r"which is not a number\. Correct it\.$"):
        read(path, "csv", no_features=["id"])

    blocks = read(path, "csv", categories=["id"])

    assert len(blocks) > 1
    assert sum(block.rows for block in blocks) == 500_001
    assert values(blocks[-1].columns["id"])[-1] == "x7"

    for block in read(path, "csv", is_unused=lambda name: name == "id"):
        assert isinstance(block.columns["id"], Coded)
        assert set(block.columns["id"].codes.tolist()) == {-1}


def test_codes_instead_of_texts(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text(TEXT)
    vocabulary = _core.Vocabulary()
    known = _core.Vocabulary()
    known.add(np.array([0, 5]), np.frombuffer(b"01067", np.uint8))
    coders = {
        "user": _core.TextCoder.adding(vocabulary),
        "day, or night": _core.TextCoder.ignoring(),
        "zip": _core.TextCoder.finding(known),
    }
    (block,) = read(path, "csv", categories={"zip"}, coder_of=coders.get)

    found = {name: column for name, column in block.columns.items() if isinstance(column, Coded)}
    assert {name: column.codes.tolist() for name, column in found.items()} == {
        "user": [0, 1, 0],
        "day, or night": [-1, -1, -1],
        "zip": [-2, 0, -1],
    }
    assert all(column.coder is coders[name] for name, column in found.items())
    assert (coders["user"].vocabulary, coders["day, or night"].vocabulary) == (vocabulary, None)
    assert [vocabulary.text(code) for code in range(len(vocabulary))] == [b"u1", b"u2"]
    hashing = _core.TextCoder.hashing(7)
    (block,) = read(path, "csv", coder_of=lambda name: hashing if name == "user" else None)
    expected = _core.hash_buckets(np.array([0, 2, 4]), np.frombuffer(b"u1u2", np.uint8), 7)
    assert isinstance(user := block.columns["user"], Coded)
    assert user.codes.tolist() == expected[[0, 1, 0]].tolist()
    assert values(block.columns["day, or night"]) == ["day", 'a "night"\nlong', None]
    with pytest.raises(ValueError, match="buckets must be from 1"):
        _core.TextCoder.hashing(0)


def test_parquet(tmp_path: Path) -> None:
    table = pa.table(
        {
            "user": pa.array(["u1", None, "ü"]).dictionary_encode(),
            "item": pa.array([7, 8, None], pa.int64()),
            "flag": pa.array([True, None, False]),
            "word": pa.array(["a", "b", "a"]),
        }
    )
    parquet.write_table(table, tmp_path / "data")

    (block,) = read(tmp_path / "data", "parquet")
    (stated,) = read(tmp_path / "data", "parquet", categories=["item"])

    assert {name: values(column) for name, column in block.columns.items()} == {
        "user": ["u1", None, "ü"],
        "item": [7.0, 8.0, None],
        "flag": [1.0, None, 0.0],
        "word": ["a", "b", "a"],
    }
    assert values(stated.columns["item"]) == ["7", "8", None]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_an_empty_text_is_missing_as_an_empty_field_of_csv_is(tmp_path: Path, kind: pa.DataType) -> None:
    texts = ["b", "", "a", None, "", "b"]
    parquet.write_table(pa.table({"user": pa.array(texts, pa.string()).cast(kind)}), tmp_path / "data")
    (block,) = read(tmp_path / "data", "parquet")
    assert values(block.columns["user"]) == ["b", None, "a", None, None, "b"]
    encoder = ColumnEncoder.fit([block])
    assert [encoder.feature_name(feature) for feature in range(encoder.feature_dim)] == ["user=b", "user=a"]


def test_whole_numbers_beyond_2_to_the_53(tmp_path: Path) -> None:
    ids = [2**53 + 1, 2**63 - 1, None]
    parquet.write_table(pa.table({"id": pa.array(ids, pa.int64())}), tmp_path / "data")

    (block,) = read(tmp_path / "data", "parquet")
    (stated,) = read(tmp_path / "data", "parquet", categories=["id"])

    assert values(block.columns["id"]) == [2.0**53, 2.0**63, None]  # as those of text
    assert values(stated.columns["id"]) == ["9007199254740993", "9223372036854775807", None]


def test_what_is_neither_numbers_nor_texts_is_refused_where_it_is_used(tmp_path: Path) -> None:
    table = pa.table({"x": [1.0, 2.0], "e": [[1], [2, 3]], "s": [{"a": 1}, None], "b": [b"\xff", b"a"]})
    parquet.write_table(table, tmp_path / "data")
    for blocks in (read(tmp_path / "data", "parquet"), list(table_columns(table))):
        assert values(blocks[0].columns["x"]) == [1.0, 2.0]
        assert ColumnEncoder.fit(blocks, ignored=["e", "s", "b"]).feature_dim == 1
        assert ColumnEncoder.fit(blocks, ignored=["e", "s", "b"]).encode(blocks[0]).rows.nnz == 2
        for name, type in (("e", r"list<.*: int64>"), ("s", r"struct<a: int64>"), ("b", "binary")):
            others = {"e", "s", "b"} - {name}
            message = f"^Column '{name}' holds {type}, neither numbers nor texts\\. .* leave it out with --ignore"
            with pytest.raises(DataError, match=message):
                ColumnEncoder.fit(blocks, ignored=others)
            with pytest.raises(DataError, match=message):
                ColumnEncoder.fit(blocks, ignored=others, categorical=[name])
            with pytest.raises(DataError, match=message):
                ColumnEncoder.fit(blocks, ignored=others, hashed={name: 9})
            with pytest.raises(DataError, match=message):
                ColumnEncoder([NumberColumn(name, 0, 0.0, 1.0)]).encode(blocks[0])


def test_faults_are_those_of_rows(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text("a,b\n1,2\n3\n")
    with pytest.raises(DataError, match=r"Line 3 of .* has 1 columns, where 2 are needed"):
        read(path, "csv")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read(path, "parquet")
