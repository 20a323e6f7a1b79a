"""The strongest pairs of many vectors: the largest |<a, b>|, found without looking at all pairs.

By the inequality of Cauchy and Schwarz no product is larger than the product of the two norms. So the vectors are
taken in the order of their norms, in blocks; once a block's largest possible product is below the n-th best that was
found, it and all that come after it are left out. The answer is exact. How much is left out depends on how unequal
the norms are: those of a trained machine are (most features are rare and small), those of random vectors are not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["RankedPairs", "strongest_pairs"]

_BLOCK = 1024  # a block of products is then 8 MiB
_ROUNDING = 1.0 + 1e-9  # more than norms and products in float64 may be off


@dataclass(frozen=True, slots=True, eq=False)
class RankedPairs:
    """Pairs of vectors, the strongest first.

    Attributes:
        pairs: int64, shape (n, 2): the numbers of the two vectors, the smaller first.
        products: float64, shape (n,): their inner products; by absolute value they never increase, and equal ones are
            ordered by ``pairs``.
    """

    pairs: npt.NDArray[np.int64]
    products: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.products)


def strongest_pairs(
    vectors: npt.NDArray[np.floating],
    n: int,
    *,
    between: tuple[range, range] | None = None,
    block: int = _BLOCK,
) -> RankedPairs:
    """The ``n`` pairs i < j with the largest |<vectors[i], vectors[j]>|, computed in float64.

    Args:
        vectors: shape (D, k), finite.
        n: how many, at least 1; fewer are found where fewer have a product other than 0.
        between: two ranges of numbers, such as those of users and of items, that have none in common: one of a pair is
            in each. Without, all pairs count.
        block: vectors that are multiplied at once.

    Raises:
        ValueError: ``n`` is less than 1, or the ranges overlap, have a step, or lie outside of the vectors.
    """
    if n < 1:
        raise ValueError(f"n is {n}, but at least one pair must be asked for")
    if between is None:
        every = _SortedBlocks(vectors, range(len(vectors)), block)
        return _search(every, every, n)
    for part in between:
        if part.step != 1 or part.start < 0 or part.stop > len(vectors):
            raise ValueError(f"{part} is no range of the {len(vectors)} vectors with a step of 1")
    left, right = between
    if max(left.start, right.start) < min(left.stop, right.stop):
        raise ValueError(f"{left} and {right} overlap; pairs are found within all vectors, or between two parts")
    return _search(_SortedBlocks(vectors, left, block), _SortedBlocks(vectors, right, block), n)


class _SortedBlocks:
    """The vectors of a range, the longest first, in blocks of float64."""

    def __init__(self, vectors: npt.NDArray[np.floating], numbers: range, size: int) -> None:
        self._vectors = vectors
        norms = np.empty(len(numbers))
        for start in range(0, len(numbers), size):
            rows = vectors[numbers[start : start + size].start : numbers[start : start + size].stop]
            norms[start : start + size] = np.sqrt(np.square(rows, dtype=np.float64).sum(axis=1))
        order = np.argsort(-norms, kind="stable")
        self._size = size
        self._numbers = order + numbers.start
        # Of each block, the norm of its longest vector.
        self.longest = norms[order][::size] * _ROUNDING

    def __len__(self) -> int:
        return len(self.longest)

    def numbers(self, block: int) -> npt.NDArray[np.int64]:
        """The numbers of a block's vectors."""
        return self._numbers[block * self._size : (block + 1) * self._size]

    def vectors(self, block: int) -> npt.NDArray[np.float64]:
        """A block's vectors: float64, shape (at most size, k)."""
        return self._vectors[self.numbers(block)].astype(np.float64)


def _search(left: _SortedBlocks, right: _SortedBlocks, n: int) -> RankedPairs:
    best = _Best(n)
    for i in range(len(left)):
        start = i if left is right else 0
        if start == len(right) or not best.may_hold(left.longest[i] * right.longest[start]):
            break  # nor can any later block
        vectors, numbers = left.vectors(i), left.numbers(i)
        for j in range(start, len(right)):
            if not best.may_hold(left.longest[i] * right.longest[j]):
                break
            products = vectors @ right.vectors(j).T
            if left is right and i == j:
                products[np.tril_indices(len(products))] = 0.0  # a pair has two members, and counts once
            best.add(products, numbers, right.numbers(j))
    return best.ranked()


class _Best:
    """The best pairs so far, and a few more."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._pairs = np.empty((0, 2), dtype=np.int64)
        self._products = np.empty(0)
        self._least = 0.0  # what a product must reach; 0 until there are n

    def may_hold(self, bound: float) -> bool:
        """Whether a product of this size would be among the best; those of size 0 never are."""
        return bound > 0.0 and bound >= self._least

    def add(
        self, products: npt.NDArray[np.float64], rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]
    ) -> None:
        """See the products of ``rows`` with ``columns``."""
        size = np.abs(products)
        found = np.nonzero((size >= self._least) & (size > 0.0))
        if len(found[0]) > 4 * self._n:  # most are not among the best, and need not be sorted
            sizes = size[found]
            enough = sizes >= np.partition(sizes, len(sizes) - self._n)[len(sizes) - self._n]
            found = (found[0][enough], found[1][enough])
        pairs = np.sort(np.column_stack([rows[found[0]], columns[found[1]]]), axis=1)
        self._pairs = np.concatenate([self._pairs, pairs])
        self._products = np.concatenate([self._products, products[found]])
        if len(self._products) >= (2 * self._n if self._least else self._n):
            self._keep_best()

    def ranked(self) -> RankedPairs:
        """The best pairs, sorted."""
        self._keep_best()
        return RankedPairs(self._pairs, self._products)

    def _keep_best(self) -> None:
        order = np.lexsort((self._pairs[:, 1], self._pairs[:, 0], -np.abs(self._products)))[: self._n]
        self._pairs, self._products = self._pairs[order], self._products[order]
        if len(order) == self._n:
            self._least = float(np.abs(self._products[-1]))
