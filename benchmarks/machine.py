"""Where and when something was measured."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

__all__ = ["describe", "peak_memory", "versions"]


def describe() -> dict[str, str | float | int]:
    """The machine, the commit and the moment, for the head of a result."""
    return {
        "processor": _field("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "architecture": platform.machine(),
        "processors": len(os.sched_getaffinity(0)),
        "memory GiB": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{_field('/etc/os-release', 'PRETTY_NAME', '=') or platform.system()}, Linux {platform.release()}",
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "load average before": round(os.getloadavg()[0], 2),
        "commit": _commit(),
    }


def versions() -> dict[str, str]:
    """Of Python and of what openfm stands on."""
    names = ("openfm", "numpy", "scipy", "protobuf", "flask", "gunicorn")
    return {"Python": platform.python_version()} | {name: metadata.version(name) for name in names}


def peak_memory() -> int:
    """The most bytes of physical memory that this process has held (VmHWM)."""
    return int((_field("/proc/self/status", "VmHWM") or "0 kB").split()[0]) * 1024


def _field(path: str, name: str, separator: str = ":") -> str:
    """The first ``name: value`` in a file of such lines; empty if there is none."""
    file = Path(path)
    for line in file.read_text().splitlines() if file.exists() else ():
        key, found, value = line.partition(separator)
        if found and key.strip() == name:
            return value.strip().strip('"')
    return ""


# What the benchmarks themselves write.
_RESULTS = ("benchmarks/results", "docs", "README.md")


def _commit() -> str:
    """The commit that is measured, marked where anything but earlier results differs from it."""
    try:
        name = _git("rev-parse", "--short=10", "HEAD")
        changed = _git("status", "--porcelain", "--", ".", *(f":(exclude){path}" for path in _RESULTS))
    except (FileNotFoundError, subprocess.CalledProcessError):
        return "unknown"
    return f"{name}-dirty" if changed else name


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
