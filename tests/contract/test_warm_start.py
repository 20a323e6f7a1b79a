"""The channel ``model``: training that goes on from a model; and early stopping on ``validation``."""

from __future__ import annotations

import tarfile

import numpy as np
import pytest

import openfm
from openfm.fm.reference import reference_scores
from support.jobs import logged_metrics, make_job, run_job

HYPERPARAMETERS = {
    "feature_dim": 15,
    "num_factors": 4,
    "predictor_type": "regressor",
    "mini_batch_size": 64,
    "epochs": 2,
    "factors_init_sigma": 0.3,
}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = (rng.random((640, 15)) < 0.4).astype(np.float32)
    return X, (X[:, 0] * X[:, 1] * 3 + rng.normal(0, 0.1, 640)).astype(np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory, data):
    base = make_job(tmp_path_factory.mktemp("first"), HYPERPARAMETERS | {"epochs": 5, "seed": 3}, data, dense=False)
    assert run_job(base).returncode == 0
    return openfm.load_model(base / "model")


def warm_job(base, data, model, *, form="folder", **changes):
    make_job(base, HYPERPARAMETERS | changes, data, dense=False)
    channel = base / "input" / "data" / "model"
    if form == "file":
        model.save(base / "model_algo-1").rename(channel)
    elif form == "archive as a file":
        model.save(base / "model.tar.gz").rename(channel)
    else:
        channel.mkdir()
        model.save(channel / ("model.tar.gz" if form == "archive" else "model_algo-1"))
    return base


def first_batch(log):
    return logged_metrics(log)["train", 0, 0, "mse"]


@pytest.mark.parametrize("form", ["folder", "archive", "file", "archive as a file"])
def test_the_first_batch_is_scored_by_the_given_parameters(tmp_path, data, model, form):
    _, y = data
    done = run_job(warm_job(tmp_path, data, model, form=form))
    assert done.returncode == 0, done.stderr
    scores = reference_scores(model.machine, openfm.read_records(tmp_path / "input/data/train/part-0.pbr")[0][:64])
    assert first_batch(done.stdout) == pytest.approx(np.mean((scores - y[:64]) ** 2), rel=2e-6)


def test_the_given_parameters_are_the_initial_ones_to_the_bit(tmp_path, data, model):
    still = {"bias_lr": 0, "linear_lr": 0, "factors_lr": 0}
    assert run_job(warm_job(tmp_path, data, model, **still)).returncode == 0
    trained = openfm.load_model(tmp_path / "model")
    assert trained.bias == model.bias
    assert trained.linear.tobytes() == model.linear.tobytes()
    assert trained.factors.tobytes() == model.factors.tobytes()


def test_a_smaller_model_is_extended_by_what_a_new_job_would_draw(tmp_path, data, model):
    X, y = data
    wide = np.pad(X, ((0, 0), (0, 5)))
    still = {"bias_lr": 0, "linear_lr": 0, "factors_lr": 0, "feature_dim": 20}
    assert run_job(warm_job(tmp_path / "warm", (wide, y), model, **still)).returncode == 0
    assert run_job(make_job(tmp_path / "cold", HYPERPARAMETERS | still, (wide, y), dense=False)).returncode == 0
    warm, cold = (openfm.load_model(tmp_path / name / "model") for name in ("warm", "cold"))
    np.testing.assert_array_equal(warm.factors, np.concatenate([model.factors, cold.factors[15:]]))
    np.testing.assert_array_equal(warm.linear, np.concatenate([model.linear, cold.linear[15:]]))
    assert warm.bias == model.bias


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"feature_dim": 14}, "feature_dim 15, but the job has feature_dim 14"),
        ({"num_factors": 5}, "num_factors 4, but the job has num_factors 5"),
        ({"predictor_type": "binary_classifier"}, "predictor_type regressor, but the job has predictor_type binary"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(tmp_path, data, model, changes, sentence):
    X, _ = data
    width = changes.get("feature_dim", 15)
    done = run_job(warm_job(tmp_path, (X[:, :width], np.zeros(640)), model, **changes))
    assert done.returncode == 2
    assert sentence in (tmp_path / "output" / "failure").read_text()


def test_a_model_with_what_the_job_leaves_out_is_refused(tmp_path, data, model):
    for number, name in enumerate(("use_bias", "use_linear")):
        base = warm_job(tmp_path / str(number), data, model, **{name: "false"})
        done = run_job(base)
        assert done.returncode == 2
        assert f"{name} true, but the job has {name} false" in done.stderr


def test_a_broken_model_is_refused(tmp_path, data, model):
    base = warm_job(tmp_path, data, model)
    path = base / "input" / "data" / "model" / "model_algo-1"
    path.write_bytes(path.read_bytes()[:500])
    done = run_job(base)
    assert done.returncode == 2
    assert not (base / "model" / "model_algo-1").exists()


def test_an_archive_of_other_things_is_refused(tmp_path, data, model):
    base = make_job(tmp_path, HYPERPARAMETERS, data, dense=False)
    channel = base / "input" / "data" / "model"
    channel.mkdir()
    with tarfile.open(channel / "model.tar.gz", "w:gz"):
        pass
    assert run_job(base).returncode == 2


class TestEarlyStopping:
    """Few records that a fast learner soon knows by heart: the validation loss falls, then rises."""

    HYPERPARAMETERS = HYPERPARAMETERS | {
        "epochs": 200,
        "early_stopping_patience": 3,
        "factors_lr": 0.05,
        "linear_lr": 0.05,
        "factors_wd": 0,
    }

    def job(self, base, data, *, test=False, **changes):
        X, y = data
        noisy = y[:64] + np.random.default_rng(1).normal(0, 1, 64).astype(np.float32)
        held = X[64:], y[64:]
        make_job(base, self.HYPERPARAMETERS | changes, (X[:64], noisy), held if test else None, dense=False)
        folder = base / "input" / "data" / "validation"
        folder.mkdir()
        openfm.write_records(folder / "part-0.pbr", *held)
        return base

    def test_stops_and_restores_the_best_epoch(self, tmp_path, data):
        log = run_job(self.job(tmp_path, data)).stdout
        logged = logged_metrics(log.replace(", validation ", ", test "))
        losses = [logged["test", epoch, None, "mse"] for epoch in range(200) if ("test", epoch, None, "mse") in logged]
        assert 4 < len(losses) < 200
        best = int(np.argmin(losses))
        assert best == len(losses) - 4
        assert f"has not improved since epoch {best}" in log
        # Without a test channel, the validation channel is scored at the end: by the best epoch's parameters.
        assert logged["test", None, None, "mse"] == losses[best]
        assert f"completed {len(losses) / 2!r} % of epochs" in log  # of the 200 that were asked for
        assert ("train", None, None, "mse") in logged

    def test_the_test_channel_is_scored_once(self, tmp_path, data):
        log = run_job(self.job(tmp_path, data, test=True)).stdout
        assert log.count("#test_score") == 3

    def test_off_by_default(self, tmp_path, data):
        base = make_job(tmp_path, HYPERPARAMETERS, data, dense=False)
        folder = base / "input" / "data" / "validation"
        folder.mkdir()
        openfm.write_records(folder / "part-0.pbr", *data)
        log = run_job(base).stdout
        assert "validation rmse" not in log
        assert log.count("#test_score") == 3

    def test_without_a_validation_channel(self, tmp_path, data):
        done = run_job(make_job(tmp_path, self.HYPERPARAMETERS, data))
        assert done.returncode == 2
        assert "no channel 'validation' to watch" in done.stderr

    def test_a_killed_job_stops_at_the_same_epoch(self, tmp_path, data):
        whole = self.job(tmp_path / "whole", data)
        run_job(whole)
        halves = self.job(tmp_path / "halves", data)
        (halves / "checkpoints").mkdir()
        config = halves / "input" / "config" / "hyperparameters.json"
        hyperparameters = config.read_text()
        config.write_text(hyperparameters.replace('"epochs": "200"', '"epochs": "4"'))
        run_job(halves)
        config.write_text(hyperparameters)
        assert "Resuming" in run_job(halves).stdout
        assert (halves / "model/model_algo-1").read_bytes() == (whole / "model/model_algo-1").read_bytes()
