"""What every part of the benchmarks is built on: options, interleaved timing, tables and checks.

A part is a module ``benchmarks/<part>.py`` with a docstring, whose first line describes it, and a function
``run(options: Options) -> Report``. ``python -m benchmarks <part>`` runs it and writes ``results/<part>.json``.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

__all__ = [
    "Cell",
    "Check",
    "Options",
    "Report",
    "Spread",
    "Table",
    "Timing",
    "clock",
    "interleaved",
    "paired_ratio",
    "progress",
]


@dataclass(frozen=True, slots=True)
class Options:
    """How thoroughly to measure.

    Attributes:
        rounds: how many times each case is measured after one round that warms up; at least 5 for results that are
            kept.
        quick: small data and few peers, to see that everything runs; the figures mean little.
    """

    rounds: int = 5
    quick: bool = False


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of several measurements, and the least and greatest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))

    def scaled(self, factor: float) -> Spread:
        """In another unit."""
        return Spread(self.median * factor, self.low * factor, self.high * factor)

    def rate(self, amount: float) -> Spread:
        """Of seconds for ``amount`` things: things a second."""
        return Spread(amount / self.median, amount / self.high, amount / self.low)


Cell = str | int | float | Spread | None
"""A cell of a table; None stands for what was not or cannot be measured."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of results. The units are part of the names of the columns."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """A figure that has to be at least, or at most, a limit."""

    what: str
    value: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def holds(self) -> bool:
        above = self.at_least is None or self.value >= self.at_least
        return above and (self.at_most is None or self.value <= self.at_most)


@dataclass(frozen=True, slots=True)
class Report:
    """What a part found out.

    Attributes:
        tables: for the reader.
        checks: what the project holds itself to.
        left_out: what could not be measured here, a sentence each with the reason.
        versions: of the programs measured, by name.
        series: figures for the plots, by name of the plot: the name of each line and its points (x, y).
    """

    tables: Sequence[Table]
    checks: Sequence[Check] = ()
    left_out: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    series: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of each round: of the processor (all threads of the process) and of the clock on the wall."""

    cpu: tuple[float, ...]
    wall: tuple[float, ...]


def progress(what: str) -> None:
    """Say on standard error what is being measured: results come late."""
    print(f"  ... {what}", file=sys.stderr, flush=True)


def clock(run: Callable[[], object]) -> tuple[float, float]:
    """The CPU seconds of this process and the wall-clock seconds that a call takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return time.process_time() - cpu, time.perf_counter() - wall


def interleaved(
    cases: Mapping[str, Callable[[], tuple[float, float] | None]], rounds: int, *, warm_up: int = 1
) -> dict[str, Timing]:
    """Measure several things in turn: A B C, A B C, ..., so that what else the machine does falls on all alike.

    Args:
        cases: what to run, by name. A case that returns (CPU seconds, wall seconds) was measured elsewhere, such as in
            a peer's process; one that returns None is measured by its call in this process.
        rounds: how many times.
        warm_up: rounds before that, not counted.
    """
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for number in range(-warm_up, rounds):
        for name, case in cases.items():
            sample = _sample(case)
            if number >= 0:
                samples[name].append(sample)
    return {
        name: Timing(tuple(cpu for cpu, _ in taken), tuple(wall for _, wall in taken))
        for name, taken in samples.items()
    }


def paired_ratio(slow: Sequence[float], fast: Sequence[float]) -> Spread:
    """How many times as long the slow one took, round by round."""
    return Spread.of([a / b for a, b in zip(slow, fast, strict=True)])


def _sample(case: Callable[[], tuple[float, float] | None]) -> tuple[float, float]:
    elsewhere: list[tuple[float, float] | None] = []
    here = clock(lambda: elsewhere.append(case()))
    return here if elsewhere[0] is None else elsewhere[0]
