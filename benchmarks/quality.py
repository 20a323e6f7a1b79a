"""Quality without tuning: what each tool's own defaults reach on rows that nothing was chosen by.

Every tool is fitted once for each of several seeds, in a process of its own with one thread, two at a time, on all
training rows; a figure is the median over the seeds on the test rows. Nobody's settings are changed, but for a number
of factors where a tool has no default. The fits of the other programs, which take long, are kept in the cache: what
they predict does not change. Their processor time is that of the run that made them, as each table says.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from benchmarks import data
from benchmarks.data import Labelled, Problem
from benchmarks.frame import Cell, Check, Options, Report, Spread, Table, progress
from benchmarks.peers.defaults import RANK
from benchmarks.peers.environments import FOLDER, python_of
from benchmarks.peers.process import write_data

CLICK_ROWS = TEST_CLICKS = 100_000  # of so many rows to test on, a log loss is known to 0.0005 beside another one
WORSE_AT_MOST = 0.0005  # no worse in the third decimal
_ROOT = Path(__file__).parents[1]
_SPLIT = 2026  # of the small data sets; the defaults were chosen on other ones
_SLOW = 2  # seeds at most of tools that take minutes for a fit
_AT_ONCE = 2  # fits, each in a process of one thread
_LEAST_PROBABILITY = 1e-7
_KEPT = (
    "CPU s: of openfm in this run; of the other programs in the run that first fitted them, whatever else the machine "
    "did then. Only large differences say something."
)


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool with its defaults.

    Attributes:
        name: for the tables.
        key: in ``benchmarks.peers.defaults``.
        environment: of which peer; empty: this one.
        is_peer: whether openfm has to be no worse.
    """

    name: str
    key: str
    environment: str = ""
    is_peer: bool = True


OPENFM = Tool("openfm", "openfm", is_peer=False)
TOOLS = (
    OPENFM,
    Tool('openfm, preset="sagemaker"', "openfm-sagemaker", is_peer=False),
    Tool("modern-fm", "modern-fm", "modern-fm"),
    Tool(f"myFM, Gibbs sampling, {RANK} factors (libFM's default)", "myfm", "myfm"),
    Tool(f"myFM, variational, {RANK} factors", "myfm-variational", "myfm"),
    Tool("scikit-learn, LogisticRegression or Ridge", "sklearn-linear"),
    Tool("scikit-learn, SGD", "sklearn-sgd"),
)


@dataclass(frozen=True, slots=True)
class Task:
    """A problem and what is measured on it.

    Attributes:
        problem: its rows.
        is_regression: by root mean squared error, else by log loss.
        is_large: whether it has test rows enough to hold anybody to the result.
    """

    problem: Problem
    is_regression: bool
    is_large: bool = True

    @property
    def measure(self) -> str:
        return "RMSE" if self.is_regression else "log loss"


def tasks(*, quick: bool) -> Iterator[Task]:
    """What is measured, the smallest last: those show what unscaled features and few rows do."""
    if not quick:
        yield Task(data.ratings(), True)
        for problem in (data.mnist(), data.movielens(), data.click_problem(CLICK_ROWS, TEST_CLICKS)):
            yield Task(problem, False)
    yield Task(small("diabetes"), True, is_large=False)
    yield Task(small("breast cancer"), False, is_large=False)


def small(name: str) -> Problem:
    """A small data set of scikit-learn's, its features as they are, two thirds of the rows to train on."""
    from sklearn.datasets import load_breast_cancer, load_diabetes

    load: Callable[..., tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]
    load, title = {
        "diabetes": (lambda: load_diabetes(return_X_y=True, scaled=False), "diabetes, 294 rows of 10 features"),
        "breast cancer": (lambda: load_breast_cancer(return_X_y=True), "breast cancer, 379 rows of 30 features"),
    }[name]
    X, y = load()
    order = np.random.default_rng(_SPLIT).permutation(len(y))
    rows = csr_matrix(X[order].astype(np.float32))
    rows.indices = rows.indices.astype(np.int32)
    shuffled, edge = Labelled(rows, y[order].astype(np.float32)), len(y) * 2 // 3
    return Problem(name, title, 8, shuffled.part(0, edge), shuffled.part(edge, len(y)))


def run(options: Options) -> Report:
    tables: list[Table] = []
    checks: list[Check] = []
    left_out: dict[str, str] = {}
    versions: dict[str, str] = {}
    for task in tasks(quick=options.quick):
        folder = _written(task)
        rows: list[list[Cell]] = []
        medians: dict[Tool, float] = {}
        for tool in TOOLS:
            python, reason = python_of(tool.environment or "openfm")
            if python is None:
                left_out[tool.name] = reason
                continue
            progress(f"{tool.name} on {task.problem.title}")
            seeds = min(options.rounds, _SLOW) if tool.environment == "myfm" else options.rounds
            with ThreadPoolExecutor(min(_AT_ONCE, os.cpu_count() or 1)) as pool:
                fits = list(pool.map(partial(fitted, tool, folder, python=python), range(seeds)))
            versions |= fits[0].versions
            losses = Spread.of([loss(fit.predictions, task) for fit in fits])
            medians[tool] = losses.median
            rows.append([tool.name, _text(losses), *_accuracy(fits, task), Spread.of([fit.cpu for fit in fits])])
        columns = ("tool", task.measure, *(() if task.is_regression else ("accuracy",)), "CPU s")
        notes = [*([_least(task)] if task.problem.least_log_loss is not None else []), _KEPT]
        tables.append(
            Table(f"Defaults on the test rows of {task.problem.title.partition(', k =')[0]}", columns, rows, notes)
        )
        if task.is_large:
            checks.append(_check(task, medians))
    reasons = [f"{name}: {reason}" for name, reason in left_out.items()]
    return Report(tables, checks, reasons, versions)


@dataclass(frozen=True, slots=True)
class Fit:
    """What one fit predicts, and what it took."""

    predictions: npt.NDArray[np.float64]
    cpu: float
    versions: dict[str, str]


def fitted(tool: Tool, folder: Path, seed: int, python: Path) -> Fit:
    """Fit a tool on a folder's training rows; the other programs' fits come out of the cache if they were made.

    Raises:
        RuntimeError: the tool failed.
    """
    place = folder / "defaults" / f"{tool.key}-{_requirements(tool)}-{seed}"
    predictions, facts = place.with_suffix(".npy"), place.with_suffix(".json")
    if not (tool.is_peer and facts.exists()):
        predictions.parent.mkdir(exist_ok=True)
        counts = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
        done = subprocess.run(
            [python, "-m", "benchmarks.peers.defaults", tool.key, folder, str(seed), predictions],
            cwd=_ROOT, env=os.environ | dict.fromkeys(counts, "1"), capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{tool.name} failed with {done.returncode}: {done.stderr[-500:]}")
        facts.write_text(done.stdout)
    answer = json.loads(facts.read_text())
    return Fit(np.load(predictions).astype(np.float64), answer["cpu"], answer["versions"])


def loss(predictions: npt.NDArray[np.float64], task: Task) -> float:
    """Root mean squared error, or mean log loss, on the test rows; infinite where a prediction is not a number."""
    labels = task.problem.test.y.astype(np.float64)
    if not np.isfinite(predictions).all():
        return float("inf")
    if task.is_regression:
        return float(np.sqrt(np.mean(np.square(predictions - labels))))
    p = np.clip(predictions, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    return float(-np.mean(np.where(labels > 0.5, np.log(p), np.log1p(-p))))


def _accuracy(fits: Sequence[Fit], task: Task) -> list[Cell]:
    if task.is_regression:
        return []
    labels = task.problem.test.y > 0.5
    return [_text(Spread.of([float(np.mean((fit.predictions > 0.5) == labels)) for fit in fits]))]


def _check(task: Task, medians: dict[Tool, float]) -> Check:
    best = min((median for tool, median in medians.items() if tool.is_peer), default=float("inf"))
    what = f"{task.measure} of openfm's defaults above the best other one's, {task.problem.title.partition(', k =')[0]}"
    return Check(what, round(medians[OPENFM] - best, 5), at_most=WORSE_AT_MOST)


def _least(task: Task) -> str:
    return f"The planted machine's own log loss is {task.problem.least_log_loss:.4f}."


def _text(spread: Spread) -> str:
    """With the digits that differences need."""
    digits = 4 if spread.median < 10 else 2
    return f"{spread.median:.{digits}f} ({spread.low:.{digits}f} to {spread.high:.{digits}f})"


def _written(task: Task) -> Path:
    """Where the task lies for the tools."""
    problem = task.problem
    name = f"{problem.name.replace(' ', '-')}-{problem.train.rows}-{problem.test.rows}-defaults"
    folder = FOLDER / "data" / name
    write_data(folder, problem.train, problem.test)
    (folder / "task").write_text("regression" if task.is_regression else "classification")
    return folder


def _requirements(tool: Tool) -> str:
    """What tells versions of a tool apart."""
    if not tool.environment:
        return f"python{sys.version_info.major}.{sys.version_info.minor}"
    return hashlib.sha256((FOLDER / tool.environment / f"{tool.environment}.txt").read_bytes()).hexdigest()[:12]
