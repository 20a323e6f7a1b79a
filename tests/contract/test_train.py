"""``openfm train`` on contract trees: what it reads, writes and says. How it fails is in test_failures.py."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time

import numpy as np
import pytest

import openfm
from support.jobs import logged_metrics, make_job, run_job

HYPERPARAMETERS = {
    "feature_dim": 12,
    "num_factors": 3,
    "predictor_type": "binary_classifier",
    "mini_batch_size": 50,
    "epochs": 2,
}


@pytest.fixture(scope="module")
def data():
    """Labels that the first feature decides."""
    rng = np.random.default_rng(0)
    X = (rng.random((430, 12)) < 0.4).astype(np.float32)
    return X, X[:, 0]


def model_of(base):
    return base / "model" / "model_algo-1"


def warnings_of(log):
    return [line for line in log.splitlines() if " WARNING " in line]


def test_a_job_writes_its_model_its_metrics_and_nothing_else(tmp_path, data):
    base = make_job(tmp_path, HYPERPARAMETERS, data, data, dense=False)
    done = run_job(base)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in base.rglob("*") if path.is_file()) == [
        "hyperparameters.json",
        "metrics.jsonl",
        "model_algo-1",
        "part-0.pbr",
        "part-0.pbr",
    ]
    assert stat.S_IMODE(model_of(base).stat().st_mode) == 0o644
    model = openfm.load_model(base / "model")
    assert model.training_parameters["epochs"] == "2"
    assert model.predict(data[0]).shape == (430,)


def test_the_log_has_amazons_lines_in_amazons_order(tmp_path, data):
    base = make_job(tmp_path, HYPERPARAMETERS, data, data, dense=False)
    log = run_job(base).stdout
    order = [
        "Reading default configuration from ",
        "Merging with provided configuration from ",
        "Final configuration: {'epochs': '2', 'mini_batch_size': '50', 'use_bias': 'true'",
        "[Sparse network] Building a sparse network.",
        '"initialize.time"',
        "epoch=0, batch=0 train binary_classification_accuracy <score>=",
        "epoch=0, batch=0 train binary_classification_cross_entropy <loss>=",
        "epoch=0, batch=0 train binary_f_1.000 <score>=",
        "epoch=0, train binary_classification_accuracy <score>=",
        '"epochs": {"sum": 2.0',
        "#progress_metric: host=algo-1, completed 50.0 % of epochs",
        '"Meta": "training_data_iter"',
        "#throughput_metric: host=algo-1, train throughput=",
        "epoch=1, batch=0 train ",
        "epoch=1, train binary_f_1.000 <score>=",
        "#quality_metric: host=algo-1, train binary_classification_accuracy <score>=",
        "completed 100.0 % of epochs",
        '"finalize.time"',
        "#test_score (algo-1) : ('binary_classification_accuracy', ",
        "#quality_metric: host=algo-1, test binary_f_1.000 <score>=",
        "#quality_metric: host=algo-1, test auc <score>=",
        '"totaltime"',
    ]
    position = 0
    for text in order:
        position = log.index(text, position)
    assert "\x1b" not in log
    assert "\t" not in log


def test_batch_metrics_come_at_the_interval_and_run_from_the_epochs_start(tmp_path, data):
    hyperparameters = HYPERPARAMETERS | {"batch_metrics_publish_interval": 3}
    logged = logged_metrics(run_job(make_job(tmp_path, hyperparameters, data, dense=False)).stdout)
    batches = {batch for _, epoch, batch, _ in logged if epoch == 1 and batch is not None}
    assert batches == {0, 3, 6}
    # 430 records are 9 batches of 50: the padding of the last counts.
    accuracy = logged["train", 1, None, "binary_classification_accuracy"]
    assert accuracy * 450 == pytest.approx(round(accuracy * 450))


def test_without_a_test_channel(tmp_path, data):
    log = run_job(make_job(tmp_path, HYPERPARAMETERS, data, dense=False)).stdout
    assert "Test data is not provided." in log
    assert "#test_score" not in log


def test_log_level_leaves_metric_lines_only(tmp_path, data):
    base = make_job(tmp_path, HYPERPARAMETERS | {"_log_level": "error"}, data, dense=True)
    lines = run_job(base).stdout.splitlines()
    assert lines
    assert all("#" in line for line in lines)


def test_equal_jobs_give_equal_bytes(tmp_path, data):
    models = []
    for name in ("a", "b"):
        base = make_job(tmp_path / name, HYPERPARAMETERS, data)
        run_job(base)
        models.append(model_of(base).read_bytes())
    assert models[0] == models[1]


def test_several_files_train_as_one_in_sorted_order(tmp_path, data):
    X, y = data
    whole = make_job(tmp_path / "whole", HYPERPARAMETERS, data)
    parts = make_job(tmp_path / "parts", HYPERPARAMETERS, (X[:77], y[:77]))
    folder = parts / "input" / "data" / "train"
    (folder / "sub").mkdir()
    openfm.write_records(folder / "part-1", X[77:300], y[77:300])
    openfm.write_records(folder / "sub" / "part-2", X[300:], y[300:])
    (folder / "_SUCCESS").touch()
    (folder / ".hidden").write_bytes(b"not records")
    for base in (whole, parts):
        assert run_job(base).returncode == 0
    assert model_of(whole).read_bytes() == model_of(parts).read_bytes()


def test_shuffle_changes_the_order_by_the_seed(tmp_path, data):
    models = {}
    for name, changes in {
        "plain": {},
        "shuffled": {"shuffle": "true"},
        "again": {"shuffle": "true"},
        "other": {"shuffle": "true", "seed": "1"},
    }.items():
        base = make_job(tmp_path / name, HYPERPARAMETERS | changes, data)
        assert run_job(base).returncode == 0
        models[name] = openfm.load_model(base / "model").factors.tobytes()
    assert models["shuffled"] == models["again"]
    assert len(set(models.values())) == 3


def test_dense_records_warn_once_and_name_the_switch(tmp_path, data):
    for network in ("documented", "amazon"):
        base = make_job(tmp_path / network, HYPERPARAMETERS | {"dense_network": network}, data, dense=True)
        warnings = warnings_of(run_job(base).stdout)
        assert len(warnings) == 1
        assert "dense_network" in warnings[0]


def test_records_sorted_by_label_get_a_warning(tmp_path, data):
    X, y = data
    order = np.argsort(y, kind="stable")
    base = make_job(tmp_path / "sorted", HYPERPARAMETERS, (X[order], y[order]), dense=False)
    assert "sorted by label" in " ".join(warnings_of(run_job(base).stdout))
    base = make_job(tmp_path / "one", HYPERPARAMETERS | {"mini_batch_size": 430}, (X[order], y[order]), dense=False)
    assert not warnings_of(run_job(base).stdout)  # one batch has no order
    base = make_job(tmp_path / "same", HYPERPARAMETERS, (X, np.ones(430)), dense=False)
    assert not warnings_of(run_job(base).stdout)


def test_a_job_that_still_improves_says_so(tmp_path, data):
    base = make_job(tmp_path / "short", HYPERPARAMETERS, data, dense=False)
    lines = [line for line in run_job(base).stdout.splitlines() if "still falling" in line]
    assert len(lines) == 1
    assert " INFO " in lines[0]
    assert "More epochs" in lines[0]
    still = {"bias_lr": 0, "linear_lr": 0, "factors_lr": 0}
    base = make_job(tmp_path / "done", HYPERPARAMETERS | still, data, dense=False)
    assert "still falling" not in run_job(base).stdout


def test_sigterm_saves_the_model_and_exits_0(tmp_path, data):
    base = make_job(tmp_path, HYPERPARAMETERS | {"epochs": 1_000_000}, data, dense=False)
    command = [sys.executable, "-m", "openfm", "train"]
    environ = {"SAGEMAKER_BASE_DIR": str(base), "PATH": os.environ["PATH"]}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if "epoch=3, train" in line:
                break
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        begin = time.monotonic()
        log = process.stdout.read()
        assert process.wait(timeout=60) == 0
        assert time.monotonic() - begin < 20
    assert "Stopped on request" in log
    assert openfm.load_model(base / "model").feature_dim == 12


def test_positive_weight_finds_more_of_label_1(tmp_path, data):
    labels = np.zeros(len(data[1]), dtype=np.float32)
    labels[::20] = 1
    recalls = {}
    for weight in (None, 1, 40):
        given = {} if weight is None else {"positive_weight": weight}
        base = make_job(tmp_path / str(weight), HYPERPARAMETERS | given, (data[0], labels), dense=False)
        assert run_job(base).returncode == 0
        model = openfm.load_model(base / "model")
        assert ("positive_weight" in model.training_parameters) == (weight is not None)
        recalls[weight] = float(np.mean(model.predict(data[0])[labels == 1] >= 0.5))
    assert recalls[None] == recalls[1] == 0
    assert recalls[40] > 0.5
