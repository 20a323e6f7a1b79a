"""What several hosts are worth: predicted from what a step computes and sends, and measured with containers."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from benchmarks import data
from benchmarks.containers import measured_ring, measured_together, why_no_containers, write_ring
from benchmarks.data import Problem
from benchmarks.frame import Cell, Check, Options, Report, Table, progress
from benchmarks.host_steps import step_of
from benchmarks.prediction import (
    Network,
    Step,
    agreeing_seconds,
    around,
    predicted_seconds,
)
from benchmarks.replicas import computing_seconds
from benchmarks.ring import SIZES

ROOT = Path(__file__).parents[1]
HOSTS = (1, 2, 4, 8, 16, 32, 64)
MEASURED_HOSTS = (2, 4)
RATES = (1, 10, 25, 100)
"""Gbit/s of each host's network."""

MEASURED_RATE = 1
BATCHES = (1000, 10_000)
"""Records that a step takes from each host."""

WIRE_SECONDS = 25e-6
"""One way from host to host, as between machines of one data centre."""

AGREEMENT = 0.3
"""By how much prediction and measurement may differ."""

OVERHEAD = 0.2
"""By how much what is sent may exceed the gradients of the features that occur, on their way around the ring."""

WORTH = 1.5
"""Times as fast that twice the hosts have to be, to be worth it."""

DRAWN_RATES = (1, 25)
MEASURED_CLICK_ROWS = 300_000
MEASURED_EPOCHS = {"MNIST": 60, "clicks": 3}
REPEATS = 100
"""Of a collective."""

Steps = Mapping[tuple[str, int, int], Step]
"""By the problem's name, the records of each host, and the number of hosts."""


def run(options: Options) -> Report:
    mnist, _, clicks = data.problems(quick=options.quick)
    problems = [mnist, clicks]
    counts = HOSTS[:3] if options.quick else HOSTS
    progress("collectives of two processes")
    message, byte = _loopback()
    steps: dict[tuple[str, int, int], Step] = {}
    for problem in problems:
        for batch in BATCHES:
            progress(f"steps of {problem.title}, {batch} records of each host")
            steps |= {(problem.name, batch, count): step_of(problem, batch, count, options) for count in counts}
    lines: dict[str, dict[str, list[tuple[float, float]]]] = {}
    rows: list[list[Cell]] = []
    for problem in problems:
        for batch in BATCHES:
            for rate in RATES:
                speeds = _speeds(steps, problem.name, batch, rate, message, byte)
                rows.append([problem.title, batch, rate, *speeds.values(), _worth(speeds)])
                if rate in DRAWN_RATES:
                    name = f"{rate} Gbit/s, {batch} records"
                    lines.setdefault(f"hosts-{problem.name}", {})[name] = list(speeds.items())
    tables = [_prediction_table(rows, counts, message, byte), _step_table(steps)]
    why = why_no_containers()
    versions = {"xgboost": metadata.version("xgboost-cpu")}
    if why is not None:
        return Report(tables, left_out=[f"the measurement with containers: {why}"], versions=versions, series=lines)
    fewer_clicks = clicks if options.quick else data.click_problem(MEASURED_CLICK_ROWS)
    measured, checks = _measure([mnist, fewer_clicks], steps, options)
    return Report([tables[0], *measured, tables[1]], checks, versions=versions, series=lines)


def _loopback() -> tuple[float, float]:
    """Measure collectives of two processes on loopback.

    Returns:
        seconds of each of the messages, one after the other, of a collective of a few bytes; and seconds for each byte
        that a host sends.
    """
    with tempfile.TemporaryDirectory() as folder:
        names = ("127.0.0.1", "127.0.0.2")
        jobs = [Path(folder) / name for name in names]
        for job, name in zip(jobs, names, strict=True):
            write_ring(job, name, names)
        programs = [
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.ring", str(REPEATS)],
                cwd=ROOT, env=os.environ | {"SAGEMAKER_BASE_DIR": str(job), "OPENFM_HOSTS_PORT": "19099"},
                stdout=subprocess.DEVNULL,  # the engine's remarks
            )
            for job in jobs
        ]  # fmt: skip
        codes = [program.wait() for program in programs]
        if any(codes):
            raise RuntimeError("a ring on loopback could not be measured")
        taken = json.loads((jobs[0] / "model" / "ring.json").read_text())
    medians = [statistics.median(taken[str(size)]) for size in SIZES]
    slope = (medians[-1] - medians[0]) / (SIZES[-1] - SIZES[0])
    return medians[0] / _messages(len(names)), max(slope, 0.0) / around(len(names))


def _messages(hosts: int) -> int:
    """How many follow each other in a collective."""
    return 2 * hosts - 1


def _speeds(steps: Steps, problem: str, batch: int, rate: float, message: float, byte: float) -> dict[int, float]:
    """Thousand records a second, by the number of hosts."""
    speeds = {}
    for (name, size, hosts), step in steps.items():
        if (name, size) == (problem, batch):
            network = Network(rate, _messages(hosts) * (message + WIRE_SECONDS), byte)
            speeds[hosts] = hosts * size / predicted_seconds(step, hosts, network) / 1e3
    return speeds


def _worth(speeds: Mapping[int, float]) -> int:
    """Up to how many hosts each doubling is worth it."""
    worth = 1
    for hosts, speed in speeds.items():
        if hosts > 1 and speed < WORTH * speeds[hosts // 2]:
            break
        worth = hosts
    return worth


def _measure(problems: Sequence[Problem], steps: Steps, options: Options) -> tuple[list[Table], list[Check]]:
    """Containers on this machine, beside what is predicted for them."""
    rounds, batch = 1 if options.quick else 3, BATCHES[0]
    rows: list[list[Cell]] = []
    parts: list[list[Cell]] = []
    checks = []
    for hosts in MEASURED_HOSTS:
        progress(f"collectives of {hosts} containers")
        network = Network(MEASURED_RATE, measured_ring(hosts, gigabits=MEASURED_RATE, repeats=REPEATS)[SIZES[0]])
        for problem in problems:
            progress(f"{hosts} containers, {problem.title}")
            epochs = 3 if options.quick else MEASURED_EPOCHS[problem.name]
            alone = steps[problem.name, batch, hosts]
            together = computing_seconds(problem, hosts, batch, epochs=epochs, rounds=rounds)
            step = Step(together, alone.gradients, alone.features)
            found = [
                measured_together(problem, hosts, batch, gigabits=MEASURED_RATE, epochs=epochs) for _ in range(rounds)
            ]
            speed = statistics.median(measured.speed for measured in found)
            sent = statistics.median(measured.step_bytes for measured in found)
            seconds = predicted_seconds(step, hosts, network, -(-problem.train.rows // (batch * hosts)))
            predicted = hosts * batch / seconds
            packed = step.gradients * around(hosts)  # as the engine sends them
            title = f"{hosts} containers, {problem.title}: "
            rows.append(
                [problem.title, hosts, predicted / 1e3, speed / 1e3, speed / predicted, packed / 1e3, sent / 1e3,
                 sent / packed]
            )  # fmt: skip
            transfer = network.transfer((step.gradients + step.features) * around(hosts))
            parts.append(
                [problem.title, hosts, *(taken * 1e3 for taken in (
                    alone.seconds, together, seconds - together - transfer, transfer, seconds, hosts * batch / speed,
                    agreeing_seconds(step, hosts, network),
                ))]
            )  # fmt: skip
            checks += [
                Check(f"{title}measured speed / predicted", speed / predicted, 1 - AGREEMENT, 1 + AGREEMENT),
                Check(f"{title}bytes sent / packed gradients around the ring", sent / packed, at_most=1 + OVERHEAD),
            ]
    return _measured_tables(rows, parts), checks


def _measured_tables(rows: Sequence[Sequence[Cell]], parts: Sequence[Sequence[Cell]]) -> list[Table]:
    processors = len(os.sched_getaffinity(0))
    where = (
        f"Containers on this machine ({processors} processors), each limited to {MEASURED_RATE} Gbit/s by tc, "
        f"{BATCHES[0]} records of each host in a step"
    )
    columns = (
        "problem", "hosts", "predicted, thousand records/s", "measured", "measured / predicted",
        "packed gradients around the ring, kB a step", "sent by the busiest host, kB a step", "sent / packed",
    )  # fmt: skip
    part_columns = (
        "problem", "hosts", "computing, one host at work", "all at work", "latency", "sending", "predicted", "measured",
        "of it agreeing on features",
    )  # fmt: skip
    notes = (
        "All at work: the hosts' processes compute at the same time, without telling each other anything; this is what "
        "the prediction takes. Latency: of the containers' own collectives. Agreeing on features, for eight steps at "
        "once, is the most that could be done beside computing instead. tc lets 256 kB pass at once, "
        "in which most of what a step of MNIST sends goes out without waiting.",
    )
    return [Table(where, columns, rows), Table("What their step takes, ms", part_columns, parts, notes)]


def _prediction_table(rows: Sequence[Sequence[Cell]], counts: Sequence[int], message: float, byte: float) -> Table:
    columns = ("problem", "records of each host", "Gbit/s", *map(str, counts), "worth it up to")
    notes = (
        f"Predicted, one thread a host. Each of a collective's messages takes {message * 1e6:.0f} us of this machine, "
        f"measured on loopback, and {WIRE_SECONDS * 1e6:g} us from host to host; a byte takes as long as the network "
        f"or {byte * 1e9:.2g} ns, whichever is more. Worth it up to: the number of hosts up to which twice the hosts "
        f"are at least {WORTH:g} times as fast.",
    )
    return Table("Thousand records a second, by the number of hosts", columns, rows, notes)


def _step_table(steps: Steps) -> Table:
    rows = [
        [name, batch, hosts, step.seconds * 1e3, step.gradients / 1e3, step.features / 1e3]
        for (name, batch, hosts), step in steps.items()
    ]
    columns = ("problem", "records of each host", "hosts", "computing, ms", "gradients, kB", "which features, kB")
    return Table("A step on each host", columns, rows)
