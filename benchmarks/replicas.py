"""What hosts compute, without what they tell each other: all of them at once on this machine, each for itself.

Hosts that share a machine share its processors, caches and memory, so what one computes alone says little. A job of
several hosts is trained within this process first, and what its collectives give is kept. Then each host trains it
again, in a process of its own and all at the same time, and gets these results at once.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.containers import ENVIRON, epoch_speeds, host_job
from benchmarks.data import Problem
from openfm.contract.paths import ContractPaths
from openfm.training.hosts.collective import Collective
from openfm.training.job import run
from openfm.training.stop import StopRequest
from support.docker_hosts import host_names, write_resource_config
from support.hosts import all_well, on_hosts

__all__ = ["computing_seconds"]


def computing_seconds(problem: Problem, hosts: int, batch: int, *, epochs: int, rounds: int) -> float:
    """Seconds of a step on the first host, in which it waits for nobody.

    Args:
        problem: what is trained.
        hosts: how many, of one thread each.
        batch: records that a step takes from each.
        epochs: two or more; the first does not count.
        rounds: how often this is measured; the median counts.

    Raises:
        RuntimeError: a host failed.
    """
    names = host_names(hosts)
    with tempfile.TemporaryDirectory() as folder:
        jobs = [host_job(Path(folder) / name, problem, batch, epochs) for name in names]
        for job, name in zip(jobs, names, strict=True):
            write_resource_config(job, name, names)
        results: list[np.ndarray] = []
        with contextlib.redirect_stdout(io.StringIO()):
            all_well(on_hosts(hosts, lambda host: _train(jobs[host.rank], _Recorder(host, results))))
        speeds = [_speed_without_others(jobs, results, epochs) for _ in range(rounds)]
    return hosts * batch / statistics.median(speeds)


def _speed_without_others(jobs: Sequence[Path], results: Sequence[np.ndarray], epochs: int) -> float:
    """Records a second that the first host would train with the others, if it did not have to wait for them."""
    context = multiprocessing.get_context("fork")  # the results are too large to be sent to each
    replicas = [
        context.Process(target=_train_alone, args=(job, rank, len(jobs), results)) for rank, job in enumerate(jobs)
    ]
    for replica in replicas:
        replica.start()
    for replica in replicas:
        replica.join()
    log = (jobs[0] / "log").read_text()
    if any(replica.exitcode for replica in replicas):
        raise RuntimeError(f"a host that trained for itself failed: {log[-2000:]}")
    return statistics.median(epoch_speeds(log, epochs)[1:])


def _train(job: Path, collective: Collective) -> None:
    run(ContractPaths(job), ENVIRON, StopRequest(), connect=lambda *_, **__: collective)


def _train_alone(job: Path, rank: int, size: int, results: Sequence[np.ndarray]) -> None:
    with (job / "log").open("w") as log, contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        _train(job, _Replay(rank, size, iter(results)))


class _Recorder:
    """A host's collectives, whose results the first keeps."""

    def __init__(self, collective: Collective, results: list[np.ndarray]) -> None:
        self._collective = collective
        self._results = results
        self.rank, self.size, self.step = collective.rank, collective.size, 0

    def sum(self, array: np.ndarray) -> None:
        self._collective.sum(array)
        self._keep(array)

    def maximum(self, array: np.ndarray) -> None:
        self._collective.maximum(array)
        self._keep(array)

    def bitwise_or(self, array: np.ndarray) -> None:
        self._collective.bitwise_or(array)
        self._keep(array)

    def finish(self) -> None:
        self._collective.finish()

    def _keep(self, array: np.ndarray) -> None:
        if self.rank == 0:
            self._results.append(array.copy())


class _Replay:
    """Collectives that give what they gave before, without waiting for anybody."""

    def __init__(self, rank: int, size: int, results: Iterator[np.ndarray]) -> None:
        self.rank, self.size, self.step = rank, size, 0
        self._results = results

    def sum(self, array: np.ndarray) -> None:
        array[:] = next(self._results)

    maximum = bitwise_or = sum

    def finish(self) -> None:
        """Nobody is waited for."""
