"""Where the kernel says what a process may use: its control groups, version 1 and 2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["PROCESS_CGROUPS", "ROOT", "CgroupFolder", "cgroup_folders"]

ROOT = Path("/sys/fs/cgroup")
"""Where the cgroup file systems are mounted."""

PROCESS_CGROUPS = Path("/proc/self/cgroup")
"""The file that names the process's cgroups."""


class CgroupFolder(NamedTuple):
    """A folder that may hold a limit (it may as well not exist), and the version of its file names."""

    path: Path
    version: int


def cgroup_folders(
    controller: str, root: Path = ROOT, process_cgroups: Path = PROCESS_CGROUPS
) -> Iterator[CgroupFolder]:
    """The folders of the process's cgroups and of those that these lie in: each may limit the process.

    Args:
        controller: such as ``cpu`` or ``memory``.
        root: where the cgroup file systems are mounted.
        process_cgroups: the file that names the process's cgroups.
    """
    try:
        lines = process_cgroups.read_text().splitlines()
    except OSError:  # no cgroups: not Linux, or a sandbox that hides them
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:
            mounts, version = [root], 2
        elif controller in controllers.split(","):
            mounts, version = [root / controller, root / controllers], 1
        else:
            continue
        # In a container the named group may be the host's, and only the mount's root is there.
        inner = Path(group.strip("/"))
        for mount in mounts:
            for part in (inner, *inner.parents):
                yield CgroupFolder(mount / part, version)
