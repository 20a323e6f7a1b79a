"""Jobs for the image: copies of the quickstart, trained where a test wants a model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from support.docker import IMAGE, docker, mount, run_image

QUICKSTART = Path(__file__).resolve().parents[2] / "examples" / "quickstart"


@pytest.fixture(scope="session", autouse=True)
def image() -> dict[str, Any]:
    """What ``docker image inspect`` says of the image."""
    run = docker("image", "inspect", IMAGE)
    assert run.returncode == 0, f"there is no image {IMAGE!r}; build it with: make image"
    description: dict[str, Any] = json.loads(run.stdout)[0]
    return description


def copy_quickstart(folder: Path) -> Path:
    """Copy the quickstart's input, but nothing that an earlier run of it may have left."""
    shutil.copytree(QUICKSTART / "input", folder / "input")
    return folder


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A fresh ``/opt/ml`` tree of the quickstart job."""
    return copy_quickstart(tmp_path / "ml")


@pytest.fixture(scope="session")
def trained_job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The quickstart job after ``docker run IMAGE train``; not to be changed."""
    job = copy_quickstart(tmp_path_factory.mktemp("trained") / "ml")
    run = run_image("train", options=[mount(job)])
    assert run.returncode == 0, run.stdout + run.stderr
    return job


@pytest.fixture(scope="session")
def request_body() -> bytes:
    """The quickstart's request: four instances."""
    return (QUICKSTART / "request.json").read_bytes()
