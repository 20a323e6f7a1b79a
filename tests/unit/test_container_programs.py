"""The image's programs, as far as they can be run outside it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CONTAINER = Path(__file__).parents[2] / "container"


@pytest.mark.parametrize("program", ["train", "serve"])
def test_arguments_are_refused(program: str, tmp_path: Path) -> None:
    command = [sys.executable, CONTAINER / program, "ratings.csv", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 2
    assert f"{program} takes no arguments, not 'ratings.csv --help'" in done.stderr
    assert f"openfm {program} " in done.stderr
