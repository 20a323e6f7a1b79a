"""How the cost of an epoch grows with rows, factors, non-zeros and the width of the input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix

from benchmarks.frame import Cell, Options, Report, Spread, Table, interleaved, progress
from benchmarks.own import OwnTraining


@dataclass(frozen=True, slots=True)
class Shape:
    """Of a data set of uniformly random sparse rows, and of its machine."""

    rows: int = 20_000
    k: int = 16
    non_zeros: int = 40
    feature_dim: int = 100_000


AXES: Mapping[str, Sequence[int]] = {
    "rows": (5_000, 20_000, 80_000, 320_000),
    "k": (1, 4, 8, 16, 32, 64, 128, 256, 1000),
    "non_zeros": (1, 5, 10, 20, 40, 80, 160),
    "feature_dim": (1_000, 10_000, 100_000, 1_000_000, 10_000_000),
}
TITLES = {
    "rows": "rows",
    "k": "factors k",
    "non_zeros": "non-zeros of a row",
    "feature_dim": "feature_dim",
}
QUICK_VALUES = 2  # of each axis


def run(options: Options) -> Report:
    rows: list[list[Cell]] = []
    series = {}
    for axis, values in AXES.items():
        progress(TITLES[axis])
        shapes = [replace(Shape(), **{axis: value}) for value in values[: QUICK_VALUES if options.quick else None]]
        points = []
        for shape in shapes:
            epoch = _training(shape).epoch
            spread = Spread.of(interleaved({"openfm": epoch}, options.rounds)["openfm"].cpu).scaled(1e9 / shape.rows)
            value = getattr(shape, axis)
            rows.append([TITLES[axis], value, spread, spread.scaled(1 / shape.non_zeros)])
            points.append((value, spread.median))
        series[f"scaling-{axis}"] = {TITLES[axis]: points}
    usual = Shape()
    title = (
        f"CPU time of a row, one thread, where nothing else is said {usual.rows} rows of {usual.non_zeros} non-zeros "
        f"at feature_dim {usual.feature_dim} and k = {usual.k}, drawn uniformly"
    )
    return Report([Table(title, ("what grows", "value", "ns a row", "ns a non-zero"), rows)], series=series)


def _training(shape: Shape) -> OwnTraining:
    rng = np.random.default_rng(0)
    slots = shape.feature_dim // shape.non_zeros
    indices = np.arange(shape.non_zeros) * slots + rng.integers(0, slots, (shape.rows, shape.non_zeros))
    indptr = np.arange(shape.rows + 1, dtype=np.int64) * shape.non_zeros
    values = rng.random(indices.size, np.float32) + np.float32(0.5)
    X = csr_matrix((values, indices.astype(np.int32).ravel(), indptr), (shape.rows, shape.feature_dim))
    return OwnTraining(X, rng.integers(0, 2, shape.rows).astype(np.float32), shape.k)
