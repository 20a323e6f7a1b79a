"""How long the best of ten million candidates take, and the strongest pairs of a million features.

Candidates are single features with 64 factors, their parameters drawn at random; one user is fixed and a thousand
items that it has seen are left out. The pairs are those of a model as training leaves it: a few features are common
and have long factors, most are rare and have short ones (lengths fall as one over the square root of the rank).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.frame import Check, Options, Report, Spread, Table, interleaved
from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.fm.pairs import strongest_pairs
from openfm.fm.topk import rank

FACTORS = 64
PIECE = 100_000  # rows drawn at once


def machine_of(features: int) -> FactorizationMachine:
    rng = np.random.default_rng(0)
    factors = np.empty((features, FACTORS), np.float32)
    for begin in range(0, features, PIECE):
        piece = factors[begin : begin + PIECE]
        rng.standard_normal(out=piece, dtype=np.float32)
        piece *= np.float32(0.1)
    linear = 0.1 * rng.standard_normal(features, dtype=np.float32)
    return FactorizationMachine(0.5, linear, factors, PredictorType.BINARY_CLASSIFIER)


def unequal_vectors(features: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    lengths = np.float32(1) / np.sqrt(np.arange(1, features + 1, dtype=np.float32))
    return rng.standard_normal((features, FACTORS), dtype=np.float32) * rng.permutation(lengths)[:, None]


def run(options: Options) -> Report:
    scale = 100 if options.quick else 1
    items, features = 10_000_000 // scale, 1_000_000 // scale
    machine = machine_of(items + 1)
    vectors = unequal_vectors(features)
    seen = np.random.default_rng(2).integers(0, items, 1000)
    fixed = {items: 1.0}
    cases: dict[str, Callable[[], None]] = {
        "top 10": partial(_nothing, rank, machine, 10, fixed=fixed, candidates=range(items), exclude=seen),
        "top 1000": partial(_nothing, rank, machine, 1000, fixed=fixed, candidates=range(items), exclude=seen),
        "pairs": partial(_nothing, strongest_pairs, vectors, 100),
    }
    timings = interleaved(cases, options.rounds)
    best = Spread.of(timings["top 10"].cpu)
    rows = [
        [f"the best 10 of {items:,} candidates", best.scaled(1e3)],
        [f"the best 1000 of {items:,} candidates", Spread.of(timings["top 1000"].cpu).scaled(1e3)],
        [f"the strongest 100 pairs of {features:,} features", Spread.of(timings["pairs"].cpu).scaled(1e3)],
    ]
    checks = [Check("the best 10 of ten million candidates, seconds", best.median, at_most=1.0)]
    return Report([Table("Ranking, one thread, 64 factors, by CPU time", ("", "ms"), rows)], checks)


def _nothing(run: Callable[..., object], *arguments: object, **named: object) -> None:
    run(*arguments, **named)
