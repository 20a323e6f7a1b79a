"""A small tuning job: ranges, objectives and metric regexes of ``openfm metadata`` around ``openfm train``."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

import openfm
from openfm.cli import main
from support.jobs import run_job
from support.tuning import QUICKSTART, best_trial, run_tuning_job


def metadata(part):
    return json.loads(CliRunner().invoke(main, ["metadata", "--part", part]).output)


@pytest.mark.parametrize(
    ("objective", "predictor_type"),
    [("test:rmse", "regressor"), ("test:binary_classification_accuracy", "binary_classifier")],
)
def test_a_tuning_job_finds_the_best_of_its_jobs(tmp_path, objective, predictor_type):
    X, y = openfm.read_records(QUICKSTART / "input" / "data" / "test" / "ratings.pbr")
    algorithm = metadata("algorithm")

    def train(base):
        if predictor_type == "binary_classifier":
            for channel in ("train", "test"):
                path = base / "input" / "data" / channel / "ratings.pbr"
                ratings, stars = openfm.read_records(path)
                openfm.write_records(path, ratings, stars >= 4)
        return run_job(base)

    trials = run_tuning_job(
        tmp_path,
        train,
        algorithm,
        metadata("parameter-ranges"),
        objective=objective,
        searched=("bias_lr", "linear_lr", "factors_lr", "mini_batch_size"),
        fixed={"predictor_type": predictor_type, "epochs": "5"},
        trials=6,
    )
    best = best_trial(trials, algorithm, objective)
    model = openfm.load_model(best.base / "model")
    assert model.training_parameters["_tuning_objective_metric"] == objective
    assert model.training_parameters | best.hyperparameters == model.training_parameters

    def measured(trial):
        scores = openfm.load_model(trial.base / "model").predict(X)
        if predictor_type == "regressor":
            return np.sqrt(np.mean(np.square(scores - y), dtype=np.float64))
        return np.mean((scores >= 0.5) == (y >= 4))

    finished = [trial for trial in trials if trial.objective is not None]
    assert len(finished) >= 2
    for trial in finished:
        assert trial.objective == pytest.approx(measured(trial), rel=1e-6)
    better = min if predictor_type == "regressor" else max
    assert measured(best) == better(measured(trial) for trial in finished)
    assert len({trial.objective for trial in finished}) > 1
