"""Columns of tables as they are: numbers, and categories such as ids and words, block by block.

Matrices have numbers only, so this is what an encoder makes features from, and what people look at first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from openfm.errors import DataError
from openfm.native import _core

__all__ = ["Categories", "Coded", "CoderOf", "ColumnBlock", "IsUnused", "TypedColumn", "Unreadable", "readable"]

CoderOf = Callable[[str], _core.TextCoder | None]
"""What gives the texts of a column of this name their codes; None: they are to be had as :class:`Categories`."""

IsUnused = Callable[[str], bool]
"""Whether nobody looks at a column of this name."""


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


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """A column of texts, of which whoever reads it wanted the codes only.

    Attributes:
        codes: int32, shape (rows,): as the coder gives them; -1 where a text is missing, -2 where it is unknown.
        coder: that gave them.
    """

    codes: npt.NDArray[np.int32]
    coder: _core.TextCoder


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A column of neither numbers nor texts, which is an error only where it is used.

    Attributes:
        type: what it holds, such as ``list<item: int64>``.
    """

    type: str


TypedColumn = npt.NDArray[np.float64] | Categories | Coded | Unreadable
"""Numbers, float64 of shape (rows,) with NaN where one is missing; or texts; or what can be taken for neither."""


def readable(column: TypedColumn, name: str) -> npt.NDArray[np.float64] | Categories | Coded:
    """The column, which is to be used.

    Args:
        column: the column.
        name: its name, for the error.

    Raises:
        DataError: it holds neither numbers nor texts.
    """
    if isinstance(column, Unreadable):
        raise DataError(
            f"Column '{name}' holds {column.type}, neither numbers nor texts. Turn it into one of them, or "
            "leave it out with --ignore (ignored in Python)."
        )
    return column


@dataclass(frozen=True, slots=True, eq=False)
class ColumnBlock:
    """Consecutive rows of a table.

    Attributes:
        columns: by name, in the table's order.
        rows: how many rows there are.
    """

    columns: dict[str, TypedColumn]
    rows: int
