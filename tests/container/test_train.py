"""``docker run IMAGE train`` on the tree of SageMaker's contract."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

import openfm
from support.docker import mount, run_image, start_image

pytestmark = pytest.mark.docker


def set_hyperparameters(job: Path, **changes: str) -> None:
    path = job / "input" / "config" / "hyperparameters.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_trains_a_model_that_this_package_loads(trained_job: Path) -> None:
    model = openfm.load_model(trained_job / "model")
    assert model.feature_dim == 100
    assert model.factors.shape == (100, 2)


def test_model_is_readable_by_all_and_output_holds_no_failure(trained_job: Path) -> None:
    assert (trained_job / "model" / "model_algo-1").stat().st_mode & 0o777 == 0o644
    assert not (trained_job / "output" / "failure").exists()


def test_trains_on_parquet(job: Path) -> None:
    train = job / "input" / "data" / "train"
    X, y = openfm.read_data(train / "ratings.pbr")
    openfm.write_data(train / "ratings.parquet", X, y)
    (train / "ratings.pbr").unlink()
    config = {"train": {"ContentType": "application/x-parquet"}}
    (job / "input" / "config" / "inputdataconfig.json").write_text(json.dumps(config))
    run = run_image("train", options=[mount(job)])
    assert run.returncode == 0, run.stdout + run.stderr
    assert (job / "model" / "model_algo-1").is_file()


def test_default_command_trains(job: Path) -> None:
    run = run_image(options=[mount(job)])
    assert run.returncode == 0, run.stdout + run.stderr
    assert "#quality_metric: host=" in run.stdout
    assert (job / "model" / "model_algo-1").is_file()


def test_nothing_mounted_says_what_to_mount() -> None:
    run = run_image("train")
    assert run.returncode == 2
    assert "/opt/ml/input/config/hyperparameters.json" in run.stdout + run.stderr
    assert "-v " in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr


def test_bad_hyperparameter_is_the_customers_failure(job: Path) -> None:
    set_hyperparameters(job, num_factors="many")
    run = run_image("train", options=[mount(job)])
    assert run.returncode == 2
    failure = (job / "output" / "failure").read_text()
    assert failure.startswith("ClientError: ")
    assert "num_factors" in failure.splitlines()[0]
    assert len(failure) < 1024


def test_no_space_left_for_the_model(job: Path) -> None:
    set_hyperparameters(job, num_factors="5000")
    run = run_image("train", options=[mount(job), "--tmpfs=/opt/ml/model:size=64k"])
    assert run.returncode == 3, run.stdout + run.stderr
    sentence = "PlatformError: The model cannot be written to /opt/ml/model/model_algo-1: No space left on device."
    assert (job / "output" / "failure").read_text().startswith(sentence)


def test_any_user_trains(job: Path) -> None:
    for path in (job, *job.rglob("*")):
        os.chown(path, 1234, 1234)
    run = run_image("train", options=[mount(job), "--user=1234:1234"])
    assert run.returncode == 0, run.stdout + run.stderr
    assert {path.stat().st_uid for path in job.rglob("*")} == {1234}


def test_any_user_trains_into_the_image_s_own_folders(job: Path) -> None:
    run = run_image(
        "sh", "-c", "train >/dev/null && stat -c '%u %a' /opt/ml/model/model_algo-1",
        options=[mount(job / "input", "/opt/ml/input", "ro"), "--user=1234:1234"],
    )  # fmt: skip
    assert (run.returncode, run.stdout) == (0, "1234 644\n"), run.stderr


def test_read_only_root(job: Path) -> None:
    run = run_image("train", options=[mount(job), "--read-only", "--tmpfs=/tmp"])
    assert run.returncode == 0, run.stdout + run.stderr
    assert (job / "model" / "model_algo-1").is_file()


def test_with_nothing_but_its_own_folder(job: Path) -> None:
    for path in (job, *job.rglob("*")):
        os.chown(path, 1000, 1000)
    confined = ["--read-only", "--tmpfs=/tmp", "--user=1000", "--cap-drop=ALL", "--network=none"]
    run = run_image("train", options=[mount(job), *confined])
    assert run.returncode == 0, run.stdout + run.stderr
    assert openfm.load_model(job / "model").feature_dim == 100


def test_sigterm_leaves_a_model_of_the_epochs_done(job: Path) -> None:
    set_hyperparameters(job, epochs="10000000")
    with start_image("train", options=[mount(job)]) as container:
        container.wait_for_log("epoch=1,")
        seconds, code = container.stop()
        assert (code, seconds < 20) == (0, True), container.logs()
    assert openfm.load_model(job / "model").feature_dim == 100


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.1, 0.3, 0.6])
def test_sigterm_is_not_lost_while_it_starts(job: Path, delay: float) -> None:
    set_hyperparameters(job, epochs="10000000")
    with start_image("train", options=[mount(job)]) as container:
        time.sleep(delay)
        seconds, code = container.stop()
        assert (code, seconds < 20) == (0, True), container.logs()


def test_same_model_as_outside_the_image(trained_job: Path, job: Path) -> None:
    run = run_image("openfm", "train", options=[mount(job)])
    assert run.returncode == 0, run.stdout + run.stderr
    name = Path("model") / "model_algo-1"
    assert (job / name).read_bytes() == (trained_job / name).read_bytes()
