"""Encoded rows name the values that they came from, and the same values give the same encoder."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openfm import ColumnEncoder
from openfm.data.formats.typed import Categories, ColumnBlock, TypedColumn
from support.tables import categories

TEXTS = st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=6))
NUMBERS = st.one_of(st.none(), st.floats(-1e6, 1e6, allow_nan=False, width=32))
HASHED = "hashed"


@st.composite
def tables(draw: st.DrawFn) -> dict[str, list[Any]]:
    """Columns of values of equal length: texts, numbers, and one that is to be hashed."""
    rows = draw(st.integers(1, 12))
    names = draw(st.lists(st.text(st.characters(codec="utf-8"), max_size=4), min_size=1, max_size=5, unique=True))
    columns = {
        name: draw(st.lists(TEXTS if draw(st.booleans()) else NUMBERS, min_size=rows, max_size=rows)) for name in names
    }
    return columns | {HASHED: draw(st.lists(TEXTS, min_size=rows, max_size=rows))}


def typed(columns: dict[str, list[Any]]) -> ColumnBlock:
    """Columns with any text in them, and the one that is hashed, are categories."""
    found: dict[str, TypedColumn] = {}
    for name, values in columns.items():
        if name == HASHED or any(isinstance(value, str) for value in values):
            found[name] = categories(
                [value if value is None or isinstance(value, str) else str(value) for value in values]
            )
        else:
            found[name] = np.array([math.nan if value is None else value for value in values])
    return ColumnBlock(found, len(next(iter(columns.values()))))


def part(block: ColumnBlock, begin: int, end: int) -> ColumnBlock:
    """Some rows of a block, whose texts are those of all."""
    columns: dict[str, TypedColumn] = {
        name: Categories(column.codes[begin:end], column.offsets, column.utf8)
        if isinstance(column, Categories)
        else column[begin:end]
        for name, column in block.columns.items()
    }
    return ColumnBlock(columns, end - begin)


@settings(max_examples=200, deadline=None)
@given(tables(), st.integers(0, 12))
def test_features_name_the_values(columns: dict[str, list[Any]], cut: int) -> None:
    block = typed(columns)
    parts = [part(block, 0, min(cut, block.rows)), part(block, min(cut, block.rows), block.rows)]
    encoder = ColumnEncoder.fit([each for each in parts if each.rows], hashed={HASHED: 7})
    again = ColumnEncoder.from_members(encoder.to_members())
    assert again.to_members() == encoder.to_members()
    encoded = again.encode(block)
    assert encoded.unseen == {}
    matrix = encoded.rows.to_scipy()
    for row in range(block.rows):
        found = {}
        for feature in matrix[row].indices.tolist():
            value = float(matrix[row, feature])
            (name,) = [column.name for column in again.columns if feature in again.features_of(column.name)]
            assert name not in found
            found[name] = (feature, value)
        for name, column in block.columns.items():
            check(again, name, columns[name][row], isinstance(column, Categories), found.get(name))


def check(encoder: ColumnEncoder, name: str, value: Any, is_category: bool, found: tuple[int, float] | None) -> None:
    """That what was found in a row says the value."""
    if value is None:
        assert found is None
    elif name == HASHED:
        assert found == (encoder.feature(name, value), 1.0)
    elif is_category:
        assert found is not None
        assert found == (encoder.feature(name, str(value)), 1.0)
        assert encoder.feature_name(found[0]) == f"{name}={value}"
        assert encoder.value(found[0]) == str(value)
    else:
        number = encoder.column(name)
        scaled = 0.0 if found is None else found[1]
        size = abs(number.shift) + number.scale * abs(scaled)
        assert scaled * number.scale + number.shift == pytest.approx(
            value, abs=1e-6 * size + 1e-37 * number.scale, rel=1e-6
        )
        assert encoder.features_of(name)[0] == (encoder.feature(name, value) if found is None else found[0])
