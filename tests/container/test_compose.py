"""``docker compose up``, with the old docker-compose and with the plugin of today."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.docker import docker, http_request
from support.ports import free_port

pytestmark = pytest.mark.docker

ROOT = Path(__file__).resolve().parents[2]
OWNER = 1234
Compose = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def port() -> int:
    """A port that is free."""
    return free_port()


@pytest.fixture(params=["docker-compose", "docker compose"])
def compose(request: pytest.FixtureRequest, job: Path, port: int) -> Iterator[Compose]:
    """A command of compose on ``job``, which belongs to a user of its own."""
    command = request.param.split()
    try:
        subprocess.run([*command, "version"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"{request.param} is not installed")
    project = f"openfm-test-{port}"
    environ = os.environ | {"OPT_ML": str(job), "OPENFM_PORT": str(port)}
    for path in (job, *job.rglob("*")):
        os.chown(path, OWNER, OWNER)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, "--project-name", project, *arguments],
            cwd=ROOT, env=environ, capture_output=True, text=True, timeout=300,
        )  # fmt: skip

    yield run
    run("down", "--volumes", "--timeout", "1")


def container_of(compose: Compose, service: str) -> str:
    return compose("ps", "--quiet", service).stdout.strip()


def test_up_trains_then_serves(compose: Compose, job: Path, port: int, request_body: bytes) -> None:
    up = compose("up", "--detach")
    assert up.returncode == 0, up.stdout + up.stderr
    deadline = time.monotonic() + 180
    while health(container_of(compose, "serve")) != "healthy":
        assert time.monotonic() < deadline, compose("logs").stdout
        time.sleep(0.5)
    answer = http_request(f"http://127.0.0.1:{port}/invocations", request_body, "application/json")
    assert answer.status == 200, answer.body
    assert len(answer.json()["predictions"]) == 4
    assert (job / "model" / "model_algo-1").is_file()


def health(container: str) -> str:
    return docker("inspect", "--format", "{{.State.Health.Status}}", container).stdout.strip()


def test_every_file_left_belongs_to_the_owner_of_the_folder(compose: Compose, job: Path) -> None:
    run = compose("run", "--rm", "train")
    assert run.returncode == 0, run.stdout + run.stderr
    assert (job / "model" / "model_algo-1").is_file()
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in job.rglob("*")}
    assert owners == {(OWNER, OWNER)}


def test_a_job_that_fails_is_not_served(compose: Compose, job: Path) -> None:
    path = job / "input" / "config" / "hyperparameters.json"
    path.write_text(json.dumps({"feature_dim": "100"}))
    up = compose("up", "--detach")
    assert up.returncode != 0
    assert re.search(r"exit(ed with code)?:? 2", up.stdout + up.stderr), up.stdout + up.stderr
    assert (job / "output" / "failure").read_text().startswith("ClientError: ")
    assert (job / "output" / "failure").stat().st_uid == OWNER
