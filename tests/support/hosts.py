"""Several hosts within one process: a thread each, and collectives without an engine."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from openfm.contract.paths import ContractPaths
from openfm.errors import PlatformError
from openfm.training.job import run
from openfm.training.stop import StopRequest

T = TypeVar("T")

PATIENCE = 300.0  # seconds until a test fails in which a host does not come


class _Ring:
    """What the hosts share."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._changed = threading.Condition()
        self._arrived = self._meetings = 0
        self._is_lost = False
        self.given: list[tuple[str, npt.NDArray[Any]] | None] = [None] * size
        self.bytes = 0  # that each host gave

    def meet(self, step: int) -> None:
        """Wait until all hosts are here."""
        with self._changed:
            meeting = self._meetings
            self._arrived += 1
            if self._arrived == self.size:
                self._arrived = 0
                self._meetings += 1
                self._changed.notify_all()
            while self._meetings == meeting:
                if self._is_lost or not self._changed.wait(PATIENCE):
                    raise PlatformError(f"Another host was lost at step {step}.")

    def lose(self) -> None:
        """A host comes no more: whoever waits for it learns of it."""
        with self._changed:
            self._is_lost = True
            self._changed.notify_all()


class ThreadedCollective:
    """One host; a :class:`openfm.training.hosts.collective.Collective`."""

    def __init__(self, ring: _Ring, rank: int) -> None:
        self.rank = rank
        self.size = ring.size
        self.step = 0
        self.ring = ring
        self.is_finished = False

    def sum(self, array: npt.NDArray[Any]) -> None:
        assert array.dtype in (np.float32, np.float64, np.int64)
        self._combine("sum", array, np.add)

    def maximum(self, array: npt.NDArray[Any]) -> None:
        assert array.dtype in (np.float32, np.float64, np.int64)
        self._combine("maximum", array, np.maximum)

    def bitwise_or(self, array: npt.NDArray[np.uint8]) -> None:
        assert array.dtype == np.uint8
        self._combine("bitwise_or", array, np.bitwise_or)

    def finish(self) -> None:
        self.sum(np.zeros(1))
        self.is_finished = True

    def _combine(self, name: str, array: npt.NDArray[Any], operation: np.ufunc) -> None:
        assert array.ndim == 1
        assert array.flags.c_contiguous
        assert array.flags.writeable
        self.ring.given[self.rank] = name, array
        self.ring.meet(self.step)
        operations, arrays = zip(*(given for given in self.ring.given if given is not None), strict=True)
        assert set(operations) == {name}, operations
        assert len({(other.shape, other.dtype) for other in arrays}) == 1
        with np.errstate(all="ignore"):
            result = arrays[0].copy()
            for other in arrays[1:]:
                operation(result, other, out=result)
        if self.rank == 0:
            self.ring.bytes += array.nbytes
        self.ring.meet(self.step)
        array[:] = result


def on_hosts(count: int, work: Callable[[ThreadedCollective], T]) -> list[T | Exception]:
    """Do something on several hosts at once.

    Returns:
        what each gave, or the exception that ended it; the others then see it as lost.
    """
    ring = _Ring(count)

    def do(rank: int) -> T | Exception:
        try:
            return work(ThreadedCollective(ring, rank))
        except Exception as error:
            ring.lose()
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(do, range(count)))


def all_well(results: Sequence[T | Exception]) -> list[T]:
    """The results of hosts none of which failed."""
    good: list[T] = []
    for result in results:
        if isinstance(result, Exception):
            raise next((e for e in results if isinstance(e, Exception) and not isinstance(e, PlatformError)), result)
        good.append(result)
    return good


def train_together(
    bases: Sequence[Path], stops: Sequence[StopRequest] | None = None, **environ: str
) -> list[Exception | int]:
    """Run the job of several contract trees on a host each; ``resourceconfig.json`` is written for them.

    Returns:
        the bytes of all that each host gave to collectives, or the exception that ended it.
    """
    names = [f"algo-{i + 1}" for i in range(len(bases))]
    for base, name in zip(bases, names, strict=True):
        (base / "input" / "config").mkdir(parents=True, exist_ok=True)
        resources = {"current_host": name, "hosts": names, "network_interface_name": "eth0"}
        (base / "input" / "config" / "resourceconfig.json").write_text(json.dumps(resources))
    given = stops or [StopRequest() for _ in bases]

    def host(collective: ThreadedCollective) -> int:
        base = bases[collective.rank]
        run(ContractPaths(base), environ, given[collective.rank], connect=lambda *_, **__: collective)
        assert collective.is_finished
        return collective.ring.bytes

    return on_hosts(len(bases), host)
