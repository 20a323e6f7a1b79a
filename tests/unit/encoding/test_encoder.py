"""Columns to features: what is fitted, what is encoded, and what is refused."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from openfm import ColumnEncoder, DataError
from openfm.data.formats.typed import ColumnBlock
from openfm.encoding import HashedColumn, NumberColumn, OneHotColumn
from support.tables import RATINGS, block_of, categories


def fit(**columns: Sequence[Any]) -> ColumnEncoder:
    return ColumnEncoder.fit([block_of(columns)])


def dense(encoder: ColumnEncoder, block: ColumnBlock) -> np.ndarray:
    rows = encoder.encode(block).rows
    assert (rows.values != 0).all()
    assert all((np.diff(part) > 0).all() for part in np.split(rows.indices, rows.indptr[1:-1]))
    return rows.to_scipy().toarray()


def test_texts_and_numbers() -> None:
    block = block_of(RATINGS)
    encoder = ColumnEncoder.fit([block], target="rating")
    assert [(column.name, column.first, column.features) for column in encoder.columns] == [
        ("user", 0, 2),
        ("item", 2, 3),
        ("price", 5, 1),
    ]
    assert (encoder.feature_dim, encoder.target, encoder.text_columns) == (6, "rating", ("user", "item"))
    distance = 1 / math.sqrt(2 / 3)  # of 1 and 3 from their mean 2, in standard deviations
    np.testing.assert_allclose(
        dense(encoder, block),
        [
            [1, 0, 1, 0, 0, -distance],
            [0, 1, 1, 0, 0, 0],
            [1, 0, 0, 1, 0, 0],  # without a price
            [0, 0, 0, 0, 1, distance],  # without a user
        ],
        rtol=1e-6,
    )
    assert encoder.encode(block).unseen == {}


def test_unseen_values_are_counted_by_row() -> None:
    encoder = ColumnEncoder.fit([block_of(RATINGS)], target="rating")
    rows = {"user": ["u9", "u1", "u9", None], "item": ["i9", "x", "i7", "i8"], "price": [2.0] * 4}
    encoded = encoder.encode(block_of(rows))
    assert encoded.unseen == {"user": 2, "item": 1}
    assert encoded.rows.to_scipy().toarray().tolist() == [
        [0, 0, 0, 1, 0, 0],
        [1, 0, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 0],
        [0, 0, 0, 0, 1, 0],
    ]


def test_names_and_values_of_features() -> None:
    block = block_of({**RATINGS, "agent": ["a", "b", "c", "d"]})
    encoder = ColumnEncoder.fit([block], target="rating", hashed={"agent": 4})
    names = [encoder.feature_name(i) for i in range(encoder.feature_dim)]
    assert names == ["user=u1", "user=u2", "item=i7", "item=i9", "item=i8", "price", *(f"agent#{i}" for i in range(4))]
    assert encoder.features_of("item") == range(2, 5)
    assert (encoder.feature("item", "i8"), encoder.feature("item", "none"), encoder.feature("price", 3)) == (4, None, 5)
    assert (encoder.value(4), encoder.value(5), encoder.value(6)) == ("i8", None, None)
    assert encoder.describe(4, 1.0) == "item=i8"
    price = encoder.encode(block).rows.values[2]
    assert encoder.describe(5, float(price)) == "price=1"
    for call in (lambda: encoder.feature_name(10), lambda: encoder.feature_name(-1)):
        with pytest.raises(ValueError, match="there is no feature"):
            call()
    with pytest.raises(
        ValueError, match="there is no column 'rating' among the features; the columns are 'user', 'item'"
    ):
        encoder.features_of("rating")


def test_blocks_count_as_one_table() -> None:
    rng = np.random.default_rng(1)
    numbers = rng.normal(5, 2, 1000)
    texts = [f"t{i}" for i in rng.integers(0, 50, 1000)]
    parts = [block_of({"n": numbers[i : i + 100].tolist(), "t": texts[i : i + 100]}) for i in range(0, 1000, 100)]
    apart = ColumnEncoder.fit(parts)
    together = fit(n=numbers.tolist(), t=texts)
    assert [apart.feature_name(i) for i in range(51)] == [together.feature_name(i) for i in range(51)]
    number = apart.columns[0]
    assert isinstance(number, NumberColumn)
    assert number.shift == pytest.approx(numbers.mean(), rel=1e-12)
    assert number.scale == pytest.approx(numbers.std(), rel=1e-12)


@pytest.mark.parametrize(
    ("numbers", "shift", "scale"),
    [
        ([2.0, 4.0], 3, 1),
        ([7.0, 7.0, None], 7, 1),  # constant
        ([0.1] * 7, 0.1, 1),
        ([None, None], 0, 1),
        ([0.0, 0.0, 0.0, 2.0], 0, 1),  # mostly 0, which stays absent
        ([0.0, 3.0], 0, math.sqrt(4.5)),
        ([1e300, -1e300], 0, 1e300),  # whose squares overflow
        ([1e-320, 2e-320], 0, 2e-320),  # whose squares are 0
    ],
)
def test_scales(numbers: list[float | None], shift: float, scale: float) -> None:
    (column,) = fit(x=numbers).columns
    assert isinstance(column, NumberColumn)
    assert (column.shift, column.scale) == (pytest.approx(shift), pytest.approx(scale))


def test_a_constant_column_contributes_nothing() -> None:
    block = block_of({"x": [0.1] * 3, "y": [1.0, 2.0, 3.0]})
    assert dense(ColumnEncoder.fit([block]), block)[:, 0].tolist() == [0, 0, 0]


def test_ids_that_look_like_numbers_are_numbers_unless_named() -> None:
    assert isinstance(fit(id=[1.0, 2.0]).columns[0], NumberColumn)
    block = ColumnBlock({"id": categories(["1", "2"])}, 2)
    assert isinstance(ColumnEncoder.fit([block], categorical=["id"]).columns[0], OneHotColumn)
    with pytest.raises(DataError, match="Column 'id' was read as numbers, where categories are needed"):
        ColumnEncoder.fit([block_of({"id": [1.0, 2.0]})], categorical=["id"])
    with pytest.raises(DataError, match="Column 'id' was read as numbers, but holds categories"):
        ColumnEncoder.fit([block], categorical=["id"]).encode(block_of({"id": [1.0, 2.0]}))


def test_hashing_is_for_ever() -> None:
    texts = ["", "a", "foobar", "user-1", "\N{SNOWMAN}"]
    encoder = ColumnEncoder.fit([block_of({"t": texts, "x": [1.0] * 5})], hashed={"t": 1000})
    assert isinstance(encoder.columns[0], HashedColumn)

    def bucket(text: str) -> int:
        fnv = 0xCBF29CE484222325
        for byte in text.encode():
            fnv = (fnv ^ byte) * 0x100000001B3 % 2**64
        return (fnv ^ fnv >> 32) % 1000

    encoded = encoder.encode(block_of({"t": ["new", *texts[1:]], "x": [1.0] * 5}))
    assert encoded.rows.indices.tolist() == [bucket(text) for text in ["new", *texts[1:]]]
    assert encoded.unseen == {}
    known = 0x85944171F73967E8  # of foobar, in the algorithm's own test vectors
    assert encoder.feature("t", "foobar") == (known ^ known >> 32) % 1000


def test_columns_that_are_no_features() -> None:
    encoder = ColumnEncoder.fit([block_of(RATINGS)], target="rating", weight="price", ignored=["item"])
    assert [column.name for column in encoder.columns] == ["user"]
    assert (encoder.target, encoder.weight, encoder.ignored) == ("rating", "price", ("item",))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": "stars"}, "The table has no column 'stars'. It has 'rating', 'user', 'item', 'price'."),
        ({"target": "rating", "ignored": ["rating"]}, "Column 'rating' is named for two purposes or twice."),
        ({"hashed": {"user": 0}}, "Column 'user' is to be hashed into 0 features; give at least 1."),
        ({"hashed": {"user": 2**31 - 1}}, "2147483652 features, but there must be from 1 to 2147483647"),
        ({"hashed": {"price": 5}}, "Column 'price' was read as numbers, but holds categories"),
        ({"ignored": list(RATINGS)}, "0 features, but there must be from 1"),
    ],
)
def test_what_cannot_be_fitted(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        ColumnEncoder.fit([block_of(RATINGS)], **arguments)


def test_tables_that_cannot_be_fitted() -> None:
    with pytest.raises(DataError, match="The table has no rows"):
        ColumnEncoder.fit([])
    with pytest.raises(DataError, match="Column 'x' holds numbers at first and texts further on"):
        ColumnEncoder.fit([block_of({"x": [1.0]}), block_of({"x": ["a"]})])
    with pytest.raises(DataError, match="Column 'x' holds an infinite number"):
        fit(x=[1.0, math.inf])
    column = categories(["a"])
    broken = ColumnBlock({"x": type(column)(column.codes, column.offsets, np.array([0xFF], dtype=np.uint8))}, 1)
    with pytest.raises(DataError, match="Column 'x' holds a text that is not UTF-8"):
        ColumnEncoder.fit([broken])


def test_tables_that_cannot_be_encoded() -> None:
    encoder = ColumnEncoder.fit([block_of(RATINGS)], target="rating")
    rows = {"user": ["u1", "u1"], "item": ["i7", "i7"]}
    with pytest.raises(DataError, match=r"no column 'price', which the encoder was fitted with. It has 'user', 'item'"):
        encoder.encode(block_of(rows))
    with pytest.raises(DataError, match="Column 'price' holds texts such as 'cheap', but numbers when"):
        encoder.encode(block_of({**rows, "price": ["cheap", "cheap"]}))
    with pytest.raises(DataError, match=r"Row 11 holds 1e\+300 in column 'price', far beyond"):
        encoder.encode(block_of({**rows, "price": [1.0, 1e300]}), first_row=10)


def test_no_rows_are_no_rows() -> None:
    encoder = ColumnEncoder.fit([block_of(RATINGS)], target="rating")
    columns = {
        name: column[:0] if isinstance(column, np.ndarray) else categories([])
        for name, column in block_of(RATINGS).columns.items()
    }
    encoded = encoder.encode(ColumnBlock(columns, 0))
    assert (len(encoded.rows), encoded.rows.feature_dim) == (0, 6)


def test_wide_tables_of_which_most_is_missing() -> None:
    rng = np.random.default_rng(2)
    codes = np.where(rng.random((300, 40)) < 0.1, rng.integers(0, 3, (300, 40)), -1)
    table = {f"c{i}": [None if code < 0 else f"t{code}" for code in codes[:, i]] for i in range(40)}
    encoder = ColumnEncoder.fit([block_of(table | {"last": ["x"] * 300})])
    found = dense(encoder, block_of(table | {"last": ["x"] * 300}))
    expected = np.zeros_like(found)
    for row in range(300):
        for name, texts in table.items():
            if (text := texts[row]) is not None:
                feature = encoder.feature(name, text)
                assert feature is not None
                expected[row, feature] = 1
    expected[:, -1] = 1
    np.testing.assert_array_equal(found, expected)


def test_columns_that_are_not_there_can_be_missing() -> None:
    encoder = ColumnEncoder.fit([block_of(RATINGS)], target="rating")
    found = encoder.encode(block_of({"price": [1.0, None], "item": ["i9", "new"]}), absent_is_missing=True)
    expected = encoder.encode(block_of({"user": ["new", "new"], "item": ["i9", "new"], "price": [1.0, None]}))
    np.testing.assert_array_equal(found.rows.to_scipy().toarray(), expected.rows.to_scipy().toarray())
    assert found.unseen == {"item": 1}
