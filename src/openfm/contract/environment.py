"""openfm's own environment variables of a training job, and how many CPUs this process may use."""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from openfm.contract import cgroups
from openfm.contract.cgroups import cgroup_folders
from openfm.contract.variables import Variable
from openfm.errors import CustomerError

__all__ = ["VARIABLES", "Environment", "available_cpus"]

MAX_THREADS = 1024

DEFAULT_CHECKPOINT_SECONDS = 60.0

DEFAULT_PIPE_TIMEOUT = 600.0

DEFAULT_HOSTS_PORT = 9099

DEFAULT_HOSTS_WAIT = 900.0

LAST_PORT = 65534
"""Of the first of the two ports at which hosts meet."""

_STRICT = Variable(
    ("OPENFM_STRICT",),
    "'1' refuses hyperparameters of openfm's own, in the words of Amazon's container",
    "'0'",
)
_NUM_THREADS = Variable(("OPENFM_NUM_THREADS",), "threads to train with; never changes the model", "one per processor")
_CHECKPOINT_SECONDS = Variable(
    ("OPENFM_CHECKPOINT_SECONDS",), "seconds between checkpoints within an epoch", f"'{DEFAULT_CHECKPOINT_SECONDS:g}'"
)
_CACHE_BYTES = Variable(
    ("OPENFM_CACHE_BYTES",),
    "memory for data kept from one epoch to the next, such as '500000000' or '2GiB'; never changes the model",
    "three quarters of what the model leaves",
)
_PIPE_TIMEOUT = Variable(
    ("OPENFM_PIPE_TIMEOUT",),
    "seconds to wait for a FIFO of Pipe mode, and for its next data",
    f"'{DEFAULT_PIPE_TIMEOUT:g}'",
)
_HOSTS_PORT = Variable(
    ("OPENFM_HOSTS_PORT",),
    "the first of two ports at which [several hosts](hosts.md) meet; the same on all hosts",
    f"'{DEFAULT_HOSTS_PORT}'",
)
_HOSTS_WAIT = Variable(("OPENFM_HOSTS_WAIT",), "seconds to wait for the other hosts", f"'{DEFAULT_HOSTS_WAIT:g}'")

VARIABLES = (
    _STRICT, _NUM_THREADS, _CHECKPOINT_SECONDS, _CACHE_BYTES, _PIPE_TIMEOUT, _HOSTS_PORT, _HOSTS_WAIT,
)  # fmt: skip
"""All of them."""

_UNITS = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


@dataclass(frozen=True, slots=True)
class Environment:
    """What openfm's own environment variables say.

    Attributes:
        strict: whether hyperparameters of openfm's own are refused.
        num_threads: how many threads may compute.
        checkpoint_seconds: how long an epoch is trained before the next checkpoint, above 0.
        pipe_timeout: seconds to wait for a FIFO of Pipe mode, and for its next data, above 0.
        cache_bytes: how much memory data kept between epochs may take; None: the job decides.
        hosts_port: at which several hosts meet on the first of them, and at the next.
        hosts_wait: seconds to wait for the other hosts, above 0.
    """

    strict: bool
    num_threads: int
    checkpoint_seconds: float = DEFAULT_CHECKPOINT_SECONDS
    pipe_timeout: float = DEFAULT_PIPE_TIMEOUT
    cache_bytes: int | None = None
    hosts_port: int = DEFAULT_HOSTS_PORT
    hosts_wait: float = DEFAULT_HOSTS_WAIT

    @classmethod
    def read(cls, environ: Mapping[str, str], *, cpus: Callable[[], int] | None = None) -> Environment:
        """Read the variables.

        Args:
            environ: such as ``os.environ``.
            cpus: the number of threads if none is given; :func:`available_cpus` if None.

        Raises:
            CustomerError: a variable has a value that it cannot have.
        """
        return cls(
            strict=_flag(environ, _STRICT.name),
            num_threads=_threads(environ, _NUM_THREADS.name) or (cpus or available_cpus)(),
            checkpoint_seconds=_seconds(environ, _CHECKPOINT_SECONDS.name) or DEFAULT_CHECKPOINT_SECONDS,
            pipe_timeout=_seconds(environ, _PIPE_TIMEOUT.name) or DEFAULT_PIPE_TIMEOUT,
            cache_bytes=_bytes(environ, _CACHE_BYTES.name),
            hosts_port=_port(environ, _HOSTS_PORT.name) or DEFAULT_HOSTS_PORT,
            hosts_wait=_seconds(environ, _HOSTS_WAIT.name) or DEFAULT_HOSTS_WAIT,
        )


def available_cpus(
    *,
    affinity: Callable[[], int] | None = None,
    cgroup_root: Path = cgroups.ROOT,
    process_cgroups: Path = cgroups.PROCESS_CGROUPS,
) -> int:
    """The number of CPUs that this process may use, at least 1.

    That is the CPUs it may be scheduled on, or fewer where a cgroup (version 1 or 2) has a quota,
    as ``docker run --cpus 1.5`` sets one. A fraction counts as a whole CPU.

    Args:
        affinity: the number of CPUs the process may be scheduled on.
        cgroup_root: where the cgroup file systems are mounted.
        process_cgroups: the file that names the process's cgroups.
    """
    cpus = (affinity or _scheduled_cpus)()
    quotas = _quotas(cgroup_root, process_cgroups)
    return max(1, math.ceil(min([cpus, *quotas])))


def _flag(environ: Mapping[str, str], key: str) -> bool:
    value = environ.get(key, "").strip().lower()
    if value in ("1", "true"):
        return True
    if value in ("", "0", "false"):
        return False
    raise CustomerError(
        f"The environment variable {key} is '{environ[key]}', but it takes 1 or 0. Set it to 1, or leave it unset."
    )


def _threads(environ: Mapping[str, str], key: str) -> int | None:
    value = environ.get(key, "").strip().lower()
    if value in ("", "auto"):
        return None
    if re.fullmatch("[0-9]{1,4}", value) and 1 <= int(value) <= MAX_THREADS:
        return int(value)
    raise CustomerError(
        f"The environment variable {key} is '{environ[key]}', but it takes a whole number from 1 "
        f"to {MAX_THREADS}. Leave it unset to use all CPUs that the process may use."
    )


def _seconds(environ: Mapping[str, str], key: str) -> float | None:
    value = environ.get(key, "").strip()
    if not value:
        return None
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value) and (seconds := float(value)) > 0:
        return seconds
    raise CustomerError(
        f"The environment variable {key} is '{environ[key]}', but it takes a number of seconds "
        f"above 0, such as {DEFAULT_CHECKPOINT_SECONDS:g}. Correct it, or leave it unset."
    )


def _port(environ: Mapping[str, str], key: str) -> int | None:
    value = environ.get(key, "").strip()
    if not value:
        return None
    if re.fullmatch("[0-9]{1,5}", value) and 1 <= int(value) <= LAST_PORT:
        return int(value)
    raise CustomerError(
        f"The environment variable {key} is '{environ[key]}', but it takes a port from 1 to {LAST_PORT}. Correct it, "
        f"or leave it unset for {DEFAULT_HOSTS_PORT}."
    )


def _bytes(environ: Mapping[str, str], key: str) -> int | None:
    value = environ.get(key, "").strip()
    if not value:
        return None
    if match := re.fullmatch(r"([0-9]{1,15}) ?(|KiB|MiB|GiB)", value):
        return int(match[1]) * _UNITS[match[2]]
    raise CustomerError(
        f"The environment variable {key} is '{environ[key]}', but it takes a number of bytes, or one of KiB, MiB or "
        "GiB, such as 2GiB. Correct it, or leave it unset."
    )


def _scheduled_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(root: Path, process_cgroups: Path) -> Iterator[float]:
    """The CPU quotas, in CPUs, of the process's cgroups and of those that these lie in."""
    for folder in cgroup_folders("cpu", root, process_cgroups):
        with contextlib.suppress(OSError, ValueError):  # not there, or "max": no quota
            yield (_quota_v2 if folder.version == 2 else _quota_v1)(folder.path)


def _quota_v2(folder: Path) -> float:
    quota, period = (folder / "cpu.max").read_text().split()
    return int(quota) / int(period)


def _quota_v1(folder: Path) -> float:
    quota = int((folder / "cpu.cfs_quota_us").read_text())
    period = int((folder / "cpu.cfs_period_us").read_text())
    return quota / period if quota > 0 else math.inf
