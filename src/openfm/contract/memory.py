"""How much memory this process may use, how much it uses, and giving some back."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

from openfm.contract import cgroups
from openfm.contract.cgroups import cgroup_folders

__all__ = ["memory_limit", "resident_memory", "trim_memory"]

_LIMIT_FILES = {1: "memory.limit_in_bytes", 2: "memory.max"}
_STATM = Path("/proc/self/statm")


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


def resident_memory() -> int:
    """The bytes of memory that this process has now."""
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


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
