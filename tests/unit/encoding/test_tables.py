"""Files of raw values as records."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openfm import ColumnEncoder, DataError, iter_columns, table_columns
from openfm.data.formats.format import Format
from openfm.data.formats.registry import FORMATS, find_format
from openfm.data.formats.source import Source
from openfm.data.formats.typed import Categories
from openfm.encoding.tables import encoded_records, fit_and_encode, fit_table

CSV = "rating,user,age\n4,7,0.5\n3,8,\n5,7,1.5\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "ratings.csv"
    path.write_text(CSV)
    return path


def opened(path: Path) -> tuple[Source, Format]:
    return Source.of_file(path), find_format(None, path)


def test_a_file_and_its_records(table: Path) -> None:
    encoder = fit_table(*opened(table), target="rating", categorical=["user"])
    (block,) = encoded_records(*opened(table), encoder, target="rating")
    assert block.rows.to_scipy().toarray().tolist() == [[1, 0, -1], [0, 1, 0], [1, 0, 1]]
    assert block.labels is not None
    assert block.labels.tolist() == [4, 3, 5]
    assert block.dense_records == 0


@pytest.mark.parametrize("suffix", ["tsv", "parquet"])
def test_every_table_gives_the_same_encoder(table: Path, tmp_path: Path, suffix: str) -> None:
    from pyarrow import csv, parquet

    other = tmp_path / f"ratings.{suffix}"
    if suffix == "tsv":
        other.write_text(CSV.replace(",", "\t"))
    else:
        parquet.write_table(csv.read_csv(table), other)
    members = fit_table(*opened(table), target="rating", categorical=["user"]).to_members()
    assert fit_table(*opened(other), target="rating", categorical=["user"]).to_members() == members
    blocks = iter_columns(other, categories=["user"])
    assert ColumnEncoder.fit(blocks, target="rating", categorical=["user"]).to_members() == members
    frame = csv.read_csv(table).to_pandas()
    blocks = table_columns(frame, categories=["user"])
    assert ColumnEncoder.fit(blocks, target="rating", categorical=["user"]).to_members() == members


def test_pandas_categories_are_texts() -> None:
    import pandas as pd

    frame = pd.DataFrame({"c": pd.Categorical(["x", "y", None, "x"]), "b": [True, False, True, True]})
    encoder = ColumnEncoder.fit(table_columns(frame))
    assert [encoder.feature_name(i) for i in range(encoder.feature_dim)] == ["c=x", "c=y", "b"]


def test_many_blocks(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    rows = 200_000
    with path.open("w") as file:
        file.write("y,id,n\n")
        file.writelines(f"{i % 2},id-{i * 7919 % 50_000:020},{i}\n" for i in range(rows))
    encoder = fit_table(*opened(path), target="y", hashed={})
    assert encoder.feature_dim == 50_001
    blocks = list(encoded_records(*opened(path), encoder, target="y"))
    assert len(blocks) > 1
    again, kept = fit_and_encode(*opened(path), target="y")
    assert again.to_members() == encoder.to_members()
    for one, other in zip(blocks, kept, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)
        for part in ("indptr", "indices", "values"):
            np.testing.assert_array_equal(getattr(one.rows, part), getattr(other.rows, part))
    assert sum(map(len, blocks)) == rows
    first = np.concatenate([block.rows.indices[block.rows.indptr[:-1]] for block in blocks])
    np.testing.assert_array_equal(first, np.arange(rows) % 50_000)  # in the order in which they came first


def test_texts_are_coded_while_they_are_read_as_afterwards(tmp_path: Path) -> None:
    """The reader codes texts itself; blocks of iter_columns have texts, which the encoder looks up."""
    rng = np.random.default_rng(3)
    path = tmp_path / "large.csv"
    cells = rng.integers(0, 40_000, (60_000, 3)) ** 2 % 39_989
    with path.open("w") as file:
        file.write("y,long,short,hashed,left out,n\r\n")
        for i, (a, b, c) in enumerate(cells.tolist()):
            long = "" if i % 11 == 0 else f'"{i % 3}, a ""long"" text\n{a:060}"'
            file.write(f"{i % 2},{long},{'' if b % 7 == 0 else b},h{c},{long},{i / 4}\r\n")
    options = {"target": "y", "categorical": ["short"], "hashed": {"hashed": 1000}, "ignored": ["left out"]}
    blocks = list(iter_columns(path, categories=["short", "hashed"]))
    assert len(blocks) > 1
    slow = ColumnEncoder.fit(blocks, **options)
    encoder, kept = fit_and_encode(*opened(path), **options)
    assert encoder.to_members() == slow.to_members() == fit_table(*opened(path), **options).to_members()
    expected = [slow.encode(block).rows for block in blocks]
    for found in (kept, encoded_records(*opened(path), encoder, target="y")):
        for record, rows in zip(found, expected, strict=True):
            for part in ("indptr", "indices", "values"):
                np.testing.assert_array_equal(getattr(record.rows, part), getattr(rows, part))
    fewer = ColumnEncoder.fit(blocks[:1], **options)
    unseen: Counter[str] = Counter()
    found = list(encoded_records(*opened(path), fewer, unseen=unseen))
    counted: Counter[str] = Counter()
    for record, block in zip(found, blocks, strict=True):
        encoded = fewer.encode(block)
        counted.update(encoded.unseen)
        np.testing.assert_array_equal(record.rows.indices, encoded.rows.indices)
    assert unseen == counted
    assert set(unseen) == {"long", "short"}


def test_unseen_values_are_counted(table: Path, tmp_path: Path) -> None:
    encoder = fit_table(*opened(table), target="rating", categorical=["user"])
    other = tmp_path / "test.csv"
    other.write_text("user,age,more\n9,1,x\n7,1,y\n9,1,z\n")
    unseen: Counter[str] = Counter()
    (block,) = encoded_records(*opened(other), encoder, unseen=unseen)
    assert (block.labels, unseen) == (None, {"user": 2})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rating,user,age\n4,7,0.5\n,7,1\n", "ratings.csv': Row 1 has no value in column 'rating', which is no label"),
        ("rating,user,age\nx,7,0.5\n", "ratings.csv': Column 'rating' holds texts, but the labels must be numbers"),
        ("user,age\n7,0.5\n", "ratings.csv': The table has no column 'rating' for the labels"),
        ("rating,user,age\n1e300,7,0.5\n", r"Row 0 has 1e\+300 in column 'rating'"),
        ("rating,user\n1,7\n", "ratings.csv': The table has no column 'age'"),
        ("rating,user,age\n1,7\n", "Line 2 of "),
    ],
)
def test_tables_that_do_not_fit(table: Path, text: str, message: str) -> None:
    encoder = fit_table(*opened(table), target="rating", categorical=["user"])
    table.write_text(text)
    with pytest.raises(DataError, match=message):
        list(encoded_records(*opened(table), encoder, target="rating"))


def test_a_table_that_is_read_once(table: Path) -> None:
    options = {"target": "rating", "categorical": ["user"]}
    encoder = fit_table(*opened(table), **options)
    once, (block,) = fit_and_encode(*opened(table), **options)
    (twice,) = encoded_records(*opened(table), encoder, target="rating")
    assert once.to_members() == encoder.to_members()
    assert (block.rows.to_scipy() != twice.rows.to_scipy()).nnz == 0
    assert block.labels is not None
    assert block.labels.tolist() == [4, 3, 5]
    once, (block,) = fit_and_encode(*opened(table), hashed={"user": 5}, ignored=["age"])
    assert (block.labels, block.rows.feature_dim) == (None, 6)
    encoded = list(encoded_records(*opened(table), once))
    assert (block.rows.to_scipy() != encoded[0].rows.to_scipy()).nnz == 0


def test_a_table_that_is_read_once_and_does_not_fit(table: Path) -> None:
    with pytest.raises(DataError, match=r"ratings.csv': The table has no column 'stars'"):
        fit_and_encode(*opened(table), target="stars")
    table.write_text("rating,user,age\n4,7,0.5\n,7,1\n")
    with pytest.raises(DataError, match=r"ratings.csv': Row 1 has no value in column 'rating', which is no label"):
        fit_and_encode(*opened(table), target="rating")


def test_formats_without_columns(table: Path) -> None:
    with pytest.raises(DataError, match=r"is libsvm, which has no named columns\. Give csv, tsv or parquet\."):
        fit_table(Source.of_file(table), FORMATS["libsvm"])
    with pytest.raises(DataError, match="is libsvm, which has no named columns"):
        next(iter_columns(table, format="libsvm"))


def test_arrow_texts_of_every_kind() -> None:
    import pyarrow as pa

    texts = ["\N{SNOWMAN}", "", None, "y", "\N{SNOWMAN}"]
    table = pa.table(
        {
            "plain": texts,
            "large": pa.array(texts, pa.large_string()),
            "coded": pa.array(texts).dictionary_encode(),
            "none": pa.array([None] * 5, pa.string()),
            "empty": [""] * 5,
            "day": pa.array([0, 1, None, 1, 0], pa.date32()),
        }
    )
    expected = ["plain", "large", "coded"]
    for rows in (table, table.slice(1), table.slice(2, 2)):
        (block,) = table_columns(rows)
        for name in expected:
            column = block.columns[name]
            assert isinstance(column, Categories)
            found = [None if code < 0 else column.texts()[code].decode() for code in column.codes]
            assert found == [text or None for text in rows.column(name).to_pylist()]  # an empty one is missing
        assert block.columns["none"].codes.tolist() == [-1] * len(rows)
        assert block.columns["empty"].codes.tolist() == [-1] * len(rows)
    (block,) = table_columns(table)
    assert block.columns["day"].texts() == [b"1970-01-01", b"1970-01-02"]


def test_an_error_ends_the_reading(table: Path, tmp_path: Path) -> None:
    """A thread that waited in a traceback for somebody to want more would meet the interpreter's end."""
    path = tmp_path / "long.csv"
    path.write_text("rating,user,age\n" + ",7,0.5\n" + "4,7,0.123456789\n" * 1_200_000)  # several blocks
    encoder = fit_table(*opened(table), target="rating")
    before = set(threading.enumerate())
    for read in (
        lambda: fit_table(*opened(path), target="stars"),
        lambda: fit_and_encode(*opened(path), target="rating"),
        lambda: list(encoded_records(*opened(path), encoder, target="rating")),
    ):
        with pytest.raises(DataError) as caught:
            read()
        assert set(threading.enumerate()) <= before
        assert caught.tb is not None


def test_no_error_proposes_to_make_features_of_labels(table: Path, tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text("rating,user,age\n" + "4,7,0.123456789\n" * 300_000 + "good,7,0.5\n")
    options: dict[str, Any] = {"target": "rating", "categorical": ("user",)}
    encoder = fit_table(*opened(table), **options)
    for read in (
        lambda: fit_table(*opened(path), **options),
        lambda: fit_and_encode(*opened(path), **options),
        lambda: list(encoded_records(*opened(path), encoder, target="rating")),
    ):
        with pytest.raises(DataError, match=r"'good', which is not a number\. Correct it\.$"):
            read()
