"""Records of any number to whole mini-batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from openfm.fm.rows import SparseRows

__all__ = ["LabelledRows", "whole_batches"]

LabelledRows = tuple[SparseRows, npt.NDArray[np.float32]]
"""Rows and their labels: float32, shape (rows,)."""


def whole_batches(parts: Iterable[LabelledRows], batch_size: int) -> Iterator[LabelledRows]:
    """Cut a stream of rows anew, so that each piece holds whole mini-batches.

    Args:
        parts: rows in file order, in pieces of any length.
        batch_size: rows of a mini-batch.

    Yields:
        The same rows in the same order, in pieces of a multiple of ``batch_size`` rows; only the
        last piece may end with a short batch.
    """
    held: list[LabelledRows] = []
    rows_held = 0
    for part in parts:
        held.append(part)
        rows_held += len(part[1])
        whole = rows_held // batch_size * batch_size
        if not whole:
            continue
        rows, labels = _joined(held)
        yield rows.slice(0, whole), labels[:whole]
        held = [(rows.slice(whole, rows_held), labels[whole:])]
        rows_held -= whole
    if rows_held:
        yield _joined(held)


def _joined(parts: list[LabelledRows]) -> LabelledRows:
    filled = [part for part in parts if len(part[1])] or parts[:1]
    rows = SparseRows.concatenate([rows for rows, _ in filled])
    return rows, np.concatenate([labels for _, labels in filled])
