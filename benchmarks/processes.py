"""Programs measured from start to exit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Usage", "measured"]

# A process's peak memory begins with that of the one it was forked from: so a small one starts the program.
_LAUNCHER = """
import json, os, sys, time
begin = time.perf_counter()
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
_, status, usage = os.wait4(child, 0)
wall = time.perf_counter() - begin
print(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * 1024]))
"""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a program used: CPU seconds, wall seconds, and the most bytes of memory (VmHWM)."""

    cpu: float
    wall: float
    peak: int


def measured(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Usage:
    """Run a program to its end; what it prints goes nowhere.

    Raises:
        RuntimeError: it failed.
    """
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _LAUNCHER, *command],
        env=os.environ | (environment or {}), capture_output=True, text=True, check=True,
    )  # fmt: skip
    code, cpu, wall, peak = json.loads(done.stdout)
    if code:
        raise RuntimeError(f"'{' '.join(command)}' ended with {code}: {done.stderr[-2000:]}")
    return Usage(cpu, wall, peak)
