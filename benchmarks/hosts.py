"""What several hosts are worth: predicted from what a step computes and sends, and measured with containers."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

from benchmarks import data
from benchmarks.containers import measured_together, why_no_containers
from benchmarks.data import Problem
from benchmarks.frame import Cell, Check, Options, Report, Table, progress
from benchmarks.own import OwnTraining
from benchmarks.ring import SIZES
from openfm.contract.hyperparameters import Hyperparameters
from openfm.fm.matrices import as_rows
from openfm.fm.trainer import Trainer
from openfm.training.hosts.unions import Unions

ROOT = Path(__file__).parents[1]
HOSTS = (1, 2, 4, 8, 16, 32, 64)
MEASURED_HOSTS = (2, 4)
RATES = (1, 10, 25, 100)
"""Gbit/s of each host's network."""

MEASURED_RATE = 1
BATCHES = (1000, 10_000)
"""Records that a step takes from each host."""

MOST_STEPS = 8
"""Steps whose features the hosts agree on in one go, with two collectives."""

WIRE_SECONDS = 25e-6
"""One way from host to host, as between machines of one data centre."""

PAYLOAD = 1448 / 1514
"""Of what goes over a network; the rest is headers."""

AGREEMENT = 0.3
"""By how much prediction and measurement may differ."""

OVERHEAD = 0.2
"""By how much what is sent may exceed the gradients of the features that occur, on their way around the ring."""

WORTH = 1.5
"""Times as fast that twice the hosts have to be, to be worth it."""

GROUPS = 4
"""Steps that are measured in turn, as a job's steps have other records each."""

DRAWN_RATES = (1, 25)
CLICK_ROWS = 300_000
MEASURED_EPOCHS = {"MNIST": 60, "clicks": 3}


@dataclass(frozen=True, slots=True)
class Step:
    """What a step of some hosts costs each.

    Attributes:
        seconds: of computing, on one thread.
        gradients: bytes of the packed gradients.
        features: bytes that tell which features they are of.
    """

    seconds: float
    gradients: int
    features: int


@dataclass(frozen=True, slots=True)
class Collective:
    """What one costs without a network: seconds, and seconds for each byte."""

    seconds: float
    per_byte: float


Steps = dict[tuple[str, int, int], Step]
"""By the problem's name, the records of each host, and the number of hosts."""


def run(options: Options) -> Report:
    clicks = data.click_problem(5000 if options.quick else CLICK_ROWS)
    problems = [next(iter(data.problems(quick=options.quick))), clicks]
    counts = HOSTS[:3] if options.quick else HOSTS
    progress("collectives on loopback")
    collectives = {count: _collective(count, 20 if options.quick else 100) for count in MEASURED_HOSTS}
    steps: Steps = {}
    for problem in problems:
        for batch in BATCHES:
            progress(f"steps of {problem.title}, {batch} records of each host")
            steps |= {(problem.name, batch, count): step_of(problem, batch, count, options) for count in counts}
    lines: dict[str, dict[str, list[tuple[float, float]]]] = {}
    rows: list[list[Cell]] = []
    for problem in problems:
        for batch in BATCHES:
            for rate in RATES:
                speeds = _speeds(steps, problem.name, batch, rate, collectives)
                rows.append([problem.title, batch, rate, *speeds.values(), _worth(speeds)])
                if rate in DRAWN_RATES:
                    name = f"{rate} Gbit/s, {batch} records"
                    lines.setdefault(f"hosts-{problem.name}", {})[name] = list(speeds.items())
    tables = [_prediction_table(rows, counts), _step_table(steps), _collective_table(collectives)]
    why = why_no_containers()
    versions = {"xgboost": metadata.version("xgboost-cpu")}
    if why is not None:
        return Report(tables, left_out=[f"the measurement with containers: {why}"], versions=versions, series=lines)
    measured, checks = _measure(problems, steps, collectives, options)
    return Report([tables[0], measured, *tables[1:]], checks, versions=versions, series=lines)


def _speeds(
    steps: Steps, problem: str, batch: int, rate: float, collectives: Mapping[int, Collective]
) -> dict[int, float]:
    """Thousand records a second, by the number of hosts."""
    return {
        hosts: hosts * size / predicted_seconds(step, hosts, rate, collectives) / 1e3
        for (name, size, hosts), step in steps.items()
        if (name, size) == (problem, batch)
    }


def _worth(speeds: Mapping[int, float]) -> int:
    """Up to how many hosts each doubling is worth it."""
    worth = 1
    for hosts, speed in speeds.items():
        if hosts > 1 and speed < WORTH * speeds[hosts // 2]:
            break
        worth = hosts
    return worth


def predicted_seconds(
    step: Step,
    hosts: int,
    rate: float,
    collectives: Mapping[int, Collective],
    *,
    wire: float = WIRE_SECONDS,
    processors: float = float("inf"),
) -> float:
    """Of one step.

    Args:
        step: of so many hosts.
        hosts: how many.
        rate: Gbit/s of each host.
        collectives: measured ones, by the number of hosts.
        wire: seconds one way.
        processors: that all hosts share.
    """
    computing = step.seconds * max(1.0, hosts / processors)
    if hosts == 1:
        return computing
    messages = 2 * hosts - 1  # one after the other, in the engine's ring
    known = collectives[min(collectives, key=lambda count: abs(count - hosts))]
    known_messages = 2 * min(collectives, key=lambda count: abs(count - hosts)) - 1
    latency = known.seconds * messages / known_messages + messages * wire
    sent = step.gradients + step.features
    transfer = sent * messages / hosts * 8e-9 / rate / PAYLOAD
    return computing + latency * (1 + 2 / MOST_STEPS) + transfer + sent * known.per_byte


def step_of(problem: Problem, batch: int, hosts: int, options: Options) -> Step:
    """Measure the computing of a step, and count what it sends."""
    X, y = problem.train.X, problem.train.y
    groups = [
        np.arange(first, first + batch * hosts) % len(y) for first in range(0, GROUPS * batch * hosts, batch * hosts)
    ]
    unions = [np.unique(X[rows].indices).astype(np.int32) for rows in groups]
    bitmap, ids = -(-problem.feature_dim // 8), 4 * hosts * len(np.unique(X[groups[0][:batch]].indices))
    if hosts == 1:
        seconds = _own_step(problem, batch, options)
    else:
        seconds = _shared_step(problem, batch, [rows[:batch] for rows in groups], unions, options)
    return Step(seconds, round(4 * (problem.k + 1) * statistics.mean(map(len, unions))), min(bitmap, ids))


def _own_step(problem: Problem, batch: int, options: Options) -> float:
    """Of a host alone."""
    X, y = problem.train.X, problem.train.y
    rows = min(len(y), 20 * batch)
    training = OwnTraining(X[:rows], y[:rows], problem.k, {"mini_batch_size": batch})
    training.epoch()
    taken = []
    for _ in range(options.rounds):
        begin = time.perf_counter()
        training.epoch()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken) / -(-rows // batch)


def _shared_step(
    problem: Problem, batch: int, own: Sequence[np.ndarray], unions: Sequence[np.ndarray], options: Options
) -> float:
    """One host's part of steps with several: agreeing on the features, the gradients of its batch, the update of all.

    Args:
        problem: what is trained.
        batch: records of each host.
        own: of each step, which rows are this host's.
        unions: of each step, the features of all hosts.
        options: how often to measure.
    """
    X, y = problem.train.X, problem.train.y
    given = {
        "feature_dim": problem.feature_dim,
        "num_factors": problem.k,
        "predictor_type": "binary_classifier",
        "mini_batch_size": batch,
    }
    trainer = Trainer(Hyperparameters.parse(given).training_settings(), threads=1)
    blocks = [trainer.batches(as_rows(X[rows], problem.feature_dim), y[rows]) for rows in own]
    agreement = Unions(_Alone(), problem.feature_dim)
    taken = []
    for _ in range(2 * options.rounds + 1):
        for block, features in zip(blocks, unions, strict=True):
            begin = time.perf_counter()
            agreement.agree([features], np.array([[len(features)]]))
            places = np.searchsorted(features, block.features(0)).astype(np.int32)
            gradients = np.zeros((len(features), problem.k + 1), np.float32)
            sums = trainer.gradients(block, 0, places, gradients)
            trainer.apply(features, gradients, sums)
            taken.append(time.perf_counter() - begin)
    return statistics.median(taken[len(blocks) :])


class _Alone:
    """A collective without other hosts."""

    rank, size, step = 0, 1, 0

    def sum(self, array: np.ndarray) -> None:
        """What there is, is the sum."""

    maximum = bitwise_or = sum

    def finish(self) -> None:
        """Nobody is waited for."""


def _collective(hosts: int, repeats: int) -> Collective:
    """Measure collectives of processes on loopback; a straight line through their medians."""
    port = "19099"
    programs = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.ring", str(rank), str(hosts), port, str(repeats)],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )
        for rank in range(hosts)
    ]  # fmt: skip
    outputs = [program.communicate()[0] for program in programs]
    if any(program.returncode for program in programs):
        raise RuntimeError("a ring on loopback could not be measured")
    medians = {int(size): statistics.median(taken) for size, taken in json.loads(outputs[0].splitlines()[-1]).items()}
    slope = (medians[SIZES[-1]] - medians[SIZES[0]]) / (SIZES[-1] - SIZES[0])
    return Collective(medians[SIZES[0]], max(slope, 0.0))


def _measure(
    problems: Sequence[Problem], steps: Steps, collectives: Mapping[int, Collective], options: Options
) -> tuple[Table, list[Check]]:
    """Containers on this machine, beside what is predicted for its processors and for networks without a way."""
    processors = len(os.sched_getaffinity(0))
    rows: list[list[Cell]] = []
    checks = []
    for problem in problems:
        for hosts in MEASURED_HOSTS:
            progress(f"{hosts} containers, {problem.title}")
            epochs = 3 if options.quick else MEASURED_EPOCHS[problem.name]
            found = measured_together(problem, hosts, BATCHES[0], gigabits=MEASURED_RATE, epochs=epochs)
            step = steps[problem.name, BATCHES[0], hosts]
            seconds = predicted_seconds(step, hosts, MEASURED_RATE, collectives, wire=0.0, processors=processors)
            predicted = hosts * BATCHES[0] / seconds
            around = step.gradients * (2 * hosts - 1) / hosts  # as the engine sends them
            ratio = found.speed / predicted
            rows.append([
                problem.title, hosts, predicted / 1e3, found.speed / 1e3, ratio, around / 1e3, found.step_bytes / 1e3,
                found.step_bytes / around,
            ])  # fmt: skip
            what = f"{hosts} containers, {problem.title}: "
            checks.append(
                Check(f"{what}measured speed / predicted", ratio, at_least=1 - AGREEMENT, at_most=1 + AGREEMENT)
            )
            checks.append(
                Check(f"{what}bytes sent / packed gradients around the ring", found.step_bytes / around,
                      at_most=1 + OVERHEAD)
            )  # fmt: skip
    title = (
        f"Containers on this machine ({processors} processors), each limited to {MEASURED_RATE} Gbit/s by tc, "
        f"{BATCHES[0]} records of each host in a step"
    )
    columns = (
        "problem", "hosts", "predicted, thousand records/s", "measured", "measured / predicted",
        "packed gradients around the ring, kB a step", "sent by the busiest host, kB a step", "sent / packed",
    )  # fmt: skip
    return Table(title, columns, rows), checks


def _prediction_table(rows: Sequence[Sequence[Cell]], counts: Sequence[int]) -> Table:
    columns = ("problem", "records of each host", "Gbit/s", *map(str, counts), "worth it up to")
    notes = (
        f"Predicted, one thread a host, {WIRE_SECONDS * 1e6:g} us from host to host. Worth it up to: the number of "
        f"hosts up to which twice the hosts are at least {WORTH:g} times as fast.",
    )
    return Table("Thousand records a second, by the number of hosts", columns, rows, notes)


def _step_table(steps: Steps) -> Table:
    rows = [
        [name, batch, hosts, step.seconds * 1e3, step.gradients / 1e3, step.features / 1e3]
        for (name, batch, hosts), step in steps.items()
    ]
    columns = ("problem", "records of each host", "hosts", "computing, ms", "gradients, kB", "which features, kB")
    return Table("A step on each host", columns, rows)


def _collective_table(collectives: Mapping[int, Collective]) -> Table:
    rows = [[hosts, found.seconds * 1e6, found.per_byte * 1e9] for hosts, found in collectives.items()]
    return Table("A collective of processes on loopback", ("hosts", "us", "and ns a byte"), rows)
