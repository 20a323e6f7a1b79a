"""The problems that the tools are measured on, with a Factorization Machine's k: two classes, but for the ratings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, vstack

from benchmarks import clicks
from examples import datasets

__all__ = ["BATCH_SIZE", "Labelled", "Problem", "click_problem", "mnist", "movielens", "problems", "ratings"]

BATCH_SIZE = 1000
"""Of every tool that has mini-batches."""

_QUICK_ROWS = 5000
_TEST_CLICKS = 100_000
_MOVIELENS_TEST = 10_000


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows and labels: ``X`` has float32 values and int32 indices, sorted; ``y`` is float32, 0 or 1 but for ratings."""

    X: csr_matrix
    y: npt.NDArray[np.float32]

    @property
    def rows(self) -> int:
        return len(self.y)

    def part(self, begin: int, end: int) -> Labelled:
        """The rows from ``begin`` until before ``end``."""
        return Labelled(self.X[begin:end], self.y[begin:end])


@dataclass(frozen=True, slots=True)
class Problem:
    """Rows to train on and to test on.

    Attributes:
        name: ``MNIST``, ``MovieLens`` or ``clicks``.
        title: the name with k, for tables.
        k: factors per feature.
        train, test: the rows.
        least_log_loss: what no model can beat on the test rows; None where nobody knows.
    """

    name: str
    title: str
    k: int
    train: Labelled
    test: Labelled
    least_log_loss: float | None = None

    @property
    def feature_dim(self) -> int:
        return self.train.X.shape[1]


def problems(*, quick: bool, click_rows: int = 1_000_000) -> Iterator[Problem]:
    """The three problems, one at a time; with ``quick`` their first rows only."""
    yield _cut(mnist(), quick)
    yield _cut(movielens(), quick)
    yield click_problem(_QUICK_ROWS if quick else click_rows)


@cache
def mnist() -> Problem:
    """MNIST, is the digit a zero? 50000 rows of 784 pixels, 150 of them not zero."""
    split = datasets.load_mnist()
    train = Labelled(_csr(split.X_train), split.y_train)
    return Problem("MNIST", "MNIST, k = 10", 10, train, Labelled(_csr(split.X_test), split.y_test))


@cache
def movielens() -> Problem:
    """MovieLens 100k, four stars or more? 90000 of its ratings at random, two non-zeros in each row of 2625."""
    of = ratings()
    train, test = (Labelled(rows.X, (rows.y >= 4).astype(np.float32)) for rows in (of.train, of.test))
    return Problem("MovieLens", "MovieLens, k = 16", 16, train, test)


@cache
def ratings() -> Problem:
    """MovieLens 100k, how many stars? The rows of :func:`movielens`."""
    split = datasets.load_movielens()
    X = vstack([split.X_train, split.X_test], format="csr")
    y = np.concatenate([split.y_train, split.y_test])
    order = np.random.default_rng(0).permutation(len(y))
    shuffled = Labelled(_csr(X[order]), y[order])
    edge = len(y) - _MOVIELENS_TEST
    return Problem("ratings", "MovieLens ratings", 16, shuffled.part(0, edge), shuffled.part(edge, len(y)))


def click_problem(rows: int, test_rows: int | None = None) -> Problem:
    """The made-up clicks: ``rows`` rows to train on, ``test_rows`` to test on (None: a tenth, at most 100000)."""
    test_rows = min(rows // 10, _TEST_CLICKS) if test_rows is None else test_rows
    drawn = clicks.load(rows + test_rows, datasets.CACHE)
    indptr = np.arange(len(drawn.labels) + 1, dtype=np.int64) * clicks.NON_ZEROS
    X = csr_matrix((drawn.values.ravel(), drawn.indices.ravel(), indptr), (len(drawn.labels), clicks.FEATURES))
    both = Labelled(_csr(X), drawn.labels)
    spaced = f"{rows:,}".replace(",", " ")
    title = f"clicks, {spaced} rows, k = 16"
    return Problem("clicks", title, 16, both.part(0, rows), both.part(rows, both.rows), drawn.least_log_loss)


def _cut(problem: Problem, quick: bool) -> Problem:
    if not quick:
        return problem
    train, test = problem.train.part(0, _QUICK_ROWS), problem.test.part(0, _QUICK_ROWS)
    return Problem(problem.name, f"{problem.title} (cut)", problem.k, train, test)


def _csr(X: object) -> csr_matrix:
    rows = csr_matrix(X, dtype=np.float32)
    rows.sort_indices()
    rows.indices = rows.indices.astype(np.int32)
    return rows
