"""Make the environments of the peers that pip can install: ``python -m benchmarks.peers.environments [PYTHON]``.

Each peer has a folder in ``.cache/bench`` with a virtual environment. What cannot be installed is left out: its
folder holds a file that says why instead, and the benchmarks name it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

__all__ = ["FOLDER", "REQUIREMENTS", "main", "python_of"]

FOLDER = Path(__file__).parents[2] / ".cache" / "bench"
REQUIREMENTS = Path(__file__).with_name("requirements")
_MXNET = FOLDER.parent / "mxnet"  # the tests' own
_WHY_NOT = "left-out"


def main() -> None:
    python = sys.argv[1] if len(sys.argv) > 1 else sys.executable
    for requirements in sorted(REQUIREMENTS.glob("*.txt")):
        folder = FOLDER / requirements.stem
        if not (folder / requirements.name).exists() or not _same(folder / requirements.name, requirements):
            print(f"Installing {requirements.stem} into {folder}", flush=True)
            make(folder, requirements, python)


def make(folder: Path, requirements: Path, python: str) -> None:
    """Make one environment anew, or write down why it cannot be made."""
    _run([python, "-m", "venv", "--clear", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
    done = _run([*pip, "--requirement", str(requirements)], check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
        reason = " ".join(errors[-1:]) or f"pip ended with {done.returncode}"
        (folder / _WHY_NOT).write_text(f"pip could not install it: {reason.removeprefix('ERROR: ')}")
    (folder / requirements.name).write_bytes(requirements.read_bytes())


def python_of(peer: str) -> tuple[Path | None, str]:
    """The interpreter of a peer's environment; or None and the reason why there is none."""
    if peer in ("openfm", "numpy-scipy"):
        return Path(sys.executable), ""
    folder = _MXNET if peer == "mxnet" else FOLDER / peer
    reason = folder / _WHY_NOT
    if reason.exists():
        return None, reason.read_text()
    python = folder / "bin" / "python"
    if not python.exists():
        made = "make mxnet" if peer == "mxnet" else "make bench"
        return None, f"its environment {folder.name} has not been made ({made} does, where the machine allows it)"
    return python, ""


def _same(a: Path, b: Path) -> bool:
    return a.read_bytes() == b.read_bytes()


def _run(command: list[str], *, check: bool) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=check)


if __name__ == "__main__":
    main()
