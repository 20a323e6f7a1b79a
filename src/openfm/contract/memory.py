"""How much memory this process may use, how much it uses, and giving some back."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

from openfm.contract import cgroups
from openfm.contract.cgroups import cgroup_folders

__all__ = ["available_memory", "map_arrays", "memory_limit", "resident_memory", "trim_memory"]

_LIMIT_FILES = {1: "memory.limit_in_bytes", 2: "memory.max"}
_M_MMAP_THRESHOLD, _M_MMAP_MAX = -3, -4  # of malloc.h
_MAPPED_FROM = 2**16
_MOST_MAPPED = 2**15  # half of what Linux allows by default (vm.max_map_count)
_STATM = Path("/proc/self/statm")
_MEMINFO = Path("/proc/meminfo")


def memory_limit(
    *,
    physical: int | None = None,
    cgroup_root: Path = cgroups.ROOT,
    process_cgroups: Path = cgroups.PROCESS_CGROUPS,
) -> int:
    """The most bytes that this process may have: the machine's memory, or the smallest limit of its cgroups.

    ``docker run --memory 4g`` sets such a limit, and SageMaker's instances do not.

    Args:
        physical: the machine's memory in bytes; by default what the kernel says.
        cgroup_root: where the cgroup file systems are mounted.
        process_cgroups: the file that names the process's cgroups.
    """
    if physical is None:
        physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([physical, *_limits(cgroup_root, process_cgroups)])


def available_memory(*, limit: int | None = None, used: int | None = None, meminfo: Path = _MEMINFO) -> int:
    """The bytes that this process may still take without others having to make room.

    Args:
        limit: the most that it may have; by default :func:`memory_limit`.
        used: what it has; by default :func:`resident_memory`.
        meminfo: where the kernel says how much memory of the machine is available.
    """
    left = (memory_limit() if limit is None else limit) - (resident_memory() if used is None else used)
    with contextlib.suppress(OSError):  # some sandboxes hide it
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                left = min(left, int(line.split()[1]) * 1024)
    return max(0, left)


def resident_memory() -> int:
    """The bytes of memory that this process has now."""
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def map_arrays() -> None:
    """Give each array above 64 KiB pages of its own from here on: they go back to the system when it is freed.

    In glibc's heaps arrays that live long keep the gaps between them from being used by larger ones: of a training job
    that keeps its data, a fifth of the memory. With other C libraries nothing is done.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM)
        mallopt(_M_MMAP_MAX, _MOST_MAPPED)


def trim_memory() -> None:
    """Give the memory that was freed back to the system.

    glibc keeps it in the heap of a few threads, for whoever asks there next; with other C libraries nothing is done.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _limits(root: Path, process_cgroups: Path) -> Iterator[int]:
    for folder in cgroup_folders("memory", root, process_cgroups):
        with contextlib.suppress(OSError, ValueError):  # not there, or "max": no limit
            yield int((folder.path / _LIMIT_FILES[folder.version]).read_text())
