"""What ``openfm inspect`` says of a table's columns."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from openfm.data.formats.typed import Categories, ColumnBlock, TypedColumn, Unreadable

__all__ = ["summary_of_columns"]

_MOST_TEXTS = 1_000_000
"""So many different texts of a column are counted; of more, that there are more."""

_MOST_SHOWN = 3
"""The most frequent texts of a column that are shown."""


def summary_of_columns(blocks: Iterable[ColumnBlock]) -> dict[str, object]:
    """Reads a table once; what was found, as what JSON can hold.

    Raises:
        DataError: the table cannot be read.
    """
    rows = 0
    found: dict[str, _Numbers | _Texts | _Others] = {}
    for block in blocks:
        rows += block.rows
        for name, column in block.columns.items():
            if isinstance(column, Unreadable):
                found[name] = _Others(column.type)
            elif name not in found:
                found[name] = _Texts() if isinstance(column, Categories) else _Numbers()
            found[name].add(column)
    columns = [{"column": name, **summary.result()} for name, summary in found.items()]
    return {"rows": rows, "columns": columns}


class _Others:
    """A column of neither numbers nor texts."""

    def __init__(self, type: str) -> None:
        self._type = type

    def add(self, column: TypedColumn) -> None:
        """Nothing is counted of it."""

    def result(self) -> dict[str, object]:
        return {"holds": f"{self._type}, which is neither numbers nor texts"}


class _Numbers:
    def __init__(self) -> None:
        self._missing = self._count = 0
        self._smallest, self._largest, self._sum = math.inf, -math.inf, 0.0

    def add(self, column: TypedColumn) -> None:
        assert isinstance(column, np.ndarray)
        there: npt.NDArray[np.float64] = column[~np.isnan(column)]
        self._missing += len(column) - len(there)
        self._count += len(there)
        if len(there):
            self._smallest = min(self._smallest, float(there.min()))
            self._largest = max(self._largest, float(there.max()))
            self._sum += float(there.sum())

    def result(self) -> dict[str, object]:
        result: dict[str, object] = {"holds": "numbers", "missing": self._missing}
        if self._count:
            result |= {"smallest": self._smallest, "largest": self._largest, "mean": self._sum / self._count}
        return result


class _Texts:
    def __init__(self) -> None:
        self._missing = 0
        self._counts: Counter[bytes] | None = Counter()

    def add(self, column: TypedColumn) -> None:
        assert isinstance(column, Categories)
        there = column.codes[column.codes >= 0]
        self._missing += len(column.codes) - len(there)
        if self._counts is None:
            return
        texts = column.texts()
        for text, count in zip(texts, np.bincount(there, minlength=len(texts)).tolist(), strict=True):
            self._counts[text] += count
        if len(self._counts) > _MOST_TEXTS:
            self._counts = None

    def result(self) -> dict[str, object]:
        result: dict[str, object] = {"holds": "texts", "missing": self._missing}
        if self._counts is None:
            return result | {"different": f"more than {_MOST_TEXTS}"}
        frequent = sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))[:_MOST_SHOWN]
        shown = ", ".join(f"{text.decode(errors='backslashreplace')} ({count})" for text, count in frequent)
        return result | {"different": len(self._counts), "most_frequent": shown}
