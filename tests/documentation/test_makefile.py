"""What make would do, without doing it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.documents import REPOSITORY


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The Makefile, and an environment that is up to date."""
    for name in ("Makefile", "pyproject.toml", "CMakeLists.txt"):
        shutil.copy(REPOSITORY / name, tmp_path / name)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)
    for name in ("build", "openfm", "extras", "tools"):
        stamp = tmp_path / ".venv" / f"{name}.stamp"
        stamp.touch()
        os.utime(stamp, (time.time() + 60,) * 2)
    return tmp_path


def plan(folder: Path, target: str) -> str:
    run = subprocess.run(
        ["make", "--dry-run", f"PYTHON={sys.executable}", target], cwd=folder, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_what_is_up_to_date_stays(folder: Path) -> None:
    assert "pip install" not in plan(folder, "install")


def test_an_environment_without_python_is_made_again(folder: Path) -> None:
    (folder / ".venv/bin/python").unlink()
    made = plan(folder, "lint")
    assert "-m venv .venv" in made
    assert '--editable ".[serve]"' in made
    assert "--group lint" in made
