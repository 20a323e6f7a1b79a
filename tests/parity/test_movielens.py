"""The public MovieLens job of Amazon's container, its logged numbers in tests/golden, through ``openfm train``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import openfm
from openfm.contract.hyperparameters import Hyperparameters
from openfm.fm.reference import ReferenceTrainer
from support.jobs import logged_metrics, make_job, run_job

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "amazon_ml100k_u1_regressor.json").read_text())
METRICS = ("rmse", "mse", "absolute_loss")


@pytest.fixture(scope="module")
def job(tmp_path_factory, movielens):
    base = make_job(
        tmp_path_factory.mktemp("movielens"),
        GOLDEN["hyperparameters"],
        (movielens.X_train, movielens.y_train),
        (movielens.X_test, movielens.y_test),
    )
    done = run_job(base)
    assert done.returncode == 0, done.stderr
    return base, logged_metrics(done.stdout)


@pytest.mark.parametrize("metric", METRICS)
def test_first_batches_and_epochs_are_amazons(job, metric):
    _, logged = job
    for epoch in range(10):
        batch = logged["train", epoch, 0, metric]
        assert batch == pytest.approx(GOLDEN["first_batch_of_every_epoch_0_to_9"][metric][epoch], rel=2e-6)
        assert logged["train", epoch, None, metric] == pytest.approx(GOLDEN["epoch_0_to_9"][metric][epoch], rel=2e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_final_metrics_are_amazons(job, metric):
    _, logged = job
    assert logged["train", None, None, metric] == pytest.approx(GOLDEN["final_train"][metric], rel=2e-6)
    assert logged["test", None, None, metric] == pytest.approx(GOLDEN["test"][metric], abs=2e-5)


def test_final_bias_is_amazons(job):
    base, _ = job
    model = openfm.load_model(base / "model" / "model_algo-1")
    assert model.bias == pytest.approx(3.439924, abs=2e-4)


def test_all_epochs_are_the_references(job, movielens):
    _, logged = job
    reference = ReferenceTrainer(Hyperparameters.parse(GOLDEN["hyperparameters"]).training_settings())
    for epoch in range(50):
        expected, _ = reference.epoch(movielens.X_train, movielens.y_train)
        for metric in expected.values():
            assert logged["train", epoch, None, metric.name] == pytest.approx(metric.value, rel=2e-6)


def test_params_do_not_change_from_run_to_run_or_with_threads(job, tmp_path, movielens):
    base, _ = job
    for threads in ("1", "2"):
        again = make_job(tmp_path / threads, GOLDEN["hyperparameters"], (movielens.X_train, movielens.y_train))
        assert run_job(again, OPENFM_NUM_THREADS=threads).returncode == 0
        model = again / "model" / "model_algo-1"
        assert model.read_bytes() == (base / "model" / "model_algo-1").read_bytes()
