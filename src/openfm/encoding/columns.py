"""What becomes of one column: features of their own, next to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from openfm.data.formats.typed import Categories, TypedColumn, readable
from openfm.errors import DataError
from openfm.native import _core

__all__ = ["Cells", "ColumnSpec", "ColumnValueError", "HashedColumn", "NumberColumn", "OneHotColumn", "single_text"]

_LONGEST_SHOWN = 40


class ColumnValueError(DataError):
    """A value of a column cannot be encoded.

    Args:
        row: its row, from 0.
        complaint: the rest of the sentence, such as ``holds 1e300 in column 'price', ...``.
    """

    def __init__(self, row: int, complaint: str) -> None:
        super().__init__(f"Row {row} {complaint}")
        self.row = row
        self.complaint = complaint


class Cells(NamedTuple):
    """What a column contributes to each row.

    Attributes:
        features: int32, shape (rows,): which feature is there; -1 where none is.
        values: float32, shape (rows,): its value; None where all are 1.
        unseen: how many rows have a value that no feature stands for.
    """

    features: npt.NDArray[np.int32]
    values: npt.NDArray[np.float32] | None
    unseen: int


@dataclass(frozen=True, slots=True, eq=False)
class OneHotColumn:
    """Categories: each text that occurred when the encoder was fitted is a feature of value 1.

    Attributes:
        name: of the column.
        first: the feature of the text that occurred first; the others follow in the order in which they did.
        vocabulary: the texts.
    """

    name: str
    first: int
    vocabulary: _core.Vocabulary

    @property
    def features(self) -> int:
        """How many features the column has."""
        return len(self.vocabulary)

    def cells(self, column: TypedColumn, first_row: int = 0) -> Cells:
        """The features of a block's rows; a missing text and an unseen one have none.

        Raises:
            DataError: the column holds numbers.
        """
        categories = _as_categories(column, self.name)
        found = self.vocabulary.find(categories.offsets, categories.utf8)
        unknown = found < 0
        unseen = 0
        if unknown.any():
            there = categories.codes[categories.codes >= 0]
            unseen = int(np.bincount(there, minlength=len(found))[unknown].sum())
        features = np.full(len(found) + 1, -1, dtype=np.int32)  # a missing text's code -1 takes the last
        features[:-1][~unknown] = found[~unknown] + np.int32(self.first)
        return Cells(features[categories.codes], None, unseen)

    def feature(self, value: object) -> int | None:
        """The feature of a text; None if it did not occur."""
        code = int(self.vocabulary.find(*single_text(str(value)))[0])
        return None if code < 0 else self.first + code

    def value(self, feature: int) -> str:
        """The text that a feature stands for."""
        return self.vocabulary.text(feature - self.first).decode()

    def feature_name(self, feature: int) -> str:
        """Such as ``user=u42``."""
        return f"{self.name}={self.value(feature)}"


@dataclass(frozen=True, slots=True)
class NumberColumn:
    """A number: one feature of the value (number - shift) / scale; a missing number contributes nothing.

    Attributes:
        name: of the column.
        first: the feature.
        shift: what is subtracted, the column's mean; 0 where at least half of the numbers were 0.
        scale: what it is divided by, the root of the mean square of number - shift; 1 of a constant column.
    """

    name: str
    first: int
    shift: float
    scale: float

    @property
    def features(self) -> int:
        """Always 1."""
        return 1

    def cells(self, column: TypedColumn, first_row: int = 0) -> Cells:
        """The feature and its value in a block's rows.

        Raises:
            ColumnValueError: a number is infinite, or is scaled to more than a float32 holds.
            DataError: the column holds texts.
        """
        column = readable(column, self.name)
        if isinstance(column, Categories):
            shown = (
                column.texts()[0].decode(errors="backslashreplace")[:_LONGEST_SHOWN] if len(column.offsets) > 1 else ""
            )
            raise DataError(
                f"Column '{self.name}' holds texts such as '{shown}', but numbers when the encoder was fitted. Correct "
                "the column."
            )
        with np.errstate(over="ignore", invalid="ignore"):
            values = ((column - self.shift) / self.scale).astype(np.float32)
        missing = np.isnan(column)
        faulty = ~(np.isfinite(values) | missing)
        if faulty.any():
            row = int(np.argmax(faulty))
            raise ColumnValueError(
                first_row + row,
                f"holds {column[row]:g} in column '{self.name}', far beyond what the encoder was fitted on. Correct "
                "the value.",
            )
        there = ~missing & (values != 0)
        return Cells(np.where(there, np.int32(self.first), np.int32(-1)), values, 0)

    def feature(self, value: object) -> int | None:
        """The column's feature, whatever the value is."""
        return self.first

    def feature_name(self, feature: int) -> str:
        """Such as ``price``."""
        return self.name


@dataclass(frozen=True, slots=True)
class HashedColumn:
    """Categories of an open vocabulary: each text is hashed to one of so many features, of value 1.

    Attributes:
        name: of the column.
        first: the first bucket's feature.
        buckets: how many there are.
    """

    name: str
    first: int
    buckets: int

    @property
    def features(self) -> int:
        """How many features the column has."""
        return self.buckets

    def cells(self, column: TypedColumn, first_row: int = 0) -> Cells:
        """The features of a block's rows; a missing text has none, and no text is unseen.

        Raises:
            DataError: the column holds numbers.
        """
        categories = _as_categories(column, self.name)
        features = np.full(len(categories.offsets), -1, dtype=np.int32)  # a missing text's code -1 takes the last
        features[:-1] = _core.hash_buckets(categories.offsets, categories.utf8, self.buckets) + np.int32(self.first)
        return Cells(features[categories.codes], None, 0)

    def feature(self, value: object) -> int | None:
        """The bucket of a text."""
        return self.first + int(_core.hash_buckets(*single_text(str(value)), self.buckets)[0])

    def feature_name(self, feature: int) -> str:
        """Such as ``agent#17``, for bucket 17."""
        return f"{self.name}#{feature - self.first}"


ColumnSpec = OneHotColumn | NumberColumn | HashedColumn
"""What becomes of a column."""


def single_text(text: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Offsets and bytes of one text. What UTF-8 cannot hold, a lone surrogate, is as unseen as any text can be."""
    data = np.frombuffer(text.encode(errors="surrogatepass"), dtype=np.uint8)
    return np.array([0, len(data)], dtype=np.int64), data


def _as_categories(column: TypedColumn, name: str) -> Categories:
    column = readable(column, name)
    if isinstance(column, Categories):
        return column
    raise DataError(
        f"Column '{name}' was read as numbers, but holds categories for the encoder. Read it with '{name}' among "
        "categories (the encoder's text_columns)."
    )
