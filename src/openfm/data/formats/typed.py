"""Columns of tables as they are: numbers, and categories such as ids and words, block by block.

Matrices have numbers only, so this is what an encoder makes features from, and what people look at first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Categories", "ColumnBlock", "TypedColumn"]


@dataclass(frozen=True, slots=True, eq=False)
class Categories:
    """A column of texts, each different one of which is kept once.

    Attributes:
        codes: int32, shape (rows,): which text it is in each row; -1 where it is missing.
        offsets: int64, shape (texts + 1,): where each text begins in ``utf8``, and the end.
        utf8: uint8, shape (offsets[-1],): the texts, one after the other.
    """

    codes: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    utf8: npt.NDArray[np.uint8]

    def texts(self) -> list[bytes]:
        """The different texts in UTF-8; codes count them from 0."""
        data = self.utf8.tobytes()
        return [data[begin:end] for begin, end in zip(self.offsets[:-1], self.offsets[1:], strict=True)]


TypedColumn = npt.NDArray[np.float64] | Categories
"""Numbers, float64 of shape (rows,) with NaN where one is missing; or categories."""


@dataclass(frozen=True, slots=True, eq=False)
class ColumnBlock:
    """Consecutive rows of a table.

    Attributes:
        columns: by name, in the table's order.
        rows: how many rows there are.
    """

    columns: dict[str, TypedColumn]
    rows: int
