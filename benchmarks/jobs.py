"""Whole programs: a training job from its records to its model, peak memory, the command's start, sizes."""

from __future__ import annotations

import compileall
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import openfm
from benchmarks import data
from benchmarks.data import Problem
from benchmarks.frame import Cell, Check, Options, Report, Spread, Table, progress
from benchmarks.peers.process import FOLDER, ROOT
from benchmarks.processes import Usage, measured
from openfm.fm.trainer import trainer_bytes

EPOCHS = 5
MIB = 2**20
BUDGET = 16 * MIB
IMPORT_SECONDS = 0.15  # what `import numpy` takes where the limit of a job's CPU time is one second
OPENFM = (sys.executable, "-m", "openfm")


@dataclass(frozen=True, slots=True)
class Job:
    """A training job: its name, what it trains on, and the budget for decoded records in bytes, or none."""

    name: str
    problem: Problem
    epochs: int
    budget: int | None = None


def run(options: Options) -> Report:
    problems = {problem.name: problem for problem in data.problems(quick=options.quick)}
    jobs = [
        Job("MNIST", problems["MNIST"], EPOCHS),
        Job(f"MNIST, OPENFM_CACHE_BYTES={BUDGET}", problems["MNIST"], EPOCHS, BUDGET),
        Job("clicks", problems["clicks"], 2),
        Job(f"clicks, OPENFM_CACHE_BYTES={BUDGET}", problems["clicks"], 2, BUDGET),
    ]
    # As pip does when it installs: Python may be told to write no bytecode by itself.
    compileall.compile_dir(Path(openfm.__file__).parent, quiet=1)
    imports, usages = [], {job.name: [] for job in jobs}
    for number in range(options.rounds + 1):
        progress(f"round {number} of the jobs")
        taken = measured([sys.executable, "-c", "import numpy"]).cpu
        samples = {job.name: run_job(job) for job in jobs}
        if number:  # the first round brings the files into the page cache
            imports.append(taken)
            for name, usage in samples.items():
                usages[name].append(usage)
    sizes, left_out = _sizes()
    tables = [_job_table(jobs, usages, imports), _start_table(options), sizes]
    return Report(tables, _checks(jobs, usages, imports), left_out)


def run_job(job: Job) -> Usage:
    """Train it in a new folder, as a process."""
    environment = {} if job.budget is None else {"OPENFM_CACHE_BYTES": str(job.budget)}
    with contract_tree(job.problem, job.epochs) as tree:
        usage = measured([*OPENFM, "train"], environment | {"SAGEMAKER_BASE_DIR": str(tree)})
        assert (tree / "model" / "model_algo-1").stat().st_size
    return usage


@contextmanager
def contract_tree(problem: Problem, epochs: int) -> Iterator[Path]:
    """A folder like ``/opt/ml`` with the problem's training records (a link) and its hyperparameters."""
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name)
        (tree / "input" / "config").mkdir(parents=True)
        (tree / "input" / "data" / "train").mkdir(parents=True)
        (tree / "input" / "data" / "train" / "part-0").symlink_to(records(problem))
        hyperparameters = {
            "feature_dim": problem.feature_dim,
            "num_factors": problem.k,
            "predictor_type": "binary_classifier",
            "mini_batch_size": data.BATCH_SIZE,
            "epochs": epochs,
        }
        (tree / "input" / "config" / "hyperparameters.json").write_text(json.dumps(hyperparameters))
        yield tree


def records(problem: Problem) -> Path:
    """The problem's training rows as recordIO-protobuf, written once; MNIST's are dense, as Amazon's notebook's."""
    path = FOLDER / "records" / f"{problem.name}-{problem.train.rows}.rec"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        X = problem.train.X.toarray() if problem.name == "MNIST" else problem.train.X
        partial = path.with_suffix(".partial")
        openfm.write_records(partial, X, problem.train.y)
        partial.replace(path)
    return path


def _job_table(jobs: Sequence[Job], usages: dict[str, list[Usage]], imports: Sequence[float]) -> Table:
    rows: list[list[Cell]] = [["python -c 'import numpy'", None, None, Spread.of(imports), None, None]]
    for job in jobs:
        taken = usages[job.name]
        rows.append([
            job.name, records(job.problem).stat().st_size / 1e6, job.epochs, Spread.of([u.cpu for u in taken]),
            Spread.of([u.wall for u in taken]), Spread.of([u.peak / MIB for u in taken]),
        ])  # fmt: skip
    columns = ("job", "records, MB", "epochs", "CPU s", "wall s", "peak MiB")
    return Table("A training job from process start to exit, one thread", columns, rows)


def _checks(jobs: Sequence[Job], usages: dict[str, list[Usage]], imports: Sequence[float]) -> list[Check]:
    cpu = Spread.of([usage.cpu for usage in usages["MNIST"]]).median
    scale = Spread.of(imports).median / IMPORT_SECONDS
    peaks = {job.name: max(usage.peak for usage in usages[job.name]) / MIB for job in jobs}
    mnist, mnist_budget, click, click_budget = jobs
    return [
        Check("CPU s of the MNIST job, where import numpy takes 0.15 s", cpu / scale, at_most=1.0),
        Check("peak MiB of the MNIST job", peaks[mnist.name], at_most=160),
        Check("peak MiB of the MNIST job with a budget", peaks[mnist_budget.name], at_most=100),
        Check("peak MiB of the job on clicks", peaks[click.name], at_most=1.15 * _memory(click.problem) / MIB + 60),
        Check(
            "peak MiB of the job on clicks with a budget",
            peaks[click_budget.name],
            at_most=(_model_memory(click.problem) + BUDGET) / MIB + 60,
        ),
    ]


def _memory(problem: Problem) -> int:
    """The bytes that a job may need: its records indexed (14 a non-zero, 16 a row) and its model."""
    return 14 * problem.train.X.nnz + 16 * problem.train.rows + _model_memory(problem)


def _model_memory(problem: Problem) -> int:
    """The parameters and Adam's state, as a job says at its start."""
    return trainer_bytes(problem.feature_dim, problem.k)


def _start_table(options: Options) -> Table:
    imports, versions = [], []
    for _ in range(options.rounds):
        imports.append(measured([sys.executable, "-c", "import openfm"]).wall)
        versions.append(measured([*OPENFM, "--version"]).wall)
    rows = [["python -c 'import openfm'", Spread.of(imports)], ["openfm --version", Spread.of(versions)]]
    return Table("Starting (of the server see Serving)", ("what", "wall s"), rows)


def _sizes() -> tuple[Table, list[str]]:
    rows: list[list[Cell]] = []
    left_out = []
    wheels = sorted((ROOT / "dist").glob("openfm-*.whl"))
    if wheels:
        rows.append(["wheel (make wheel)", wheels[-1].stat().st_size / 1e6])
    else:
        left_out.append("the size of the wheel: dist/ holds none (make wheel)")
    image, reason = _image_size()
    if image:
        rows.append(["Docker image openfm (make image), uncompressed", image / 1e6])
    else:
        left_out.append(f"the size of the Docker image: {reason}")
    return Table("Sizes", ("what", "MB"), rows), left_out


def _image_size() -> tuple[int, str]:
    docker = shutil.which("docker")
    if docker is None:
        return 0, "there is no docker command"
    asked = [docker, "image", "inspect", "--format", "{{.Size}}", "openfm"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode:
        return 0, done.stderr.strip() or f"docker ended with {done.returncode}"
    return int(done.stdout), ""
