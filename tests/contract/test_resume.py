"""Checkpoints: a job that was stopped or killed goes on as if it never had been."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import openfm
from support.jobs import logged_metrics, make_job, run_job

HYPERPARAMETERS = {
    "feature_dim": 40,
    "num_factors": 5,
    "predictor_type": "binary_classifier",
    "mini_batch_size": 100,
    "epochs": 30,
}
EPOCH = re.compile(r"epoch=(\d+), batch=0 train")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = (rng.random((20_050, 40)) < 0.3).astype(np.float32)
    return X, (X[:, 0] + X[:, 1] > 0).astype(np.float32)


def job(base, data, **changes):
    make_job(base, HYPERPARAMETERS | changes, data, dense=False)
    (base / "checkpoints").mkdir()
    return base


def model_of(base):
    return (base / "model" / "model_algo-1").read_bytes()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, data):
    base = job(tmp_path_factory.mktemp("undisturbed"), data)
    done = run_job(base)
    assert done.returncode == 0, done.stderr
    return base, logged_metrics(done.stdout)


def start(base, **environ):
    return subprocess.Popen(
        [sys.executable, "-m", "openfm", "train"],
        env={"PATH": os.environ["PATH"], "SAGEMAKER_BASE_DIR": str(base), **environ},
        stdout=subprocess.PIPE,
        text=True,
    )


def interrupt(base, number, after, **environ):
    """Runs the job and sends it a signal so long after its first epoch began; returns its log."""
    with start(base, **environ) as process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if EPOCH.search(line):
                break
        time.sleep(after)
        process.send_signal(number)
        lines += process.stdout
        code = process.wait(timeout=60)
    # A stop is no failure; a job that was quick enough to end is none either.
    assert code == 0 if number == signal.SIGTERM else code in (0, -signal.SIGKILL)
    return "".join(lines)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("seed", range(3))
def test_a_job_goes_on_to_the_same_bytes(tmp_path, data, undisturbed, number, seed):
    base = job(tmp_path, data)
    moments = random.Random(seed)
    first = interrupt(base, number, moments.uniform(0, 0.4), OPENFM_CHECKPOINT_SECONDS="0.05")
    second = interrupt(base, number, moments.uniform(0, 0.4), OPENFM_CHECKPOINT_SECONDS="0.05")
    done = run_job(base)
    assert done.returncode == 0, done.stderr
    assert model_of(base) == model_of(undisturbed[0])
    logged = logged_metrics(first) | logged_metrics(second) | logged_metrics(done.stdout)
    assert logged == undisturbed[1]
    # What was done is not done again: a run begins where the one before it was stopped.
    if EPOCH.search(second) and number == signal.SIGTERM:
        assert int(EPOCH.findall(second)[0]) >= int(EPOCH.findall(first)[-1])


def test_a_stopped_job_leaves_a_model_and_says_so(tmp_path, data):
    base = job(tmp_path, data, epochs=100_000)
    log = interrupt(base, signal.SIGTERM, 0.1)
    assert "Stopped on request" in log
    assert openfm.load_model(base / "model").feature_dim == 40
    assert "Resuming from a checkpoint: " in interrupt(base, signal.SIGTERM, 0.0)


def test_a_finished_job_is_not_trained_again(tmp_path, data, undisturbed):
    base = tmp_path / "job"
    shutil.copytree(undisturbed[0], base)
    (base / "model" / "model_algo-1").unlink()
    log = run_job(base).stdout
    assert "Resuming from a checkpoint: 30 epochs" in log
    assert "There is nothing left to train" in log
    assert "epoch=" not in log
    summary = {key: value for key, value in undisturbed[1].items() if key[1] is None}
    assert logged_metrics(log) == summary
    assert model_of(base) == model_of(undisturbed[0])


def test_more_epochs_go_on_where_fewer_ended(tmp_path, data, undisturbed):
    base = job(tmp_path, data, epochs=12)
    run_job(base)
    config = base / "input" / "config" / "hyperparameters.json"
    config.write_text(config.read_text().replace('"12"', '"30"'))
    log = run_job(base).stdout
    assert "epoch=12, batch=0 train" in log
    assert "epoch=11, " not in log
    assert model_of(base) == model_of(undisturbed[0])


def test_other_hyperparameters_are_refused(tmp_path, data):
    base = job(tmp_path, data, epochs=1)
    run_job(base)
    config = base / "input" / "config" / "hyperparameters.json"
    config.write_text(config.read_text().replace("{", '{"factors_lr": "0.5", "seed": "3", ', 1))
    done = run_job(base)
    assert done.returncode == 2
    failure = (base / "output" / "failure").read_text()
    assert "factors_lr 0.0001 there and 0.5 here, seed 0 there and 3 here" in failure


def test_torn_and_foreign_files_are_passed_over_with_a_warning(tmp_path, data, undisturbed):
    base = job(tmp_path, data)
    run_job(base)
    newest = sorted((base / "checkpoints").iterdir())[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    (base / "checkpoints" / "notes.txt").write_text("mine")
    log = run_job(base).stdout
    assert log.count(" WARNING ") == 2
    assert "epoch=29, batch=0 train" in log
    assert model_of(base) == model_of(undisturbed[0])


def test_a_checkpoint_beats_the_model_channel(tmp_path, data, undisturbed):
    base = job(tmp_path, data, epochs=12)
    run_job(base)
    other = make_job(tmp_path / "other", HYPERPARAMETERS | {"epochs": 1, "seed": 5}, data)
    run_job(other)
    (other / "model").rename(base / "input" / "data" / "model")
    config = base / "input" / "config" / "hyperparameters.json"
    config.write_text(config.read_text().replace('"12"', '"30"'))
    assert run_job(base).returncode == 0
    assert model_of(base) == model_of(undisturbed[0])


def test_a_checkpoint_beats_even_a_broken_model_channel(tmp_path, data):
    base = job(tmp_path, data, epochs=1)
    run_job(base)
    (base / "input" / "data" / "model").write_bytes(b"no model")
    done = run_job(base)
    assert done.returncode == 0
    assert "Training starts from the parameters of the model" not in done.stdout


def test_other_hyperparameters_that_select_nothing_are_fine(tmp_path, data):
    base = job(tmp_path, data, epochs=1)
    run_job(base)
    config = base / "input" / "config" / "hyperparameters.json"
    config.write_text(config.read_text().replace("{", '{"_num_gpus": "1", "_log_level": "debug", ', 1))
    assert run_job(base).returncode == 0


def test_data_that_became_fewer_are_noticed(tmp_path, data):
    base = job(tmp_path, data, epochs=100_000)
    X, y = data
    while True:  # until the stop comes within an epoch
        interrupt(base, signal.SIGTERM, 0.05)
        newest = sorted((base / "checkpoints").iterdir())[-1]
        with np.load(newest) as content:
            if json.loads(content["meta"].tobytes())["state"]["batch"] > 1:
                break
    openfm.write_records(base / "input" / "data" / "train" / "part-0.pbr", X[:100], y[:100])
    done = run_job(base)
    assert done.returncode == 2
    assert "holds only 1" in done.stderr


def test_a_stop_when_checkpoints_cannot_be_written_still_saves_the_model(tmp_path, data):
    base = job(tmp_path, data, epochs=100_000)
    with start(base) as process:
        for line in process.stdout:
            if EPOCH.search(line):
                break
        shutil.rmtree(base / "checkpoints")
        (base / "checkpoints").write_text("in the way")
        process.send_signal(signal.SIGTERM)
        log = process.stdout.read()
        code = process.wait(timeout=60)
    if code:  # the epoch ended before the signal came, and its own checkpoint failed
        assert code == 3
    else:
        assert "The checkpoint cannot be written" in log
        assert openfm.load_model(base / "model").feature_dim == 40


@pytest.mark.parametrize(
    "line", ["Reading default", "Final configuration", "initialize.time", "#throughput", "totaltime"]
)
def test_a_stop_at_any_line_of_the_log_is_no_failure(tmp_path, data, line):
    X, y = data
    base = make_job(tmp_path, HYPERPARAMETERS | {"epochs": 2}, (X[:2000], y[:2000]), dense=False)
    with start(base) as process:
        for text in process.stdout:
            if line in text:
                break
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        assert process.wait(timeout=60) == 0
    assert openfm.load_model(base / "model").feature_dim == 40


def test_shuffled_and_amazons_dense_jobs_go_on_too(tmp_path, data):
    X, y = data
    for name, changes in {"shuffled": {"shuffle": "true"}, "dense": {"dense_network": "amazon"}}.items():
        models = []
        for part in ("whole", "halves"):
            base = tmp_path / name / part
            make_job(base, HYPERPARAMETERS | {"epochs": 4} | changes, (X[:5000], y[:5000]), dense=name == "dense")
            (base / "checkpoints").mkdir()
            if part == "halves":
                config = base / "input" / "config" / "hyperparameters.json"
                whole = config.read_text()
                config.write_text(whole.replace('"epochs": "4"', '"epochs": "2"'))
                run_job(base)
                config.write_text(whole)
            assert run_job(base).returncode == 0
            models.append(model_of(base))
        assert models[0] == models[1]
