"""Where a score comes from: the exact contributions of the bias, of each feature and of each pair of features.

    s(x) = w0 + sum_i w_i x_i + sum_{i<j} <v_i, v_j> x_i x_j

Each of the summands is a contribution. They are computed in float64 from the float32 parameters, so that they add up
to the score before the sigmoid far more closely than the served float32 score itself is computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from openfm.fm.model import FactorizationMachine
from openfm.fm.pairs import RankedPairs, strongest_pairs
from openfm.fm.rows import SparseRows

__all__ = ["MOST_FEATURES_OF_ALL_PAIRS", "Explanation", "explain_rows"]

MOST_FEATURES_OF_ALL_PAIRS = 4096
"""Rows with more non-zeros than this are explained by their strongest pairs only: all would take hundreds of MiB."""


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """The contributions to one row's score.

    ``bias``, the sum of ``linear``, the sum of ``pair_contributions`` and ``other_pairs`` add up to ``score``.

    Attributes:
        score: s(x), before the sigmoid of a binary classifier.
        bias: w0.
        features: int64, shape (m,): the row's non-zero features, ascending.
        values: float64, shape (m,): their values x_i.
        linear: float64, shape (m,): w_i x_i of each.
        interactions: float64, shape (m,): half of what the pairs with this feature contribute, so that together
            they are what all pairs contribute.
        pairs: int64, shape (p, 2): features i < j, the pair with the largest absolute contribution first.
        pair_contributions: float64, shape (p,): <v_i, v_j> x_i x_j of each.
        other_pairs: what the pairs that are not listed contribute together; 0 where all are.
    """

    score: float
    bias: float
    features: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    linear: npt.NDArray[np.float64]
    interactions: npt.NDArray[np.float64]
    pairs: npt.NDArray[np.int64]
    pair_contributions: npt.NDArray[np.float64]
    other_pairs: float


def explain_rows(machine: FactorizationMachine, rows: SparseRows, *, pairs: int | None = None) -> list[Explanation]:
    """Explain the score of each row.

    Args:
        machine: what scores.
        rows: as for :meth:`~openfm.fm.model.FactorizationMachine.score`.
        pairs: list only so many pairs of each row, the strongest, without computing all at once; None: all.

    Raises:
        ValueError: the rows are of another width, ``pairs`` is negative, or it is None and a row has more than 4096
            features.
    """
    if rows.feature_dim != machine.feature_dim:
        raise ValueError(f"rows are {rows.feature_dim} wide, but the model has feature_dim {machine.feature_dim}")
    if pairs is not None and pairs < 0:
        raise ValueError(f"pairs is {pairs}, but must be at least 0")
    widths = np.diff(rows.indptr)
    if pairs is None and len(rows) and widths.max() > MOST_FEATURES_OF_ALL_PAIRS:
        row = int(np.argmax(widths))
        raise ValueError(
            f"row {row} has {widths[row]} non-zero features, too many to list all of their pairs (the limit is "
            f"{MOST_FEATURES_OF_ALL_PAIRS} features); ask for the strongest, such as pairs=100"
        )
    ends = zip(rows.indptr[:-1].tolist(), rows.indptr[1:].tolist(), strict=True)
    return [_explain(machine, rows.indices[begin:end], rows.values[begin:end], pairs) for begin, end in ends]


def _explain(
    machine: FactorizationMachine,
    indices: npt.NDArray[np.int32],
    values: npt.NDArray[np.float32],
    pairs: int | None,
) -> Explanation:
    features, x = indices.astype(np.int64), values.astype(np.float64)
    linear = machine.linear[indices] * x
    vectors = machine.factors[indices] * x[:, None]  # <v_i, v_j> x_i x_j is the product of two of them
    sums = vectors.sum(axis=0)
    interactions = 0.5 * (vectors @ sums - np.square(vectors).sum(axis=1))
    listed = _all_pairs(vectors) if pairs is None else _strongest(vectors, pairs)
    complete = pairs is None or len(listed) < pairs or len(listed) == len(x) * (len(x) - 1) // 2
    all_pairs = float(listed.products.sum()) if complete else float(interactions.sum())
    return Explanation(
        score=machine.bias + float(linear.sum()) + all_pairs,
        bias=machine.bias,
        features=features,
        values=x,
        linear=linear,
        interactions=interactions,
        pairs=features[listed.pairs],
        pair_contributions=listed.products,
        other_pairs=0.0 if complete else all_pairs - float(listed.products.sum()),
    )


def _all_pairs(vectors: npt.NDArray[np.float64]) -> RankedPairs:
    i, j = np.triu_indices(len(vectors), k=1)
    products = (vectors @ vectors.T)[i, j]
    order = np.lexsort((j, i, -np.abs(products)))
    return RankedPairs(np.column_stack([i, j])[order], products[order])


def _strongest(vectors: npt.NDArray[np.float64], pairs: int) -> RankedPairs:
    if pairs:
        return strongest_pairs(vectors, pairs)
    return RankedPairs(np.empty((0, 2), dtype=np.int64), np.empty(0))
