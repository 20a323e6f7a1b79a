"""Several containers that train one model together, on a Docker network of their own."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from soak.hosts import Campaign

import openfm
from datasets import Split
from support.docker import IMAGE, mount, run_image
from support.docker_hosts import empty_outputs, host_names, start_hosts, write_resource_config
from support.jobs import make_job

pytestmark = pytest.mark.docker

ROOT = Path(__file__).resolve().parents[2]
MODEL = Path("model") / "model_algo-1"
BATCH = 120
HYPERPARAMETERS = {"num_factors": 16, "epochs": 5}

Make = Callable[..., Path]


@pytest.fixture
def make(movielens: Split, tmp_path: Path) -> Make:
    """Makes a contract tree of a MovieLens job."""

    def make(name: str, mini_batch_size: int, predictor_type: str = "regressor") -> Path:
        labels = movielens.y_train if predictor_type == "regressor" else (movielens.y_train >= 4).astype(np.float32)
        given = HYPERPARAMETERS | {
            "feature_dim": movielens.X_train.shape[1],
            "predictor_type": predictor_type,
            "mini_batch_size": mini_batch_size,
        }
        return make_job(tmp_path / name, given, (movielens.X_train, labels))

    return make


def train_together(jobs: list[Path]) -> bytes:
    """Run a host for each tree; the first one's model."""
    with start_hosts(jobs) as hosts:
        codes = hosts.wait()
        assert codes == [0] * len(jobs), hosts.logs()
    for job in jobs[1:]:
        assert not (job / MODEL).exists()
        assert not (job / "output" / "failure").exists()
    return (jobs[0] / MODEL).read_bytes()


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("predictor_type", ["binary_classifier", "regressor"])
def test_hosts_train_what_one_trains_with_larger_batches(make: Make, predictor_type: str, count: int) -> None:
    alone = make("alone", count * BATCH, predictor_type)
    run = run_image("train", options=[mount(alone)], timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
    jobs = [make(name, BATCH, predictor_type) for name in host_names(count)]
    model = train_together(jobs)
    expected, found = openfm.load_model(alone / "model"), openfm.load_model(jobs[0] / "model")
    for name in ("factors", "linear", "bias"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=0, atol=1e-5, err_msg=name)
    if count == 2:  # once more
        empty_outputs(jobs)
        assert train_together(jobs) == model


def test_an_unknown_host_ends_the_wait(make: Make) -> None:
    job = make("job", BATCH)
    write_resource_config(job, "algo-1", ["algo-1", "algo-2"])
    run = run_image("train", options=[mount(job), "--env=OPENFM_HOSTS_WAIT=3"])
    assert run.returncode == 3, run.stdout + run.stderr
    failure = (job / "output" / "failure").read_text()
    assert "PlatformError: The 2 hosts of the job have not come together within 3 seconds: " in failure


def test_a_host_that_fails_ends_the_job(make: Make) -> None:
    jobs = [make(name, BATCH) for name in host_names(2)]
    for job in jobs:
        config = {"train": {"S3DistributionType": "ShardedByS3Key"}}
        (job / "input" / "config" / "inputdataconfig.json").write_text(json.dumps(config))
    (jobs[1] / "input" / "data" / "train" / "part-0.pbr").write_bytes(b"no records")
    with start_hosts(jobs) as hosts:
        assert hosts.wait() == [3, 2], hosts.logs()
    assert (jobs[0] / "output" / "failure").read_text().startswith("PlatformError: The connection to the other hosts ")
    assert (jobs[1] / "output" / "failure").read_text().startswith("ClientError: ")
    assert not (jobs[0] / MODEL).exists()


def test_a_stop_of_any_host_stops_all(make: Make) -> None:
    jobs = [make(name, BATCH) for name in host_names(2)]
    for job in jobs:
        path = job / "input" / "config" / "hyperparameters.json"
        path.write_text(path.read_text().replace('"epochs": "5"', '"epochs": "100000"'))
    with start_hosts(jobs) as hosts:
        hosts.wait_for_log(0, "epoch=1, ")
        hosts.terminate(1)
        assert hosts.wait(seconds=60) == [0, 0], hosts.logs()
    openfm.load_model(jobs[0] / "model")


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    return Campaign(tmp_path_factory.mktemp("soak"), sizes=(2,))


@pytest.mark.parametrize("fault", ["kill", "pause", "cut off"])
def test_a_fault_ends_all_and_a_restart_ends_as_if_nothing_had_been(campaign: Campaign, fault: str) -> None:
    campaign.round(2, fault, random.Random(fault))


@pytest.fixture(params=["docker-compose", "docker compose"])
def compose(request: pytest.FixtureRequest, job: Path) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    command = request.param.split()
    try:
        subprocess.run([*command, "version"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"{request.param} is not installed")

    environ = os.environ | {"OPT_ML": str(job), "OPENFM_IMAGE": IMAGE}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, "--file", "docker-compose.hosts.yml", "--project-name", f"openfm-hosts-{os.getpid()}",
             *arguments],
            cwd=ROOT, env=environ, capture_output=True, text=True, timeout=300,
        )  # fmt: skip

    yield run
    run("down", "--volumes", "--timeout", "1")


@pytest.mark.skipif(os.getuid() != 0, reason="gives the job's folder to another user, as only root may")
def test_the_example_for_compose(compose: Callable[..., subprocess.CompletedProcess[str]], job: Path) -> None:
    os.chown(job, 1234, 1234)
    up = compose("up", "--no-build")
    assert up.returncode == 0, up.stdout + up.stderr
    assert "All 2 hosts are connected." in up.stdout
    assert openfm.load_model(job / "model").feature_dim == 100
    assert (job / MODEL).stat().st_uid == 1234
    assert not (job / "input" / "config" / "resourceconfig.json").exists()
