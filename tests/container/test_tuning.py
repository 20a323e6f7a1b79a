"""A small tuning job over the image: its own metadata says what to search and how to read the objective."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import openfm
from support.docker import mount, run_image
from support.tuning import best_trial, run_tuning_job

pytestmark = pytest.mark.docker


def metadata(part: str) -> Any:
    run = run_image("openfm", "metadata", "--part", part)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_a_tuning_job_over_the_image(tmp_path: Path) -> None:
    algorithm = metadata("algorithm")
    trials = run_tuning_job(
        tmp_path,
        lambda base: run_image("train", options=[mount(base)]),
        algorithm,
        metadata("parameter-ranges"),
        objective="test:rmse",
        searched=("bias_lr", "linear_lr", "factors_lr"),
        fixed={"epochs": "5"},
        trials=4,
    )
    best = best_trial(trials, algorithm, "test:rmse")
    assert best.objective == min(trial.objective for trial in trials if trial.objective is not None)
    model = openfm.load_model(best.base / "model")
    assert model.training_parameters | best.hyperparameters == model.training_parameters
