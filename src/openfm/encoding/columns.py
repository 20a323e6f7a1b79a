"""What becomes of one column: features of their own, next to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from openfm.data.formats.typed import Categories, Coded, TypedColumn, readable
from openfm.errors import DataError
from openfm.native import _core

__all__ = ["Cells", "ColumnSpec", "ColumnValueError", "HashedColumn", "NumberColumn", "OneHotColumn", "single_text"]

_LONGEST_SHOWN = 40

_UNKNOWN = -2
"""The code of a text that is not in the vocabulary."""


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
        codes: int32, shape (rows,): which of the column's features is there, from 0; less than 0 where none is.
        first: the column's first feature.
        values: float32, shape (rows,): the feature's value; None where all are 1.
        unseen: how many rows have a value that no feature stands for.
    """

    codes: npt.NDArray[np.int32]
    first: int
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
        texts = _as_texts(column, self.name)
        if isinstance(texts, Categories):
            found = self.vocabulary.find(texts.offsets, texts.utf8)
            found[found < 0] = _UNKNOWN
            codes = _of_rows(found, texts)
        else:
            assert texts.coder.vocabulary is self.vocabulary
            codes = texts.codes
        return Cells(codes, self.first, None, int(np.count_nonzero(codes == _UNKNOWN)))

    def coder(self) -> _core.TextCoder:
        """What gives texts the codes of :meth:`cells` while they are read."""
        return _core.TextCoder.finding(self.vocabulary)

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
        if not isinstance(column, np.ndarray):
            shown = (
                column.texts()[0].decode(errors="backslashreplace")[:_LONGEST_SHOWN]
                if isinstance(column, Categories) and len(column.offsets) > 1
                else ""
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
        return Cells(np.where(there, np.int32(0), np.int32(-1)), self.first, values, 0)

    def coder(self) -> None:
        """None: the column has no texts."""

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
        texts = _as_texts(column, self.name)
        if isinstance(texts, Categories):
            codes = _of_rows(_core.hash_buckets(texts.offsets, texts.utf8, self.buckets), texts)
        else:
            codes = texts.codes
        return Cells(codes, self.first, None, 0)

    def coder(self) -> _core.TextCoder:
        """What gives texts the codes of :meth:`cells` while they are read."""
        return _core.TextCoder.hashing(self.buckets)

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


def _as_texts(column: TypedColumn, name: str) -> Categories | Coded:
    column = readable(column, name)
    if isinstance(column, Categories | Coded):
        return column
    raise DataError(
        f"Column '{name}' was read as numbers, but holds categories for the encoder. Read it with '{name}' among "
        "categories (the encoder's text_columns)."
    )


def _of_rows(codes: npt.NDArray[np.int32], texts: Categories) -> npt.NDArray[np.int32]:
    """The code of each row's text, where ``codes`` has those of the different texts."""
    return np.append(codes, np.int32(-1))[texts.codes]  # a missing text's code -1 takes the last
