"""What hosts compute, without what they tell each other: all of them at once on this machine, each for itself.

Hosts that share a machine share its processors, caches and memory, so what one computes alone says little. A job of
several hosts is trained within this process first, and what its collectives give is kept. Then each host
trains it again, in a process of its own and all at the same time, and gets these results at once.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import multiprocessing
import os
import statistics
import tempfile
import time
import traceback
from collections.abc import Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import BinaryIO

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

_LONGEST_SECONDS = 600.0  # all hosts train a job in less
_ALIGNMENT = 64


def computing_seconds(problem: Problem, hosts: int, batch: int, *, epochs: int, rounds: int) -> float:
    """Seconds of a step on the first host, in which it waits for nobody.

    Args:
        problem: what is trained.
        hosts: how many, of one thread each.
        batch: records that a step takes from each.
        epochs: two or more; the first does not count.
        rounds: how often this is measured; the median counts.

    Raises:
        RuntimeError: a host failed, or took more than ten minutes.
    """
    names = host_names(hosts)
    with tempfile.TemporaryDirectory() as folder:
        jobs = [host_job(Path(folder) / name, problem, batch, epochs) for name in names]
        for job, name in zip(jobs, names, strict=True):
            write_resource_config(job, name, names)
        with os.fdopen(
            os.memfd_create("results"), "wb"
        ) as results:  # a file without a disk, whose writing would disturb
            with contextlib.redirect_stdout(io.StringIO()):
                all_well(on_hosts(hosts, lambda host: _train(jobs[host.rank], _Recorder(host, results))))
            results.flush()
            place = Path(f"/proc/{os.getpid()}/fd/{results.fileno()}")
            speeds = [_speed_without_others(jobs, place, epochs) for _ in range(rounds)]
    return hosts * batch / statistics.median(speeds)


def _speed_without_others(jobs: Sequence[Path], results: Path, epochs: int) -> float:
    """Records a second that the first host would train with the others, if it did not have to wait for them."""
    context = multiprocessing.get_context("spawn")  # this process has threads, whose locks a fork would leave locked
    together = context.Barrier(len(jobs))
    replicas = [context.Process(target=_train_alone, args=(jobs, results, rank, together)) for rank in range(len(jobs))]
    deadline = time.monotonic() + _LONGEST_SECONDS
    try:
        for replica in replicas:
            replica.start()
        for replica in replicas:
            replica.join(max(0.0, deadline - time.monotonic()))
        exits = [replica.exitcode for replica in replicas]
    finally:
        for replica in replicas:
            if replica.is_alive():
                replica.kill()
                replica.join()
    if any(exits):
        raise RuntimeError(f"hosts that trained for themselves failed: {_logs(jobs)}")
    if None in exits:
        raise RuntimeError(
            f"hosts that trained for themselves took more than {_LONGEST_SECONDS:g} seconds: {_logs(jobs)}"
        )
    return statistics.median(epoch_speeds((jobs[0] / "log").read_text(), epochs)[1:])


def _logs(jobs: Sequence[Path]) -> str:
    logs = [job / "log" for job in jobs]
    return "\n".join(f"--- {log.parent.name}\n{log.read_text()[-2000:]}" for log in logs if log.exists())


def _train(job: Path, collective: Collective) -> None:
    run(ContractPaths(job), ENVIRON, StopRequest(), connect=lambda *_, **__: collective)


def _train_alone(jobs: Sequence[Path], results: Path, rank: int, together: Barrier) -> None:
    with (jobs[rank] / "log").open("w") as log, contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        try:
            replay = _replay_together(rank, len(jobs), results, together)
            _train(jobs[rank], replay)
        except BaseException:
            traceback.print_exc()  # into the log, which the error shows
            raise


def _replay_together(rank: int, hosts: int, results: Path, together: Barrier) -> _Replay:
    """The host's collectives, when all hosts have theirs."""
    try:
        replay = _Replay(rank, hosts, _in_memory(results))
    except BaseException:
        together.abort()  # so that nobody waits for this one
        raise
    together.wait(_LONGEST_SECONDS)
    return replay


def _in_memory(path: Path) -> memoryview:
    """A file's bytes in memory that all hosts share: they are too many for each to have them."""
    with path.open("rb") as file:
        flags = mmap.MAP_SHARED | mmap.MAP_POPULATE  # so that no page is fetched while time is measured
        return memoryview(mmap.mmap(file.fileno(), 0, flags=flags, prot=mmap.PROT_READ))


class _Recorder:
    """A host's collectives, whose results the first writes down."""

    def __init__(self, collective: Collective, results: BinaryIO) -> None:
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
            self._results.write(array.tobytes() + bytes(-array.nbytes % _ALIGNMENT))


class _Replay:
    """Collectives that give what they gave before, without waiting for anybody."""

    def __init__(self, rank: int, size: int, results: memoryview) -> None:
        self.rank, self.size, self.step = rank, size, 0
        self._results, self._offset = results, 0

    def sum(self, array: np.ndarray) -> None:
        array[:] = np.frombuffer(self._results, array.dtype, len(array), self._offset)
        self._offset += array.nbytes + -array.nbytes % _ALIGNMENT

    maximum = bitwise_or = sum

    def finish(self) -> None:
        """Nobody is waited for."""
