"""A made-up data set like Criteo's clicks, of which a Factorization Machine is the truth.

A row has 39 non-zeros of a million features: 13 numbers in (0, 1] and one value of each of 26 categories. The
categories have from 3 to 369 thousand values, whose frequencies follow Zipf's law with exponent 1.05. Whether a row
is a click is drawn with the probability that a planted machine of 8 factors gives it, so that the least log loss that
any model can reach is known.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["FEATURES", "NON_ZEROS", "Clicks", "load"]

FEATURES = 1_000_000
NUMBERS, CATEGORIES = 13, 26
NON_ZEROS = NUMBERS + CATEGORIES

_SEED = 7
_ZIPF = 1.05
_FACTORS = 8
_FACTOR_SIGMA, _LINEAR_SIGMA, _BIAS = 0.13, 0.25, -0.9


class Clicks(NamedTuple):
    """Rows and their labels.

    Attributes:
        indices: int32, shape (rows, 39), increasing in a row.
        values: float32, the same shape.
        labels: float32, shape (rows,), 0 or 1.
        least_log_loss: of the planted machine's own probabilities.
    """

    indices: npt.NDArray[np.int32]
    values: npt.NDArray[np.float32]
    labels: npt.NDArray[np.float32]
    least_log_loss: float


def load(rows: int, cache: Path) -> Clicks:
    """The first ``rows`` rows of the set, made once and kept in ``cache``.

    Sets of different sizes are different draws; the planted machine is the same.
    """
    path = cache / f"clicks-{_SEED}-{rows}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, **make(rows)._asdict())
        partial.replace(path)
    with np.load(path) as content:
        return Clicks(content["indices"], content["values"], content["labels"], float(content["least_log_loss"]))


def make(rows: int) -> Clicks:
    """Draw the set."""
    rng = np.random.default_rng(_SEED)
    linear = rng.normal(0, _LINEAR_SIGMA, FEATURES).astype(np.float32)
    factors = rng.normal(0, _FACTOR_SIGMA, (FEATURES, _FACTORS)).astype(np.float32)
    indices = np.empty((rows, NON_ZEROS), np.int32)
    values = np.ones((rows, NON_ZEROS), np.float32)
    indices[:, :NUMBERS] = np.arange(NUMBERS)
    values[:, :NUMBERS] = 1 - rng.random((rows, NUMBERS), np.float32)
    begin = NUMBERS
    for column, size in enumerate(_category_sizes(), NUMBERS):
        indices[:, column] = begin + _zipf(rng, size, rows)
        begin += size
    scores = np.full(rows, _BIAS, np.float32)
    sums = np.zeros((rows, _FACTORS), np.float32)
    for column in range(NON_ZEROS):
        j, x = indices[:, column], values[:, column]
        scores += linear[j] * x
        terms = factors[j] * x[:, np.newaxis]
        scores -= 0.5 * np.einsum("rk,rk->r", terms, terms)
        sums += terms
    scores += 0.5 * np.einsum("rk,rk->r", sums, sums)
    labels = (rng.random(rows) < 1 / (1 + np.exp(-scores))).astype(np.float32)
    losses = np.logaddexp(0, scores) - labels * scores
    return Clicks(indices, values, labels, float(losses.mean(dtype=np.float64)))


def _category_sizes() -> npt.NDArray[np.int64]:
    """How many values each category has: a geometric series that fills the features."""
    sizes = np.geomspace(1, 1e5, CATEGORIES)
    sizes = np.maximum(2, sizes * (FEATURES - NUMBERS) / sizes.sum()).astype(np.int64)
    sizes[-1] += FEATURES - NUMBERS - sizes.sum()
    return sizes


def _zipf(rng: np.random.Generator, size: int, count: int) -> npt.NDArray[np.int64]:
    """Draws of 0 ... size - 1, the r-th with a probability in proportion to r ** -1.05."""
    cumulated = np.cumsum(np.arange(1, size + 1, dtype=np.float64) ** -_ZIPF)
    return np.searchsorted(cumulated, rng.random(count) * cumulated[-1], side="right").clip(max=size - 1)
