"""Labelled rows in memory, with a weight each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from openfm.errors import DataError
from openfm.fm.model import PredictorType
from openfm.fm.rows import SparseRows

__all__ = ["Examples", "permutation"]


@dataclass(frozen=True, slots=True)
class Examples:
    """Rows with labels and, where they differ, weights.

    Attributes:
        rows: n of them.
        labels: float32, shape (n,); 0 or 1 for a binary classifier.
        weights: float32, shape (n,), >= 0: how much each row counts. None: all alike.
    """

    rows: SparseRows
    labels: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, order: npt.NDArray[np.int64]) -> Examples:
        """The examples of these numbers, in this order (a copy)."""
        weights = None if self.weights is None else self.weights[order]
        return Examples(self.rows.take(order), self.labels[order], weights)

    def slice(self, begin: int, end: int) -> Examples:
        """Examples ``begin`` to ``end`` (exclusive), which share memory with these."""
        weights = None if self.weights is None else self.weights[begin:end]
        return Examples(self.rows.slice(begin, end), self.labels[begin:end], weights)

    def checked(self, predictor_type: PredictorType, what: str) -> Examples:
        """The examples without those of weight 0.

        Args:
            predictor_type: of the machine that is to learn them.
            what: what the examples are, for the error's sentence.

        Raises:
            DataError: there are none, their arrays differ in length, or a label or weight is not what it must be.
        """
        n = len(self.rows)
        for name, values in (("labels", self.labels), ("weights", self.weights)):
            if values is not None and values.shape != (n,):
                raise DataError(f"The {what} have {n} rows and {name} of shape {values.shape}; give one for each row.")
        examples = self if self.weights is None else self._of_some_weight(what)
        if not len(examples):
            raise DataError(f"The {what} hold no row (of a weight above 0). Give at least one.")
        if not np.isfinite(examples.labels).all():
            raise DataError(f"A label of the {what} is NaN, infinite or too large for float32. Remove or replace it.")
        if predictor_type is PredictorType.BINARY_CLASSIFIER and not np.isin(examples.labels, (0.0, 1.0)).all():
            wrong = examples.labels[~np.isin(examples.labels, (0.0, 1.0))][0]
            raise DataError(f"A label of the {what} is {wrong:g}; those of a binary_classifier are 0 and 1.")
        return examples

    def split(self, fraction: float, seed: int, *, by_label: bool = False) -> tuple[Examples, Examples]:
        """Two parts of the examples at random, in their order.

        Args:
            fraction: that the second part has of them; each part has at least one.
            seed: decides which.
            by_label: whether it has this fraction of those of label 0 and of label 1 each.

        Raises:
            DataError: there are fewer than two.
        """
        n = len(self)
        if n < 2:
            raise DataError(f"A part of {n} example cannot be held out. Give more, or turn early_stopping off.")
        order = permutation([seed, n], n)
        groups = [order[self.labels[order] == label] for label in (0, 1)] if by_label else [order]
        held = np.concatenate([group[: round(fraction * len(group))] for group in groups])
        held = held[: n - 1] if len(held) else order[:1]
        is_held = np.zeros(n, dtype=bool)
        is_held[held] = True
        return self.take(np.flatnonzero(~is_held)), self.take(np.flatnonzero(is_held))

    def merged(self) -> Examples:
        """Equal rows of equal label as one with the sum of their weights, in an order that only the rows decide.

        So a row that stands there twice is, to the last bit, a row of weight 2.
        """
        rows, weights = self.rows, self._all_weights()
        labels = np.ascontiguousarray(self.labels)
        keys = [
            (labels[i : i + 1].tobytes(), rows.indices[a:b].tobytes(), rows.values[a:b].tobytes())
            for i, (a, b) in enumerate(zip(rows.indptr[:-1], rows.indptr[1:], strict=True))
        ]
        order = np.array(sorted(range(len(self)), key=keys.__getitem__), dtype=np.int64)
        is_first = np.array([i == 0 or keys[order[i]] != keys[order[i - 1]] for i in range(len(order))])
        sums = np.add.reduceat(weights[order].astype(np.float64), np.flatnonzero(is_first))
        first = order[is_first]
        return Examples(rows.take(first), labels[first], sums.astype(np.float32))

    def normalized(self) -> Examples:
        """The same with weights whose mean is 1."""
        if self.weights is None:
            return self
        mean = np.mean(self.weights, dtype=np.float64)
        return Examples(self.rows, self.labels, (self.weights / mean).astype(np.float32))

    def padded(self, count: int) -> Examples:
        """With so many empty rows more, of label 0 and weight 0."""
        rows = self.rows
        indptr = np.concatenate([rows.indptr, np.full(count, rows.indptr[-1])])
        nothing = np.zeros(count, dtype=np.float32)
        return Examples(
            SparseRows(indptr, rows.indices, rows.values, rows.feature_dim),
            np.concatenate([self.labels, nothing]),
            np.concatenate([self._all_weights(), nothing]),
        )

    def _all_weights(self) -> npt.NDArray[np.float32]:
        return np.ones(len(self), dtype=np.float32) if self.weights is None else self.weights

    def _of_some_weight(self, what: str) -> Examples:
        weights = self._all_weights()
        if not np.isfinite(weights).all() or (weights < 0).any():
            wrong = weights[~np.isfinite(weights) | (weights < 0)][0]
            raise DataError(f"A weight of the {what} is {wrong:g}; a weight must be a finite number of at least 0.")
        if weights.all():
            return self
        return self.take(np.flatnonzero(weights))


def permutation(seeds: list[int], count: int) -> npt.NDArray[np.int64]:
    """An order at random: 0 to ``count`` - 1, by RandomState, whose streams are the same in every version of NumPy."""
    generator = np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seeds)))
    return generator.permutation(count).astype(np.int64, copy=False)
