"""Records of any number to whole mini-batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from openfm.fm.rows import SparseRows

__all__ = ["BatchCutter", "LabelledRows", "joined"]

LabelledRows = tuple[SparseRows, npt.NDArray[np.float32]]
"""Rows and their labels: float32, shape (rows,)."""


class BatchCutter:
    """Cuts a stream of rows anew, so that each piece holds whole mini-batches.

    Args:
        batch_size: rows of a mini-batch.
        held: rows to begin with, such as :attr:`held` of a cutter that came so far.
    """

    def __init__(self, batch_size: int, held: Iterable[LabelledRows] = ()) -> None:
        self._batch_size = batch_size
        self._held = list(held)
        self._rows_held = sum(len(labels) for _, labels in self._held)

    @property
    def held(self) -> tuple[LabelledRows, ...]:
        """The rows that wait for more to make a batch with; they share memory with what was added."""
        return tuple(self._held)

    def add(self, rows: SparseRows, labels: npt.NDArray[np.float32]) -> LabelledRows | None:
        """Add the next rows.

        Returns:
            The whole mini-batches that there are now, in memory that nothing else keeps; None if there is none yet.
        """
        whole = (self._rows_held + len(labels)) // self._batch_size * self._batch_size
        if not whole:
            self._held.append((rows, labels))
            self._rows_held += len(labels)
            return None
        taken = whole - self._rows_held
        cut = joined([*self._held, (rows.slice(0, taken), labels[:taken])])
        self._rows_held = len(labels) - taken
        self._held = [(rows.slice(taken, len(labels)), labels[taken:])] if self._rows_held else []
        return cut

    def last(self) -> LabelledRows | None:
        """The rows that are left at the stream's end, which make a short mini-batch; None if there are none."""
        return joined(self._held) if self._rows_held else None


def joined(parts: Sequence[LabelledRows]) -> LabelledRows:
    """All rows of ``parts`` (at least one), one after the other, in memory of their own."""
    rows = SparseRows.concatenate([rows for rows, _ in parts])
    return rows, np.concatenate([labels for _, labels in parts])
