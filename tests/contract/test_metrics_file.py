"""``output/data/metrics.jsonl`` of real jobs: what the log says, kills and checkpoints included."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openfm.contract.metrics_file import read_metrics
from support.jobs import logged_metrics, make_job, run_job

HYPERPARAMETERS = {
    "feature_dim": 12,
    "num_factors": 3,
    "predictor_type": "binary_classifier",
    "mini_batch_size": 50,
    "epochs": 3,
}


@pytest.fixture(scope="module")
def data() -> Any:
    rng = np.random.default_rng(0)
    X = (rng.random((430, 12)) < 0.4).astype(np.float32)
    return X, X[:, 0]


def events_of(base: Path) -> list[dict[str, Any]]:
    return read_metrics(base / "output" / "data" / "metrics.jsonl")


def test_it_says_what_the_log_says(tmp_path, data):
    base = make_job(tmp_path, HYPERPARAMETERS, data, (data[0][:99], data[1][:99]), dense=False)
    done = run_job(base)
    assert (done.returncode, done.stderr) == (0, "")
    logged = logged_metrics(done.stdout)
    start, *epochs, score, end = events_of(base)
    assert start["hyperparameters"]["epochs"] == "3"
    assert start["hyperparameters"]["factors_lr"] == "0.0001"
    assert [(event["event"], event["epoch"], event["channel"], event["rows"]) for event in epochs] == [
        ("epoch", epoch, "train", 430) for epoch in range(3)
    ]
    for event in epochs:
        assert event["metrics"] == {
            name: value
            for (channel, epoch, batch, name), value in logged.items()
            if (channel, epoch, batch) == ("train", event["epoch"], None)
        }
        assert event["seconds"] > 0
    assert (score["channel"], score["rows"]) == ("test", 99)
    assert score["metrics"] == {name: value for (channel, _, _, name), value in logged.items() if channel == "test"}
    assert (end["epochs"], end["stopped"]) == (3, False)
    assert end["seconds"] >= sum(event["seconds"] for event in epochs)


def test_early_stopping(tmp_path, data):
    still = {"bias_lr": 0, "linear_lr": 0, "factors_lr": 0, "early_stopping_patience": 2, "epochs": 9}
    base = make_job(tmp_path, HYPERPARAMETERS | still, data, dense=False)
    (base / "input" / "data" / "validation").symlink_to(base / "input" / "data" / "train")
    assert run_job(base).returncode == 0
    events = events_of(base)
    watched = [event["epoch"] for event in events if event.get("channel") == "validation" and "epoch" in event]
    assert watched == [0, 1, 2]
    (stop,) = (event for event in events if event["event"] == "early_stop")
    assert (stop["epoch"], stop["best_epoch"]) == (2, 0)
    assert events[-1]["epochs"] == 3
    assert "best_epoch" not in events[-1]


@pytest.mark.parametrize("patience", [2, 3])
def test_patience_that_ends_with_the_last_epoch_stops_nothing(tmp_path, data, patience):
    still = {"bias_lr": 0, "linear_lr": 0, "factors_lr": 0, "early_stopping_patience": patience, "epochs": 3}
    base = make_job(tmp_path, HYPERPARAMETERS | still, data, dense=False)
    (base / "input" / "data" / "validation").symlink_to(base / "input" / "data" / "train")
    done = run_job(base)
    assert done.returncode == 0
    assert "Stopped early" not in done.stdout
    events = events_of(base)
    assert [event["event"] for event in events if event["event"] not in ("epoch", "score")] == ["start", "end"]
    assert (events[-1]["epochs"], events[-1]["best_epoch"]) == (3, 0)


def test_a_job_that_was_killed_goes_on_without_repeating(tmp_path, data):
    base = make_job(tmp_path, HYPERPARAMETERS | {"epochs": 400}, data, dense=False)
    (base / "checkpoints").mkdir()
    command = [sys.executable, "-m", "openfm", "train"]
    environ = {"SAGEMAKER_BASE_DIR": str(base), "PATH": os.environ["PATH"]}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert any("epoch=20, train" in line for line in process.stdout)
        process.send_signal(signal.SIGKILL)
        process.stdout.read()
    text = (base / "output" / "data" / "metrics.jsonl").read_text()
    assert text.endswith("\n")
    assert all(json.loads(line)["event"] in ("start", "epoch") for line in text.splitlines())
    (base / "output" / "data" / "metrics.jsonl").unlink()  # a new machine gets the checkpoints only

    assert run_job(base).returncode == 0
    events = events_of(base)
    assert [event["epoch"] for event in events if event["event"] == "epoch"] == list(range(400))
    assert [event["event"] for event in events if event["event"] != "epoch"] == ["start", "resume", "end"]


def test_a_job_that_is_stopped_says_so(tmp_path, data):
    base = make_job(tmp_path, HYPERPARAMETERS | {"epochs": 1_000_000}, data, dense=False)
    command = [sys.executable, "-m", "openfm", "train"]
    environ = {"SAGEMAKER_BASE_DIR": str(base), "PATH": os.environ["PATH"]}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert any("epoch=3, train" in line for line in process.stdout)
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        assert process.wait(timeout=120) == 0
    assert events_of(base)[-1]["stopped"] is True


def test_a_folder_that_cannot_be_written_ends_no_job(tmp_path, data):
    base = make_job(tmp_path, HYPERPARAMETERS, data, dense=False)
    (base / "output").mkdir()
    (base / "output" / "data").write_text("in the way")
    done = run_job(base)
    assert done.returncode == 0
    assert done.stdout.count("The metrics cannot be written to ") == 1
