"""Settings and presets."""

from __future__ import annotations

import dataclasses

import pytest

from openfm.contract.hyperparameters import Hyperparameters
from openfm.errors import HyperparameterError
from openfm.fm.model import PredictorType
from openfm.learning import LearningSettings


@pytest.mark.parametrize("predictor_type", PredictorType)
def test_the_preset_sagemaker_is_what_a_job_without_hyperparameters_trains(predictor_type: PredictorType) -> None:
    given = {"feature_dim": "7", "num_factors": "64", "predictor_type": predictor_type.value}
    of_job = Hyperparameters.parse(given).network_settings()
    settings = LearningSettings.preset("sagemaker", predictor_type)
    assert settings.training_settings(7, settings.batch_size(20)) == dataclasses.replace(
        of_job, shuffle=settings.shuffle
    )
    assert not of_job.shuffle


def test_presets_take_changes() -> None:
    assert LearningSettings.preset("sagemaker", PredictorType.REGRESSOR, epochs=3).epochs == 3
    assert LearningSettings.preset("openfm", PredictorType.REGRESSOR, epochs=3).epochs == 3
    with pytest.raises(HyperparameterError, match="no preset 'amazon'"):
        LearningSettings.preset("amazon", PredictorType.REGRESSOR)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_factors", 0), ("epochs", 0), ("mini_batch_size", 0), ("patience", 0), ("linear_lr", -1.0),
        ("factors_wd", float("nan")), ("tolerance", float("inf")), ("validation_fraction", 1.0), ("seed", -1),
    ],
)  # fmt: skip
def test_what_is_out_of_range_is_named(name: str, value: float) -> None:
    with pytest.raises(HyperparameterError, match=name):
        LearningSettings(predictor_type=PredictorType.REGRESSOR, **{name: value})


def test_what_the_rows_decide() -> None:
    settings = LearningSettings(predictor_type=PredictorType.REGRESSOR)
    few, many = settings.resolved(400), settings.resolved(40_000)
    assert (few.epochs, many.epochs) == (300, 100)
    assert (few.linear_wd, many.linear_wd) == (0.0002, 0.00002)
    assert (few.factors_wd, many.factors_wd) == (0.00125, 0.000125)
    given = dataclasses.replace(settings, epochs=7, linear_wd=0.0, factors_wd=1.0)
    assert given.resolved(400) == given
    amazon = LearningSettings.preset("sagemaker", PredictorType.REGRESSOR)
    assert amazon.resolved(400) == amazon


def test_a_trainer_is_not_told_what_the_rows_have_yet_to_decide() -> None:
    settings = LearningSettings(predictor_type=PredictorType.REGRESSOR, linear_wd=0.0)
    with pytest.raises(HyperparameterError, match=r"have no epochs and no factors_wd, which .* call resolved\(rows\)"):
        settings.training_settings(7, 10)
    assert settings.resolved(400).training_settings(7, 10).epochs == 300


def test_batches_are_of_about_the_same_size() -> None:
    settings = LearningSettings(predictor_type=PredictorType.REGRESSOR, mini_batch_size=1000)
    assert [settings.batch_size(n) for n in (7, 1000, 1001, 2500)] == [7, 1000, 501, 834]
    amazon = LearningSettings.preset("sagemaker", PredictorType.REGRESSOR)
    assert amazon.batch_size(7) == 1000


def test_the_artifact_tells_what_was_trained() -> None:
    settings = LearningSettings(predictor_type=PredictorType.REGRESSOR, mini_batch_size=10, epochs=4, clip_gradient=2.0)
    told = settings.training_parameters(12, 95)
    assert told["feature_dim"] == "12"
    assert told["mini_batch_size"] == "10"
    parsed = Hyperparameters.parse(told).network_settings()
    assert parsed.epochs == 4
    assert parsed.linear.learning_rate == settings.linear_lr
    assert parsed.factors.weight_decay == settings.resolved(95).factors_wd
    assert parsed.clip_gradient == 2.0
    assert parsed.shuffle
