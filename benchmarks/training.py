"""Training beside other programs: an epoch's time, memory, and the quality after equal epochs.

Every tool runs in a process of its own with one thread, on the same rows in the same order. Speeds are of epochs in
turn over all tools. For the quality, each tool picks its learning rate from one small grid: it trains on the first nine
tenths of the training rows and the rate with the least log loss on the last tenth wins; then it trains on all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import data
from benchmarks.data import Problem
from benchmarks.frame import Cell, Check, Options, Report, Spread, Table, Timing, interleaved, paired_ratio, progress
from benchmarks.peers.process import FOLDER, Peer, PeerError, running, write_data

RATES = (0.001, 0.003, 0.01, 0.03)
EPOCHS = {"MNIST": 3, "MovieLens": 3, "clicks": 2}
CLICK_ROWS = 100_000  # of the million, so that the slowest tools end within minutes; the width is whole
WHOLE_CLICK_ROWS = 1_000_000  # for the tools that openfm is checked against, and their speed only
DECAY, SIGMA = 1e-4, 0.01
WORSE_AT_MOST = 0.003

# How many times as fast openfm has to be.
LEAST = {
    "MXNet's example": {"MNIST": 45, "MovieLens": 35, "clicks": 45},
    "modern-fm": dict.fromkeys(EPOCHS, 4),
    "myFM": dict.fromkeys(EPOCHS, 8),
}


@dataclass(frozen=True, slots=True)
class Tool:
    """A peer in one of its ways of training.

    Attributes:
        name: for the tables.
        peer, variant: its driver and what to tell it.
        group: under which name ``LEAST`` has it.
        rates: the learning rates to choose from.
        trait: why its quality may differ though epochs and rates are equal.
        only: the problems that it is run on; empty: all.
        is_scored: whether its quality is measured.
    """

    name: str
    peer: str
    variant: str = ""
    group: str = ""
    rates: Sequence[float] = RATES
    trait: str = ""
    only: Sequence[str] = ()
    is_scored: bool = True


OPENFM = Tool("openfm", "openfm")
MXNET = Tool("MXNet's example", "mxnet", group="MXNet's example")
TOOLS = (
    OPENFM,
    MXNET,
    Tool("MXNet, its example's metrics left out", "mxnet", "no metrics", is_scored=False),
    Tool("modern-fm, Adam", "modern-fm", "adam", "modern-fm", trait="it computes in float64"),
    Tool(
        "modern-fm, AdaGrad row by row", "modern-fm", "adagrad", "modern-fm",
        trait="AdaGrad row by row updates a thousand times as often in an epoch",
    ),
    Tool("myFM, Gibbs sampling", "myfm", group="myFM", rates=(0.0,), trait="Gibbs sampling averages over its sweeps"),
    Tool("PyTorch, EmbeddingBag", "pytorch", "sparse", trait="SparseAdam knows no weight decay"),
    Tool("PyTorch, dense", "pytorch", "dense", only=("MNIST",), trait="Adam updates every feature in every batch"),
    Tool("NumPy and SciPy", "numpy-scipy", trait="its initial values are other draws"),
)  # fmt: skip


def run(options: Options) -> Report:
    tables: list[Table] = []
    checks: list[Check] = []
    left_out: dict[str, str] = {}
    versions: dict[str, str] = {}

    def compare_speed(problem: Problem, tools: Sequence[Tool]) -> list[Tool]:
        progress(f"an epoch of {problem.title}")
        with _started(tools, problem, left_out) as peers:
            timings = interleaved({tool.name: peer.epoch for tool, peer in peers.items()}, options.rounds)
            peaks = {tool: peer.peak for tool, peer in peers.items()}
            for peer in peers.values():
                versions.update(peer.versions)
        tables.append(_speed_table(problem, timings, peaks))
        checks.extend(_speed_checks(problem, timings))
        return list(peaks)

    for problem in data.problems(quick=options.quick, click_rows=CLICK_ROWS):
        if options.quick and problem.name != "MNIST":
            continue
        able = compare_speed(problem, [tool for tool in TOOLS if not tool.only or problem.name in tool.only])
        scored = [tool for tool in able if tool.is_scored]
        table, same_rate = _quality(problem, scored, 1 if options.quick else EPOCHS[problem.name], options.quick)
        tables.append(table)
        checks.extend(same_rate)
    if not options.quick:
        compare_speed(data.click_problem(WHOLE_CLICK_ROWS), [OPENFM, *(tool for tool in TOOLS if tool.group)])
    reasons = [f"{name}: {reason}" for name, reason in left_out.items()]
    return Report(tables, checks, reasons, versions)


def settings_of(tool: Tool, k: int, rate: float) -> dict[str, object]:
    """What a driver is told."""
    return {
        "k": k, "batch_size": data.BATCH_SIZE, "rate": rate, "decay": DECAY, "sigma": SIGMA, "variant": tool.variant,
    }  # fmt: skip


@contextmanager
def _started(tools: Sequence[Tool], problem: Problem, left_out: dict[str, str]) -> Iterator[dict[Tool, Peer]]:
    """The tools that can be run, each with the problem loaded; of the others ``left_out`` gets the reasons."""
    folder = _folder(problem, "all")
    with ExitStack() as stack:
        peers = {}
        for tool in tools:
            try:
                peer = stack.enter_context(running(tool.peer))
                peer.load(folder, settings_of(tool, problem.k, 0.003))
                peers[tool] = peer
            except PeerError as error:
                left_out[tool.name] = str(error)
        yield peers


def _folder(problem: Problem, which: str) -> Path:
    """Where the problem lies for the drivers: ``all`` of it, or its training rows cut to pick the ``rate``."""
    rows = problem.train.rows
    folder = FOLDER / "data" / f"{problem.name}-{rows}-{which}"
    if which == "all":
        return write_data(folder, problem.train, problem.test)
    edge = rows * 9 // 10
    return write_data(folder, problem.train.part(0, edge), problem.train.part(edge, rows))


def _speed_table(problem: Problem, timings: dict[str, Timing], peaks: dict[Tool, int]) -> Table:
    rows: list[list[Cell]] = []
    own = timings[OPENFM.name]
    for tool, peak in peaks.items():
        timing = timings[tool.name]
        ratio = None if tool is OPENFM else paired_ratio(timing.cpu, own.cpu)
        speed = Spread.of(timing.cpu).rate(problem.train.rows / 1e3)
        rows.append([tool.name, speed, Spread.of(timing.cpu).scaled(1e3), Spread.of(timing.wall).scaled(1e3), ratio,
                     peak / 2**20])  # fmt: skip
    columns = ("tool", "k rows/s of CPU", "CPU ms an epoch", "wall ms an epoch", "openfm is faster by", "peak MiB")
    return Table(f"An epoch of {problem.title}, one thread", columns, rows)


def _speed_checks(problem: Problem, timings: dict[str, Timing]) -> list[Check]:
    own = timings[OPENFM.name]
    return [
        Check(
            f"openfm faster than {tool.name}, {problem.title}",
            paired_ratio(timings[tool.name].cpu, own.cpu).median,
            at_least=LEAST[tool.group][problem.name],
        )
        for tool in TOOLS
        if tool.group and tool.name in timings
    ]


def _quality(problem: Problem, tools: Sequence[Tool], epochs: int, quick: bool) -> tuple[Table, list[Check]]:
    rows: list[list[Cell]] = []
    losses: dict[Tool, float] = {}
    checks = []
    for tool in tools:
        progress(f"log loss of {tool.name} on {problem.title}")
        with running(tool.peer) as peer:
            rate = _picked_rate(peer, tool, problem, epochs, tool.rates[:1] if quick else tool.rates)
            losses[tool] = _trained(peer, tool, problem.k, _folder(problem, "all"), rate, epochs)
        rows.append([tool.name, f"{rate:g}" if len(tool.rates) > 1 else "-", f"{losses[tool]:.4f}"])
        if tool is MXNET:
            with running(OPENFM.peer) as peer:
                same = _trained(peer, OPENFM, problem.k, _folder(problem, "all"), rate, epochs)
            rows.append(["openfm at the rate of MXNet's example", f"{rate:g}", f"{same:.4f}"])
            what = f"log loss of openfm and of MXNet's example at one rate differ, {problem.title}"
            checks.append(Check(what, round(abs(same - losses[tool]), 5), at_most=WORSE_AT_MOST))
    notes = [_better(tool, losses) for tool in tools if losses[tool] < losses[OPENFM] - 5e-5]
    if problem.least_log_loss is not None:
        notes.append(f"The planted machine's own log loss is {problem.least_log_loss:.4f}.")
    title = f"Log loss on the test rows of {problem.title} after {epochs} epochs, {DECAY:g} weight decay"
    return Table(title, ("tool", "learning rate", "log loss"), rows, notes), checks


def _picked_rate(peer: Peer, tool: Tool, problem: Problem, epochs: int, rates: Sequence[float]) -> float:
    if len(rates) == 1:
        return rates[0]
    folder = _folder(problem, "rate")
    losses = {rate: _trained(peer, tool, problem.k, folder, rate, epochs) for rate in rates}
    return min(losses, key=lambda rate: losses[rate] if math.isfinite(losses[rate]) else math.inf)


def _trained(peer: Peer, tool: Tool, k: int, folder: Path, rate: float, epochs: int) -> float:
    """The log loss of the folder's test rows after some epochs."""
    peer.load(folder, settings_of(tool, k, rate))
    for _ in range(epochs):
        peer.epoch()
    return peer.test()


def _better(tool: Tool, losses: dict[Tool, float]) -> str:
    return f"{tool.name} ends {losses[OPENFM] - losses[tool]:.4f} below openfm: {tool.trait or 'its draws differ'}."
