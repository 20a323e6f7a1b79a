"""The Python interpreters of this machine: those on PATH and those that pyenv holds.

Run as a program it prints the first interpreter that is one of the versions given, in their order::

    python tests/support/interpreters.py 3.11 3.8
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

__all__ = ["find_interpreters"]

Version = tuple[int, int]


def find_interpreters(environ: Mapping[str, str]) -> dict[Version, Path]:
    """Return one working interpreter for each minor version found, oldest first.

    Whatever ``PATH`` finds wins over pyenv. A candidate counts only when it runs and can make
    virtual environments: pyenv's shims and half-installed system Pythons may not.
    """
    found: dict[Version, Path] = {}
    for candidate in _candidates(environ):
        version = _usable_version(candidate)
        if version is not None:
            found.setdefault(version, candidate)
    return dict(sorted(found.items()))


def _candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    for folder in environ.get("PATH", "").split(os.pathsep):
        if folder:
            yield from _pythons_in(Path(folder))
    pyenv = Path(environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    for version in sorted((pyenv / "versions").glob("*")):
        yield from _pythons_in(version / "bin")


def _pythons_in(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("python3.*") if re.fullmatch(r"python3\.\d+", p.name))


def _usable_version(python: Path) -> Version | None:
    program = "import sys, venv, ensurepip; print(*sys.version_info[:2])"
    try:
        run = subprocess.run([python, "-c", program], capture_output=True, text=True, timeout=60)
    except OSError:
        return None
    if run.returncode:
        return None
    major, minor = run.stdout.split()
    return int(major), int(minor)


def main() -> int:
    """Print the first interpreter that has one of the versions asked for; 1 if there is none."""
    found = find_interpreters(os.environ)
    for argument in sys.argv[1:]:
        major, minor = argument.split(".")
        if (int(major), int(minor)) in found:
            print(found[int(major), int(minor)])
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
