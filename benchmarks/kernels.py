"""Training's loop beside the prototype kernel, epoch by epoch in turn, in one process and on one thread.

What is timed of openfm is the whole of what a job does in an epoch over data that it keeps: the kernels in the pieces
in which the job asks for them, their guard against values that are not finite, and the running metrics. The prototype
(see ``prototype/README.md``) is the kernel alone.
"""

from __future__ import annotations

from benchmarks import data
from benchmarks.frame import Check, Options, Report, Spread, Table, interleaved, paired_ratio, progress
from benchmarks.own import OwnTraining
from benchmarks.prototype.engine import Prototype

LEAST = {"MNIST": 0.85, "MovieLens": 0.75, "clicks": 0.85}


def run(options: Options) -> Report:
    rows, checks = [], []
    for problem in data.problems(quick=options.quick):
        progress(problem.title)
        own = OwnTraining(problem.train.X, problem.train.y, problem.k)
        prototype = Prototype(problem.train.X, problem.train.y, problem.k, data.BATCH_SIZE)

        def prototype_epoch(prototype: Prototype = prototype) -> None:
            prototype.epoch(1)

        timings = interleaved({"openfm": own.epoch, "prototype": prototype_epoch}, options.rounds)
        ratio = paired_ratio(timings["prototype"].cpu, timings["openfm"].cpu)
        speeds = [Spread.of(timings[name].cpu).rate(problem.train.rows / 1e6) for name in ("openfm", "prototype")]
        rows.append([problem.title, *speeds, ratio])
        checks.append(Check(f"openfm / prototype, {problem.title}", ratio.median, at_least=LEAST[problem.name]))
    columns = ("data", "openfm, M rows/s", "prototype, M rows/s", "openfm / prototype")
    return Report([Table("An epoch on one thread, by CPU time", columns, rows)], checks)
