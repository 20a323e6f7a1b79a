"""The image's programs, as far as they can be run outside it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONTAINER = Path(__file__).parents[2] / "container"


def run(program: str, base: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, CONTAINER / program, "ratings.csv", "--help"]
    environ = os.environ | {"SAGEMAKER_BASE_DIR": str(base)}
    return subprocess.run(command, capture_output=True, text=True, env=environ, timeout=60)


@pytest.mark.parametrize("program", ["train", "serve"])
def test_arguments_are_refused(program: str, tmp_path: Path) -> None:
    done = run(program, tmp_path)
    assert done.returncode == 2
    assert f"ClientError: {program} takes no arguments, not 'ratings.csv --help'" in done.stderr
    assert f"'openfm {program} " in done.stderr


def test_a_job_with_arguments_has_its_failure_file(tmp_path: Path) -> None:
    (tmp_path / "output").mkdir()
    done = run("train", tmp_path)
    assert done.stderr.strip() == (tmp_path / "output" / "failure").read_text()
