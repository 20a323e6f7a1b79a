"""How an epoch gets faster with threads, and what happens beside a busy process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks import data
from benchmarks.data import Problem
from benchmarks.frame import Cell, Check, Options, Report, Spread, Table, Timing, interleaved, paired_ratio, progress
from benchmarks.own import OwnTraining

QUIET_LOAD = 0.3  # the load average below which a second core is thought to be free
TWICE_AT_LEAST = 1.3
BUSY_AT_MOST = 1.15


def run(options: Options) -> Report:
    load = os.getloadavg()[0]
    counts = list(thread_counts(len(os.sched_getaffinity(0))))
    rows: list[list[Cell]] = []
    busy_rows: list[list[Cell]] = []
    checks, left_out, lines = [], [], {}
    for problem in data.problems(quick=options.quick):
        progress(problem.title)
        trainings = {threads: _training(problem, threads) for threads in counts}
        cases = {str(threads): training.epoch for threads, training in trainings.items()}
        timings = interleaved(cases, options.rounds)
        for threads in counts:
            speed = Spread.of(timings[str(threads)].wall).rate(problem.train.rows / 1e6)
            rows.append([problem.title, threads, speed, _gain(timings, threads)])
        lines[problem.title] = [(threads, _gain(timings, threads).median) for threads in counts]
        if 2 in counts and problem.name != "MovieLens":
            with busy_process():
                beside = interleaved({name: cases[name] for name in ("1", "2")}, options.rounds)
            cost = paired_ratio(beside["2"].wall, beside["1"].wall)
            busy_rows.append([problem.title, *(Spread.of(beside[n].wall).scaled(1e3) for n in ("1", "2")), cost])
            checks.append(Check(f"wall time of 2 threads / 1 beside a busy process, {problem.title}", cost.median,
                                at_most=BUSY_AT_MOST))  # fmt: skip
            if load < QUIET_LOAD:
                gain = _gain(timings, 2).median
                checks.append(Check(f"2 threads, times as fast as 1, {problem.title}", gain, at_least=TWICE_AT_LEAST))
    if load >= QUIET_LOAD:
        left_out.append(f"the check of 2 threads against 1: the load average was {load:.2f} before, not below 0.3")
    columns = ("problem", "threads", "M rows/s of wall time", "times as fast as one")
    tables = [Table("An epoch with several threads", columns, rows)]
    if busy_rows:
        columns = ("problem", "1 thread, wall ms", "2 threads, wall ms", "2 threads / 1")
        tables.append(Table("An epoch beside a process that keeps one core busy", columns, busy_rows))
    return Report(tables, checks, left_out, series={"threads": lines})


def thread_counts(processors: int) -> Iterator[int]:
    """1, 2, 4, ... and the number of processors."""
    count = 1
    while count < processors:
        yield count
        count *= 2
    yield processors


@contextmanager
def busy_process() -> Iterator[None]:
    """Keep one core busy for the time of a ``with`` block."""
    with subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


def _training(problem: Problem, threads: int) -> OwnTraining:
    return OwnTraining(problem.train.X, problem.train.y, problem.k, threads=threads)


def _gain(timings: dict[str, Timing], threads: int) -> Spread:
    return paired_ratio(timings["1"].wall, timings[str(threads)].wall)
