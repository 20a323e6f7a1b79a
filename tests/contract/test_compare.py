"""``openfm compare``: Amazon's public MovieLens job from its log, and jobs of our own from theirs."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import openfm
from openfm.cli import main
from openfm.contract.job_log_reader import LoggedJob, MetricKey
from openfm.errors import CustomerError
from openfm.training.comparison import compare
from support.amazon_logs import as_events, training_log
from support.jobs import make_job, run_job

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "amazon_ml100k_u1_regressor.json").read_text())
HYPERPARAMETERS = {
    "feature_dim": 6,
    "num_factors": 2,
    "predictor_type": "binary_classifier",
    "mini_batch_size": 20,
    "epochs": 2,
    "batch_metrics_publish_interval": 2,
}


def run_compare(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["compare", *map(str, arguments)])


@pytest.fixture
def own_job(tmp_path):
    """A job that openfm trained, and its log."""

    def train(*, dense=False, **hyperparameters):
        rng = np.random.default_rng(0)
        X = (rng.random((90, 6)) < 0.4).astype(np.float32)
        data = (X, X[:, 0])
        base = make_job(tmp_path / "job", HYPERPARAMETERS | hyperparameters, data, data, dense=dense)
        done = run_job(base)
        assert done.returncode == 0, done.stderr
        log = tmp_path / "job.log"
        log.write_text(done.stdout)
        return base / "input" / "data", log

    return train


@pytest.fixture
def ratings(tmp_path, movielens):
    """The channels of Amazon's public job."""
    openfm.write_records(tmp_path / "train", movielens.X_train, movielens.y_train)
    openfm.write_records(tmp_path / "test", movielens.X_test, movielens.y_test)
    return tmp_path / "train", tmp_path / "test"


def test_amazons_public_job(tmp_path, ratings):
    train, test = ratings
    log = tmp_path / "job.log"
    log.write_text(training_log(GOLDEN))
    done = run_compare(log, "--train", train, "--test", test)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["metric", "Amazon", "openfm", "relative", "difference"]
    assert len(lines) == 1 + 66 + 1
    (row,) = [line for line in lines if line.startswith("test rmse ")]
    assert row.split()[2] == "1.0002629948968227"
    assert float(row.split()[4]) < 1e-6
    assert lines[-1].endswith("within the tolerance of 1e-05.")


def test_json_of_events_in_json_out(tmp_path, ratings):
    # A shorter job: the final metrics of the log, after 50 epochs, are not its own.
    shorter = GOLDEN | {"hyperparameters": GOLDEN["hyperparameters"] | {"epochs": "10"}}
    log = tmp_path / "job.json"
    log.write_text(as_events(training_log(shorter)))
    done = run_compare(log, "--train", ratings[0], "--json")
    compared = json.loads(done.stdout)
    assert done.exit_code == 1
    assert not compared["passes"]
    assert compared["configuration"]["epochs"] == "10"
    first = compared["metrics"][1]
    assert (first["channel"], first["name"], first["epoch"], first["batch"]) == ("train", "mse", 0, 0)
    assert first["amazon"] == GOLDEN["first_batch_of_every_epoch_0_to_9"]["mse"][0]
    assert {metric["channel"] for metric in compared["metrics"]} == {"train"}
    of_epochs = [metric["relative_difference"] for metric in compared["metrics"] if metric["epoch"] is not None]
    assert len(of_epochs) == 60
    assert max(of_epochs) < 2e-6


def test_openfms_own_job_to_the_last_digit(own_job):
    data, log = own_job(seed=5, shuffle="true", factors_lr="0.01")
    done = run_compare(log, "--train", data / "train", "--test", data / "test", "--tolerance", 0)
    assert done.exit_code == 0, done.output
    assert "Largest relative difference: 0.0e+00" in done.stdout


def test_a_difference_is_shown_and_fails(own_job):
    data, log = own_job()
    lines = log.read_text().splitlines()
    (number,) = [n for n, line in enumerate(lines) if "test binary_classification_cross_entropy <loss>=" in line]
    lines[number] = lines[number].partition("<loss>=")[0] + "<loss>=0.5"
    log.write_text("\n".join(lines))
    arguments = (log, "--train", data / "train", "--test", data / "test")
    done = run_compare(*arguments)
    assert done.exit_code == 1
    assert "(test binary_classification_cross_entropy), beyond the tolerance of 1e-05." in done.stdout
    assert run_compare(*arguments, "--tolerance", 10).exit_code == 0


def test_a_metric_that_only_amazon_logged_fails(own_job):
    data, log = own_job()
    log.write_text(log.read_text().replace("epoch=1, train binary_f_1.000", "epoch=7, train binary_f_1.000"))
    done = run_compare(log, "--train", data / "train")
    assert done.exit_code == 1
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("train binary_f_1.000, epoch 7")]
    assert row.split()[-2:] == ["-", "inf"]


def test_a_dense_job_is_trained_by_amazons_dense_network(own_job):
    data, log = own_job(dense=True, dense_network="amazon")
    # Amazon's log names the network, and knows no such hyperparameter.
    text = log.read_text()
    assert "'dense_network': 'amazon', " in text
    log.write_text(text.replace("'dense_network': 'amazon', ", ""))
    done = run_compare(log, "--train", data / "train", "--tolerance", 0)
    assert done.exit_code == 0, done.output
    assert "dense_network is 'amazon'" in done.stderr


def test_a_job_that_cannot_be_done_fails_as_train_does(own_job, tmp_path):
    _, log = own_job()
    (tmp_path / "empty").mkdir()
    done = run_compare(log, "--train", tmp_path / "empty")
    assert done.exit_code == 2
    assert done.stderr.startswith("ClientError: Data channel 'train'")
    assert done.stdout == ""


def test_a_log_of_something_else_is_refused(own_job, tmp_path):
    data, _ = own_job()
    (tmp_path / "other.log").write_text("nothing")
    done = run_compare(tmp_path / "other.log", "--train", data / "train")
    assert done.exit_code == 2
    assert "has no line 'Final configuration" in done.stderr


def test_nothing_is_left_behind(own_job, tmp_path, monkeypatch):
    data, log = own_job()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    assert run_compare(log, "--train", data / "train").exit_code == 0
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("amazon", "ours", "difference"),
    [
        (2.0, 2.0, 0.0),
        (2.0, 2.5, 0.25),
        (-2.0, 2.0, 2.0),
        (0.0, 0.0, 0.0),
        (0.0, 1e-9, math.inf),
        (math.nan, 1, math.inf),
    ],
)
def test_relative_difference(amazon, ours, difference):
    key = MetricKey("train", "rmse")
    result = compare(LoggedJob({}, {key: amazon}, False), LoggedJob({}, {key: ours}, False), tolerance=0.3)
    assert result.worst.relative_difference == difference
    assert result.passes == (difference <= 0.3)
    written = json.loads(result.to_json())["largest_relative_difference"]
    assert written == (None if difference == math.inf else difference)


def test_nothing_to_compare_is_refused():
    logged = LoggedJob({}, {MetricKey("test", "rmse"): 1.0}, False)
    with pytest.raises(CustomerError, match="Give it with --test"):
        compare(logged, LoggedJob({}, {MetricKey("train", "rmse"): 1.0}, False), tolerance=0)
