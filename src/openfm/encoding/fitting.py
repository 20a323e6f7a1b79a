"""What an encoder learns of each column, block by block."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from openfm.data.formats.typed import Categories, Coded, TypedColumn, readable
from openfm.encoding.columns import ColumnSpec, HashedColumn, NumberColumn, OneHotColumn
from openfm.errors import DataError
from openfm.native import _core

__all__ = ["ColumnFit", "HashedFit", "NumberFit", "OneHotFit", "check_utf8"]

_PIECE = 2**20

Codes = npt.NDArray[np.int32]
"""Of each row the number of its text among the column's, or its bucket; -1 where it is missing."""


class NumberFit:
    """Mean and mean square of a column of numbers."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = self._zeros = 0
        self._mean = self._squares = 0.0  # of what is not missing; the squares of the distances from the mean, summed
        self._smallest, self._largest = math.inf, -math.inf

    def add(self, column: TypedColumn, *, kept: bool = False) -> npt.NDArray[np.float64] | None:
        """Takes the next block's column; returns what to keep of each row, if that is wanted.

        Raises:
            DataError: it holds texts, or an infinite number.
        """
        column = readable(column, self._name)
        if not isinstance(column, np.ndarray):
            raise DataError(
                f"Column '{self._name}' holds numbers at first and texts further on. Name it as categorical, or "
                "correct it."
            )
        there: npt.NDArray[np.float64] = column[~np.isnan(column)]
        if not len(there):
            return column if kept else None
        self._smallest = min(self._smallest, float(there.min()))
        self._largest = max(self._largest, float(there.max()))
        if math.isinf(self._smallest) or math.isinf(self._largest):
            raise DataError(f"Column '{self._name}' holds an infinite number. Correct the value, or remove the row.")
        self._zeros += len(there) - int(np.count_nonzero(there))
        with np.errstate(over="ignore", invalid="ignore"):  # what is too large for squares is scaled by its size
            mean = float(there.mean())
            squares = float(np.square(there - mean).sum())
            # T. Chan, G. Golub and R. LeVeque, Updating formulae and a pairwise algorithm for sample variances, 1979.
            total = self._count + len(there)
            distance = mean - self._mean
            self._squares += squares + distance * distance * (self._count / total * len(there))
            self._mean += distance * (len(there) / total)
        self._count = total
        return column if kept else None

    def spec(self, first: int) -> ColumnSpec:
        """What becomes of the column, from this feature on."""
        if self._smallest >= self._largest:  # constant, or without any number
            return NumberColumn(self._name, first, float(self._smallest) if self._count else 0.0, 1.0)
        variance = self._squares / self._count
        shift = self._mean
        if 2 * self._zeros >= self._count:  # mostly absent: what is 0 stays out of the rows
            variance, shift = variance + shift * shift, 0.0
        scale = math.sqrt(variance) if math.isfinite(variance) and variance > 0 else 0.0
        if not scale or not math.isfinite(shift):
            shift, scale = 0.0, max(abs(self._smallest), abs(self._largest))
        return NumberColumn(self._name, first, shift, scale)


class OneHotFit:
    """The different texts of a column of categories."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._vocabulary = _core.Vocabulary()

    def add(self, column: TypedColumn, *, kept: bool = False) -> Codes | None:
        """Takes the next block's column; returns what to keep of each row, if that is wanted.

        Raises:
            DataError: it holds numbers.
        """
        column = readable(column, self._name)
        if isinstance(column, Coded):
            assert column.coder.vocabulary is not None
            self._vocabulary = column.coder.vocabulary
            return column.codes if kept else None
        if not isinstance(column, Categories):
            raise DataError(
                f"Column '{self._name}' was read as numbers, where categories are needed. Read it with '{self._name}' "
                "among categories."
            )
        added = self._vocabulary.add(column.offsets, column.utf8)
        return np.append(added, np.int32(-1))[column.codes] if kept else None  # a missing text's code -1 takes the last

    def spec(self, first: int) -> ColumnSpec:
        """What becomes of the column, from this feature on.

        Raises:
            DataError: a text is not UTF-8.
        """
        try:
            check_utf8(self._vocabulary.offsets, self._vocabulary.utf8)
        except UnicodeError as error:
            raise DataError(f"Column '{self._name}' holds a text that is not UTF-8. Correct its encoding.") from error
        return OneHotColumn(self._name, first, self._vocabulary)


class HashedFit:
    """Nothing is learned: texts are hashed."""

    def __init__(self, name: str, buckets: int) -> None:
        self._spec = HashedColumn(name, 0, buckets)

    def add(self, column: TypedColumn, *, kept: bool = False) -> Codes | None:
        """Takes the next block's column; returns what to keep of each row, if that is wanted.

        Raises:
            DataError: it holds numbers.
        """
        if not kept and isinstance(column, Categories):
            return None  # nothing to hash them for
        codes = self._spec.cells(column).codes  # or says what is wrong
        return codes if kept else None

    def spec(self, first: int) -> ColumnSpec:
        """What becomes of the column, from this feature on."""
        return HashedColumn(self._spec.name, first, self._spec.buckets)


ColumnFit = NumberFit | OneHotFit | HashedFit


def check_utf8(offsets: npt.NDArray[np.int64], utf8: npt.NDArray[np.uint8]) -> None:
    """Checks texts that lie one after the other.

    Raises:
        UnicodeError: one of them is not UTF-8.
    """
    starts = offsets[:-1]
    starts = starts[starts < len(utf8)]  # an empty text at the end begins beyond
    if (utf8[starts] & 0xC0 == 0x80).any():
        raise UnicodeError("a text begins within a character")
    data = np.ascontiguousarray(utf8).data
    position = 0
    while position < len(data):  # in pieces that end between characters: a str of all would take four times the memory
        end = min(position + _PIECE, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80 and end > position:
            end -= 1
        if end == position:
            raise UnicodeError("there is no character where one should begin")
        str(data[position:end], "utf-8")
        position = end
