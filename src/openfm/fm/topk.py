"""The k best of many candidates, exactly: items for a user, ads for a context.

With some features fixed and a candidate that adds one feature c of value 1, all that depends on the candidate is

    s(fixed and c) - s(fixed) = w_c + <v_c, S>,    S = sum of v_i x_i over the fixed features

so that one product of a matrix and a vector scores all candidates. It is computed in float32; those whose rounding
errors leave them a chance are computed again in float64, and of these the best are taken. So the answer does not depend
on the order in which a product is summed. A candidate that is a row of several features adds its own score and the
product of V with S.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from openfm.fm.matrices import as_rows
from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.fm.rows import SparseRows

__all__ = ["FixedFeatures", "Ranking", "best_features", "best_rows", "joined_rows", "rank"]

_BLOCK_VALUES = 2**20  # of V at a time: 4 MiB, which stays in a processor's cache
_EPSILON = 2.0**-24
_LARGEST = float(np.finfo(np.float32).max)
_OVERFLOW = "a score overflows float32; scale the values of the fixed features and of the candidates down"


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The best candidates, the best first; of equal ones the one with the lowest number.

    Attributes:
        candidates: int64, shape (k,): features, or numbers of candidate rows.
        raw_scores: float64, shape (k,): s(x) of each, with the fixed features.
        scores: float32, shape (k,): what ``predict`` answers for each, to rounding: the probability of label 1, or a
            regressor's number.
    """

    candidates: npt.NDArray[np.int64]
    raw_scores: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.candidates)


def rank(
    machine: FactorizationMachine, k: int, *, fixed: Any, candidates: Any, exclude: npt.ArrayLike | None = None
) -> Ranking:
    """The ``k`` best candidates of any form: see :meth:`openfm.artifact.model.Model.top_k`."""
    known = FixedFeatures(machine, _as_row(fixed, machine.feature_dim))
    left_out = None if exclude is None else _as_numbers(exclude, "exclude")
    if isinstance(candidates, SparseRows) or hasattr(candidates, "tocsr"):
        return best_rows(known, as_rows(candidates, machine.feature_dim), k, exclude=left_out)
    if isinstance(candidates, range):
        return best_features(known, candidates, k, exclude=left_out)
    listed = np.asarray(candidates)
    if listed.dtype == np.bool_:
        if listed.shape != (machine.feature_dim,):
            raise ValueError(f"the boolean candidates have shape {listed.shape}, but must be ({machine.feature_dim},)")
        listed = np.flatnonzero(listed)
    return best_features(known, _as_numbers(listed, "candidates"), k, exclude=left_out)


class FixedFeatures:
    """What all candidates are joined with.

    Args:
        machine: what scores.
        row: the fixed features, one row.

    Raises:
        ValueError: ``row`` is not one row of the machine's width.
    """

    def __init__(self, machine: FactorizationMachine, row: SparseRows) -> None:
        if len(row) != 1 or row.feature_dim != machine.feature_dim:
            raise ValueError(
                f"the fixed features must be one row of {machine.feature_dim} columns, but are {len(row)} rows of "
                f"{row.feature_dim}"
            )
        self.machine = machine
        self.features = row.indices
        x = row.values.astype(np.float64)
        vectors = machine.factors[row.indices] * x[:, None]
        self.sums = vectors.sum(axis=0)  # S
        pairs = 0.5 * float(np.square(self.sums).sum() - np.square(vectors).sum())
        self.score = machine.bias + float(machine.linear[row.indices] @ x) + pairs


def best_features(
    fixed: FixedFeatures,
    candidates: range | npt.NDArray[np.int64],
    k: int,
    *,
    exclude: npt.NDArray[np.int64] | None = None,
) -> Ranking:
    """The ``k`` features that give the highest score when one of them is added with the value 1.

    Args:
        fixed: what they are added to.
        candidates: a range with a step of 1, or int64 features, of which one may occur several times and counts once.
        k: how many; fewer where there are fewer candidates.
        exclude: features to leave out, candidates or not.

    Raises:
        ValueError: ``k`` is less than 1, a candidate is out of range or one of the fixed features, or a score
            overflows float32.
    """
    machine = fixed.machine
    numbers = _checked(candidates, machine.feature_dim)
    _refuse_fixed(fixed, numbers)

    def exact(places: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        chosen = _numbers_at(numbers, places)
        # Summed row by row: the same for equal candidates, wherever they stand, which a BLAS does not promise.
        products = machine.factors[chosen] * fixed.sums
        scores: npt.NDArray[np.float64] = products.sum(axis=1) + machine.linear[chosen]
        return scores

    excluded = _places(numbers, exclude) if exclude is not None else np.empty(0, dtype=np.int64)
    approximate, error = _approximate(machine, numbers, fixed.sums)
    places, raw = _best(approximate, error, exact, k, excluded, rows_at_once=_BLOCK_VALUES // machine.num_factors + 1)
    return _ranking(machine, _numbers_at(numbers, places), raw + fixed.score)


def best_rows(
    fixed: FixedFeatures, candidates: SparseRows, k: int, *, exclude: npt.NDArray[np.int64] | None = None
) -> Ranking:
    """The ``k`` candidate rows that give the highest score when the fixed features are added to one of them.

    Args:
        fixed: what is added.
        candidates: rows without any of the fixed features.
        k: how many; fewer where there are fewer candidates.
        exclude: numbers of rows to leave out.

    Raises:
        ValueError: ``k`` is less than 1, the rows are of another width, a row has one of the fixed features, or a
            score overflows float32.
    """
    machine = fixed.machine
    if candidates.feature_dim != machine.feature_dim:
        raise ValueError(
            f"the candidates are {candidates.feature_dim} wide, but the model has feature_dim {machine.feature_dim}"
        )
    used, places = np.unique(candidates.indices, return_inverse=True)
    _refuse_fixed(fixed, used.astype(np.int64))
    values = candidates.values.astype(np.float64)
    owners = np.repeat(np.arange(len(candidates)), np.diff(candidates.indptr))

    def sums(of_values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.bincount(owners, weights=of_values, minlength=len(candidates)).astype(np.float64)

    vectors = machine.factors[used].astype(np.float64)
    own = machine.linear[used] + (vectors * fixed.sums).sum(axis=1)
    scores = sums(own[places] * values)
    for factor in vectors.T:  # the pairs within a row, one factor at a time
        of_values = factor[places] * values
        scores += 0.5 * (np.square(sums(of_values)) - sums(np.square(of_values)))
    excluded = _places(range(len(candidates)), exclude) if exclude is not None else np.empty(0, dtype=np.int64)
    chosen, raw = _best(scores, 0.0, lambda numbers: scores[numbers], k, excluded, rows_at_once=len(candidates) + 1)
    return _ranking(machine, chosen, raw + fixed.score)


def joined_rows(
    fixed: SparseRows, candidates: range | npt.NDArray[np.int64] | SparseRows, chosen: npt.NDArray[np.int64]
) -> SparseRows:
    """The rows whose scores a ranking tells: the fixed features with each of the chosen candidates.

    Args:
        fixed: one row.
        candidates: what was ranked: features, or rows.
        chosen: features, or numbers of rows.
    """
    if isinstance(candidates, SparseRows):
        added = candidates.take(chosen)
    else:
        ones = np.ones(len(chosen), dtype=np.float32)
        added = SparseRows(np.arange(len(chosen) + 1), chosen.astype(np.int32), ones, fixed.feature_dim)
    numbers = np.arange(len(added))
    owners = np.concatenate([np.repeat(numbers, fixed.nnz), np.repeat(numbers, np.diff(added.indptr))])
    indices = np.concatenate([np.tile(fixed.indices, len(added)), added.indices])
    values = np.concatenate([np.tile(fixed.values, len(added)), added.values])
    order = np.lexsort((indices, owners))
    indptr = added.indptr + fixed.nnz * np.arange(len(added) + 1)
    return SparseRows(indptr, indices[order], values[order], fixed.feature_dim)


def _as_row(fixed: Any, feature_dim: int) -> SparseRows:
    if not isinstance(fixed, Mapping):
        return as_rows(fixed, feature_dim)
    features = _as_numbers(sorted(fixed), "fixed")
    wrong = features[(features < 0) | (features >= feature_dim)]
    if len(wrong):
        raise ValueError(f"the fixed feature {wrong[0]} is none: the model has feature_dim {feature_dim}")
    values = np.array([fixed[feature] for feature in sorted(fixed)], dtype=np.float32)
    if not np.isfinite(values).all():
        raise ValueError(f"the value of the fixed feature {features[~np.isfinite(values)][0]} is not a finite float32")
    kept = values != 0
    ends = np.array([0, np.count_nonzero(kept)])
    return SparseRows(ends, features[kept].astype(np.int32), values[kept], feature_dim)


def _as_numbers(numbers: npt.ArrayLike, name: str) -> npt.NDArray[np.int64]:
    array = np.asarray(numbers)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(
            f"{name} must be a list of whole numbers, but is an array of {array.dtype}, shape {array.shape}"
        )
    return array.astype(np.int64)


def _checked(candidates: range | npt.NDArray[np.int64], feature_dim: int) -> range | npt.NDArray[np.int64]:
    """The candidates in ascending order, each once."""
    numbers: range | npt.NDArray[np.int64]
    if isinstance(candidates, range):
        if candidates.step != 1:
            raise ValueError(f"the candidates {candidates} have a step of {candidates.step}; it must be 1")
        lowest, highest = candidates.start, candidates.stop - 1
        numbers = candidates
    else:
        numbers = np.unique(candidates)
        lowest, highest = (int(numbers[0]), int(numbers[-1])) if len(numbers) else (0, 0)
    if len(numbers) and (lowest < 0 or highest >= feature_dim):
        wrong = lowest if lowest < 0 else highest
        raise ValueError(f"the candidate {wrong} is no feature: the model has feature_dim {feature_dim}")
    return numbers


def _refuse_fixed(fixed: FixedFeatures, numbers: range | npt.NDArray[np.int64]) -> None:
    places = _places(numbers, fixed.features.astype(np.int64))
    if len(places):
        raise ValueError(f"the candidates have the feature {numbers[places[0]]}, which is a fixed one")


def _numbers_at(numbers: range | npt.NDArray[np.int64], places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return places + numbers.start if isinstance(numbers, range) else numbers[places]


def _places(numbers: range | npt.NDArray[np.int64], wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where in ``numbers`` those of ``wanted`` stand that are there."""
    if isinstance(numbers, range):
        return (wanted - numbers.start)[(wanted >= numbers.start) & (wanted < numbers.stop)]
    places = np.searchsorted(numbers, wanted)
    there = places < len(numbers)
    there[there] = numbers[places[there]] == wanted[there]
    return places[there]


def _approximate(
    machine: FactorizationMachine, numbers: range | npt.NDArray[np.int64], sums: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float32], float]:
    """w_c + <v_c, S> of each candidate in float32, and how far off the farthest may be."""
    scores = np.empty(len(numbers), dtype=np.float32)
    size = _BLOCK_VALUES // machine.num_factors + 1
    largest_factor = largest_weight = 0.0
    with np.errstate(over="ignore", invalid="ignore"):  # told below
        sums32 = sums.astype(np.float32)
        for start in range(0, len(numbers), size):
            part = numbers[start : start + size]
            # Slices are views: nothing is copied unless the memory is not aligned.
            chosen = slice(part.start, part.stop) if isinstance(part, range) else part
            factors = np.require(machine.factors[chosen], requirements="A")
            weights = machine.linear[chosen]
            # As fast as memory on one thread; a BLAS would wait for its threads after every block.
            np.einsum("ij,j->i", factors, sums32, out=scores[start : start + size])
            scores[start : start + size] += weights
            largest_factor = max(largest_factor, float(factors.max()), -float(factors.min()))
            largest_weight = max(largest_weight, float(weights.max()), -float(weights.min()))
    largest = largest_factor * float(np.abs(sums).sum()) + largest_weight
    if largest > _LARGEST:
        raise ValueError(_OVERFLOW)
    # A sum of k products in any order is off by at most k roundings of the sum of their sizes (N. Higham, Accuracy and
    # Stability of Numerical Algorithms, 3.1); two more for S itself and for adding w.
    return scores, (machine.num_factors + 2) * _EPSILON * 1.01 * largest


def _best(
    scores: npt.NDArray[np.float32] | npt.NDArray[np.float64],
    error: float,
    exact: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float64]],
    k: int,
    excluded: npt.NDArray[np.int64],
    *,
    rows_at_once: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Places and exact scores of the best, where ``scores`` are off by at most ``error``."""
    if k < 1:
        raise ValueError(f"k is {k}, but at least one candidate must be asked for")
    scores[excluded] = -np.inf
    candidates = len(scores) - len(np.unique(excluded))
    k = min(k, candidates)
    if k == 0:
        return np.empty(0, dtype=np.int64), np.empty(0)
    threshold = float(np.partition(scores, len(scores) - k)[len(scores) - k]) - 2.0 * error
    # As a number of the scores' own type, and not above it: rounded to the nearest it could leave out one of the best.
    threshold = np.nextafter(scores.dtype.type(threshold), -np.inf)
    places = np.flatnonzero(scores >= threshold)
    values = np.concatenate([exact(places[i : i + rows_at_once]) for i in range(0, len(places), rows_at_once)])
    order = np.lexsort((places, -values))[:k]
    return places[order], values[order]


def _ranking(
    machine: FactorizationMachine, candidates: npt.NDArray[np.int64], raw_scores: npt.NDArray[np.float64]
) -> Ranking:
    scores = raw_scores
    with np.errstate(over="ignore"):  # exp(-s) of a very negative s is infinite, and the probability 0
        if machine.predictor_type is PredictorType.BINARY_CLASSIFIER:
            scores = 1.0 / (1.0 + np.exp(-raw_scores))
        answered = scores.astype(np.float32)
    if not np.isfinite(answered).all():
        raise ValueError(_OVERFLOW)
    return Ranking(candidates, raw_scores, answered)
