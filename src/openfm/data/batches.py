"""Records of any number to whole mini-batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from openfm.data.weights import joined_weights
from openfm.fm.rows import SparseRows

__all__ = ["BatchCutter", "LabelledRows", "joined"]


class LabelledRows(NamedTuple):
    """Rows with what belongs to each.

    Attributes:
        rows: the features.
        labels: float32, shape (rows,).
        weights: float32, shape (rows,); None: 1 for each.
    """

    rows: SparseRows
    labels: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32] | None = None

    def slice(self, begin: int, end: int) -> LabelledRows:
        """Rows ``begin`` to ``end`` (exclusive), sharing memory."""
        weights = None if self.weights is None else self.weights[begin:end]
        return LabelledRows(self.rows.slice(begin, end), self.labels[begin:end], weights)

    def take(self, numbers: npt.NDArray[np.int64]) -> LabelledRows:
        """The rows of these numbers, in this order (a copy)."""
        weights = None if self.weights is None else self.weights[numbers]
        return LabelledRows(self.rows.take(numbers), self.labels[numbers], weights)


class BatchCutter:
    """Cuts a stream of rows anew, so that each piece holds whole mini-batches.

    Args:
        batch_size: rows of a mini-batch.
        held: rows to begin with, such as :attr:`held` of a cutter that came so far.
    """

    def __init__(self, batch_size: int, held: Iterable[LabelledRows] = ()) -> None:
        self._batch_size = batch_size
        self._held = list(held)
        self._rows_held = sum(len(part.labels) for part in self._held)

    @property
    def held(self) -> tuple[LabelledRows, ...]:
        """The rows that wait for more to make a batch with; they share memory with what was added."""
        return tuple(self._held)

    def add(
        self, rows: SparseRows, labels: npt.NDArray[np.float32], weights: npt.NDArray[np.float32] | None = None
    ) -> LabelledRows | None:
        """Add the next rows, as :class:`LabelledRows` has them.

        Returns:
            The whole mini-batches that there are now, in memory that nothing else keeps; None if there is none yet.
        """
        added = LabelledRows(rows, labels, weights)
        whole = (self._rows_held + len(labels)) // self._batch_size * self._batch_size
        if not whole:
            self._held.append(added)
            self._rows_held += len(labels)
            return None
        taken = whole - self._rows_held
        cut = joined([*self._held, added.slice(0, taken)])
        self._rows_held = len(labels) - taken
        self._held = [added.slice(taken, len(labels))] if self._rows_held else []
        return cut

    def last(self) -> LabelledRows | None:
        """The rows that are left at the stream's end, which make a short mini-batch; None if there are none."""
        return joined(self._held) if self._rows_held else None


def joined(parts: Sequence[LabelledRows]) -> LabelledRows:
    """All rows of ``parts`` (at least one), one after the other, in memory of their own."""
    return LabelledRows(
        SparseRows.concatenate([part.rows for part in parts]),
        np.concatenate([part.labels for part in parts]),
        joined_weights([(part.weights, len(part.labels)) for part in parts]),
    )
