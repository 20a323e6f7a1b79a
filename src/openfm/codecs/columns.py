"""Instances of raw values, by column, for models that have an encoder.

::

    {"columns": {"user": "u42", "item": "i7", "price": 3.5}}

A column of categories takes text, or a whole number, which stands for its decimal digits; a column of numbers takes a
number, where ``true`` and ``false`` count as 1 and 0. What is null or left out is missing and contributes nothing; in
CSV that is an empty field, here an empty text. The columns that training ignored, the label's and the weight's may be
there, and are not looked at; others are refused. The form is openfm's own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from openfm.codecs.requests import Request
from openfm.data.formats.typed import Categories, ColumnBlock, TypedColumn
from openfm.encoding import ColumnEncoder, NumberColumn
from openfm.encoding.columns import ColumnValueError
from openfm.errors import RequestError
from openfm.fm.rows import SparseRows

__all__ = ["MEMBER", "ColumnInstances", "category", "decode_columns", "has_columns"]

MEMBER = "columns"
"""The member by which an instance is known to be of raw values."""

_OTHER_FORMS = {"features", "data"}

_CELLS_AT_ONCE = 2**20
"""Rows times columns that are encoded at a time: some megabytes, however short the body that is about them."""


def has_columns(instance: object) -> bool:
    """Whether a parsed instance is of raw values."""
    return isinstance(instance, dict) and MEMBER in instance


def decode_columns(instances: Iterable[object], encoder: ColumnEncoder | None) -> Request:
    """Turn parsed JSON instances, all of them of raw values, into rows.

    Args:
        instances: what :func:`openfm.codecs.parsing.parse_json` made of each instance.
        encoder: the model's; None if it has none.

    Raises:
        RequestError: the model has no encoder, or an instance is not such as above, names a column that the encoder
            does not know, or has a value that does not fit its column. The sentence names the instance, counted from 0,
            and the column.
    """
    collected = ColumnInstances(encoder)
    try:
        for number, instance in enumerate(instances):
            try:
                collected.add(instance)
            except RequestError as error:
                raise RequestError(f"instance {number}: {error.message}") from error
        rows, unseen = collected.encoded()
    except ColumnValueError as error:
        raise RequestError(f"instance {error.row}: {error.complaint}") from error
    return Request(rows, unseen=unseen)


def category(value: object, name: str) -> str:
    """A category as JSON gives it: text, or a whole number that stands for its digits.

    Raises:
        RequestError: it is something else.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise RequestError(f"{name} must be text, or a whole number, but is {_shown(value)}")


class ColumnInstances:
    """Collects instances of raw values and makes rows of them, in memory and time that their text bounds.

    Args:
        encoder: the model's; None if it has none.

    Raises:
        RequestError: there is no encoder.
    """

    def __init__(self, encoder: ColumnEncoder | None) -> None:
        if encoder is None:
            raise RequestError(
                f'instance 0: has "{MEMBER}", but the model has no encoder that makes features of columns; send '
                '{"features": [...]} or {"data": {...}}'
            )
        self._encoder = encoder
        self._overlooked = {encoder.target, encoder.weight, *encoder.ignored}
        self._is_number = {column.name: isinstance(column, NumberColumn) for column in encoder.columns}
        self._columns: dict[str, _Texts | _Numbers] = {}  # those that the instances of this piece name
        self._rows = 0  # of this piece
        self._encoded = 0  # rows of the pieces before
        self._pieces: list[SparseRows] = []
        self._unseen: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._encoded + self._rows

    def add(self, instance: object) -> None:
        """Take the next instance.

        Raises:
            RequestError: it is not such as the module's text says; of the instance the sentence tells nothing.
            ColumnValueError: a number of it, or of one before, cannot be encoded; ``row`` counts all instances.
        """
        if not isinstance(instance, dict) or MEMBER not in instance:
            raise RequestError(f'has no "{MEMBER}", but instance 0 has: send them in different requests')
        if other := sorted(instance.keys() & _OTHER_FORMS):
            raise RequestError(f'has both "{other[0]}" and "{MEMBER}"; send one of them')
        values = instance[MEMBER]
        if not isinstance(values, dict):
            raise RequestError(f'{MEMBER} must be an object such as {{"user": "u42", "price": 3.5}}')
        for name, value in values.items():
            column = self._columns.get(name)
            if column is None:
                if name in self._overlooked:
                    continue
                column = self._new_column(name)
            column.add(self._rows, value, name)
        self._rows += 1
        if self._rows * max(1, len(self._columns)) >= _CELLS_AT_ONCE:
            self._encode_piece()

    def encoded(self) -> tuple[SparseRows, Counter[str]]:
        """The rows of all instances, and of each column with such values, how many the encoder does not know.

        Raises:
            ColumnValueError: as :meth:`add`.
        """
        if self._rows or not self._pieces:
            self._encode_piece()
        rows = self._pieces[0] if len(self._pieces) == 1 else SparseRows.concatenate(self._pieces)
        return rows, self._unseen

    def _new_column(self, name: str) -> _Texts | _Numbers:
        if name not in self._is_number:
            raise RequestError(
                f"{MEMBER} has {_shown(name)}, which the model does not know; it knows {self._encoder.known_columns()}"
            )
        return self._columns.setdefault(name, _Numbers() if self._is_number[name] else _Texts())

    def _encode_piece(self) -> None:
        """Make rows of the instances since the last time. Columns that none of them names cost nothing."""
        block = ColumnBlock({name: column.column(self._rows) for name, column in self._columns.items()}, self._rows)
        encoded = self._encoder.encode(block, first_row=self._encoded, absent_is_missing=True)
        self._pieces.append(encoded.rows)
        self._unseen.update(encoded.unseen)
        self._encoded += self._rows
        self._rows, self._columns = 0, {}


class _Texts:
    """The texts of a column; of rows that are not there it is missing."""

    def __init__(self) -> None:
        self._rows: list[int] = []
        self._codes: list[int] = []
        self._texts: dict[str, int] = {}

    def add(self, row: int, value: object, name: str) -> None:
        if value is not None and value != "":
            self._rows.append(row)
            self._codes.append(self._texts.setdefault(category(value, f"{MEMBER}.{name}"), len(self._texts)))

    def column(self, rows: int) -> TypedColumn:
        codes = np.full(rows, -1, dtype=np.int32)
        codes[self._rows] = self._codes
        texts = [text.encode(errors="surrogatepass") for text in self._texts]
        offsets = np.zeros(len(texts) + 1, dtype=np.int64)
        np.cumsum([len(text) for text in texts], out=offsets[1:])
        return Categories(codes, offsets, np.frombuffer(b"".join(texts), dtype=np.uint8))


class _Numbers:
    """The numbers of a column; of rows that are not there it is missing."""

    def __init__(self) -> None:
        self._rows: list[int] = []
        self._numbers: list[float] = []

    def add(self, row: int, value: object, name: str) -> None:
        if value is None:
            return
        if not isinstance(value, int | float):
            raise RequestError(f"{MEMBER}.{name} must be a number, but is {_shown(value)}")
        if not math.isfinite(value):
            raise RequestError(f"{MEMBER}.{name} is not a finite number")
        self._rows.append(row)
        self._numbers.append(float(value))

    def column(self, rows: int) -> TypedColumn:
        numbers = np.full(rows, np.nan)
        numbers[self._rows] = self._numbers
        return numbers


def _shown(value: Any) -> str:
    """The value for a sentence: short, whatever was sent."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:36]}..."
