"""How near training comes to what the machine can do: memory in order, memory at random, arithmetic.

The machine's own rates are measured by a small C++ program, between the epochs that they are compared with. For each
problem a bound is computed from what an epoch cannot do without: the bytes of its index, the records of the features
that its mini-batches touch, the cache lines that rows and features gather of each other, its multiplications and
additions. The largest of these times is the limit.
"""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import data
from benchmarks.data import Problem
from benchmarks.frame import Cell, Options, Report, Spread, Table, Timing, interleaved, progress
from benchmarks.own import OwnTraining

SOURCE = Path(__file__).with_suffix(".cpp")
FLAGS = ("-O3", "-march=native", "-ffast-math", "-shared", "-fPIC")

BYTES_A_NON_ZERO = 14  # column and value by rows, row number and value by features
LINE = 64
_CACHED = 24 * 2**10  # what is gathered from, so that the places, too, stay in the first cache
_NEAR, _ROUNDS = (
    3072,
    1000,
)  # places, a multiple of the lines that are gathered at a time; times that they are gone over
FITS_IN_CACHE = 2**20  # tables up to this size stay in a core's own caches

WHAT_HOLDS_BACK = {
    "MNIST": (
        "the table and the rows' sums together are larger than the first cache, which the bound gathers from; the "
        "kernels spend their time on loads, two for each multiplication and addition; k = 10 fills 16 lanes; products "
        "are rounded before they are added, so that all instruction sets give equal bytes, which takes two "
        "instructions where a fused one would do."
    ),
    "MovieLens": (
        "with two non-zeros a row there is little of what the bound counts: exp and log of each row, and Adam with its "
        "square roots and divisions for each of about a thousand features of every mini-batch, take the rest."
    ),
    "clicks": (
        "nearly each feature of a mini-batch is a record elsewhere in memory, fetched once for the rows and once for "
        "the update; the arithmetic between two fetches is not wholly hidden behind them."
    ),
}


class Machine:
    """The machine's rates, by a C++ program compiled for it."""

    def __init__(self, *, quick: bool) -> None:
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder) / "limits.so"
            subprocess.run(["g++", *FLAGS, str(SOURCE), "-o", str(library)], check=True)
            self._library = ctypes.CDLL(str(library))
        for name in ("triad", "read", "gather", "update", "multiply_add"):
            getattr(self._library, name).restype = ctypes.c_double
        self._floats = 2**20 if quick else 2**24
        self._a, self._b, self._c = (np.ones(self._floats, np.float32) for _ in range(3))
        self._table = _aligned(2**22 if quick else 2**26)
        self._places = {lines: self._order(lines) for lines in (1, 4)}
        self._near = (self._places[1][:_NEAR] % (_CACHED // LINE)).astype(np.int16)
        self._sink = ctypes.c_float()

    def _order(self, lines: int) -> npt.NDArray[np.int64]:
        places = len(self._table) // (16 * lines)
        return np.random.default_rng(lines).permutation(places)[: 2**20].astype(np.int64)

    def triad(self) -> float:
        """Bytes a second, read and written."""
        seconds = self._library.triad(*map(_pointer, (self._a, self._b, self._c)), ctypes.c_int64(self._floats))
        return 12 * self._floats / seconds

    def read(self) -> float:
        """Bytes a second, read."""
        seconds = self._library.read(_pointer(self._a), ctypes.c_int64(self._floats), ctypes.byref(self._sink))
        return 4 * self._floats / seconds

    def update(self, lines: int) -> float:
        """Records of so many cache lines a second, read and changed at random places of 256 MiB."""
        places = self._places[lines]
        counts = ctypes.c_int64(len(places)), ctypes.c_int64(lines)
        return len(places) / self._library.update(_pointer(self._table), _pointer(places), *counts)

    def gather(self) -> float:
        """Cache lines a second, multiplied and added up from random places of 24 KiB."""
        counts = ctypes.c_int64(_NEAR), ctypes.c_int64(_ROUNDS)
        seconds = self._library.gather(_pointer(self._table), _pointer(self._near), *counts, ctypes.byref(self._sink))
        return _NEAR * _ROUNDS / seconds

    def multiply_add(self) -> float:
        """Operations a second, float32."""
        return self._library.multiply_add(ctypes.c_int64(2**23), ctypes.byref(self._sink))


@dataclass(frozen=True, slots=True)
class Work:
    """What an epoch cannot do without.

    Attributes:
        moved: bytes of the index, read in order.
        records: features times mini-batches that touch them, where the table is too large for the caches, else 0.
        lines: cache lines of a feature's record.
        gathered: cache lines that the rows take of their features, and the features of their rows.
        operations: multiplications and additions.
    """

    moved: int
    gathered: int
    records: int
    lines: int
    operations: int

    @classmethod
    def of(cls, problem: Problem) -> Work:
        X, lanes = problem.train.X, -(-problem.k // 8) * 8
        edges = range(0, problem.train.rows, data.BATCH_SIZE)
        touched = sum(len(np.unique(X[begin : begin + data.BATCH_SIZE].indices)) for begin in edges)
        record = 4 * (3 * lanes + 4)
        large = problem.feature_dim * record > FITS_IN_CACHE
        adam = 18  # operations on each parameter of a feature, roots and divisions counted as one
        operations = X.nnz * (4 * lanes + 8) + touched * adam * (lanes + 1)
        factors = -(-4 * lanes // LINE)
        gathered = X.nnz * (factors + 1 + factors)  # factors, w and |v|^2; the rows' sums
        return cls(X.nnz * BYTES_A_NON_ZERO, gathered, touched if large else 0, -(-record // LINE), operations)


def run(options: Options) -> Report:
    machine = Machine(quick=options.quick)
    rates: dict[str, list[float]] = {name: [] for name in _measurements(machine)}
    works, timings, titles = {}, {}, {}
    for problem in data.problems(quick=options.quick):
        progress(problem.title)
        own = OwnTraining(problem.train.X, problem.train.y, problem.k)

        def measure() -> tuple[float, float]:
            for name, call in _measurements(machine).items():
                rates[name].append(call())
            return 0.0, 0.0

        timings[problem.name] = interleaved({"openfm": own.epoch, "machine": measure}, options.rounds)["openfm"]
        works[problem.name], titles[problem.name] = Work.of(problem), problem.title
    spreads = {name: Spread.of(values) for name, values in rates.items()}
    rows = [_row(titles[name], works[name], timings[name], spreads) for name in works]
    columns = (
        "problem", "index in order, ms", "records at random, ms", "gathering from cache, ms", "arithmetic, ms",
        "the limit", "measured, ms", "reached",
    )  # fmt: skip
    notes = [f"What holds {titles[name]} back: {WHAT_HOLDS_BACK[name]}" for name in works]
    return Report([_machine_table(spreads), Table("An epoch on one thread and its bounds", columns, rows, notes)])


def _measurements(machine: Machine) -> dict[str, Callable[[], float]]:
    return {
        "triad": machine.triad,
        "read": machine.read,
        "gathered": machine.gather,
        "lines": lambda: machine.update(1),
        "records": lambda: machine.update(4),
        "operations": machine.multiply_add,
    }


def _machine_table(spreads: dict[str, Spread]) -> Table:
    rows: list[list[Cell]] = [
        ["a = b + 3 c in order, GB/s", spreads["triad"].scaled(1e-9)],
        ["reading in order, GB/s", spreads["read"].scaled(1e-9)],
        ["cache lines multiplied and added up, at random of 24 KiB, M/s", spreads["gathered"].scaled(1e-6)],
        ["cache lines changed at random of 256 MiB, M/s", spreads["lines"].scaled(1e-6)],
        ["records of four lines changed at random of 256 MiB, M/s", spreads["records"].scaled(1e-6)],
        ["multiplications and additions, Gflop/s", spreads["operations"].scaled(1e-9)],
    ]
    return Table("What one core of this machine does", ("what", "rate"), rows)


def _row(title: str, work: Work, timing: Timing, spreads: dict[str, Spread]) -> list[Cell]:
    by_lines = work.records * work.lines / spreads["lines"].median
    at_random = min(by_lines, work.records * work.lines / 4 / spreads["records"].median)
    bounds = {
        "memory in order": work.moved / spreads["read"].median,
        "memory at random": at_random,
        "gathering": work.gathered / spreads["gathered"].median,
        "arithmetic": work.operations / spreads["operations"].median,
    }
    limit = max(bounds, key=lambda name: bounds[name])
    measured = Spread.of(timing.cpu)
    cells = [seconds * 1e3 for seconds in bounds.values()]
    return [title, *cells, limit, measured.scaled(1e3), f"{bounds[limit] / measured.median:.0%}"]


def _aligned(floats: int) -> npt.NDArray[np.float32]:
    """Ones that begin at a cache line."""
    raw = np.ones(floats + LINE // 4, np.float32)
    begin = -(raw.ctypes.data // 4) % (LINE // 4)
    return raw[begin : begin + floats]


def _pointer(array: npt.NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
