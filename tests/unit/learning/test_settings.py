"""Settings and presets."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.sparse import csr_array

from openfm.contract.hyperparameters import Hyperparameters
from openfm.errors import HyperparameterError
from openfm.fm.matrices import as_rows
from openfm.fm.model import PredictorType
from openfm.learning import Examples, Extent, LearningSettings
from openfm.learning.defaults import batch_size

CLASSIFIER, REGRESSOR = PredictorType.BINARY_CLASSIFIER, PredictorType.REGRESSOR


def extent(rows: int, row_length: float = 2.0, occurrences: float = 3.0) -> Extent:
    return Extent(rows, row_length, occurrences)


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
    assert LearningSettings.preset("sagemaker", REGRESSOR, epochs=3).epochs == 3
    assert LearningSettings.preset("openfm", REGRESSOR, epochs=3).epochs == 3
    with pytest.raises(HyperparameterError, match="no preset 'amazon'"):
        LearningSettings.preset("amazon", REGRESSOR)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_factors", 0), ("epochs", 0), ("mini_batch_size", 0), ("patience", 0), ("linear_lr", -1.0),
        ("factors_wd", float("nan")), ("tolerance", float("inf")), ("validation_fraction", 1.0), ("seed", -1),
    ],
)  # fmt: skip
def test_what_is_out_of_range_is_named(name: str, value: float) -> None:
    with pytest.raises(HyperparameterError, match=name):
        LearningSettings(predictor_type=REGRESSOR, **{name: value})


def test_what_the_rows_decide() -> None:
    settings = LearningSettings(predictor_type=REGRESSOR)
    few, many = settings.resolved(extent(400)), settings.resolved(extent(40_000))
    assert (few.epochs, many.epochs) == (300, 100)
    assert (few.validation_fraction, many.validation_fraction) == (0.2, 0.1)
    assert (few.linear_wd, many.linear_wd) == (0.0001, 0.00001)
    assert (few.factors_wd, many.factors_wd) == (0.0025, 0.00025)
    given = dataclasses.replace(many, epochs=7, linear_wd=0.0, factors_wd=1.0)
    assert given.resolved(extent(400)) == given
    amazon = LearningSettings.preset("sagemaker", REGRESSOR)
    assert amazon.resolved(extent(400)) == amazon


def test_longer_rows_learn_at_higher_rates_up_to_a_bound() -> None:
    def rates(row_length: float) -> tuple[float | None, ...]:
        known = LearningSettings(predictor_type=CLASSIFIER).resolved(extent(5000, row_length=row_length))
        return known.bias_lr, known.linear_lr, known.factors_lr

    assert rates(1) == rates(2) == (0.0035, pytest.approx(0.0091), 0.0035)
    assert rates(8) == (0.007, pytest.approx(0.0182), 0.007)
    assert rates(1000) == (0.015, pytest.approx(0.039), 0.015)


def test_features_that_occur_often_decay_less() -> None:
    def decays(occurrences: float) -> tuple[float | None, ...]:
        known = LearningSettings(predictor_type=CLASSIFIER).resolved(extent(10_000, occurrences=occurrences))
        return known.linear_wd, known.factors_wd

    assert decays(3) == decays(50) == (0.00002, 0.00025)
    assert decays(800) == (0.00001, 0.000125)


def test_regressors_have_more_factors_and_more_decay() -> None:
    of_type = {kind: LearningSettings(predictor_type=kind).resolved(extent(10_000)) for kind in PredictorType}
    assert (of_type[CLASSIFIER].num_factors, of_type[REGRESSOR].num_factors) == (32, 64)
    assert (of_type[CLASSIFIER].factors_wd, of_type[REGRESSOR].factors_wd) == (0.00025, 0.0005)


def test_how_much_there_is_to_learn_from() -> None:
    X = csr_array(([1.0, 2.0, 0.0, 3.0], ([0, 0, 1, 1], [0, 2, 1, 2])), shape=(2, 9))
    found = Extent.of(Examples(as_rows(X, 9), np.zeros(2, np.float32)))
    assert found == Extent(rows=2, row_length=1.5, occurrences=1.5)  # a value that is stored and 0 does not count
    nothing = Examples(as_rows(np.zeros((3, 2)), 2), np.zeros(3, np.float32))
    assert Extent.of(nothing) == Extent(rows=3, row_length=0.0, occurrences=0.0)


def test_a_trainer_is_not_told_what_the_rows_have_yet_to_decide() -> None:
    settings = LearningSettings(predictor_type=REGRESSOR, num_factors=8, bias_lr=0.1, linear_lr=0.1, linear_wd=0.0)
    settings = dataclasses.replace(settings, validation_fraction=0.1)
    undecided = r"have no epochs and no factors_lr and no factors_wd, .* call resolved\(extent\)"
    with pytest.raises(HyperparameterError, match=undecided):
        settings.training_settings(7, 10)
    with pytest.raises(HyperparameterError, match=undecided):
        settings.training_parameters(7, 10)
    assert settings.resolved(extent(400)).training_settings(7, 10).epochs == 300


def test_batches_grow_with_the_rows() -> None:
    sizes = [batch_size(rows) for rows in (1, 100, 1000, 1280, 51_200, 100_000, 819_200, 10**7)]
    assert sizes == [16, 16, 50, 64, 64, 125, 1024, 1024]


def test_batches_are_of_about_the_same_size() -> None:
    settings = LearningSettings(predictor_type=REGRESSOR, mini_batch_size=1000)
    assert [settings.batch_size(n) for n in (7, 1000, 1001, 2500)] == [7, 1000, 501, 834]
    amazon = LearningSettings.preset("sagemaker", REGRESSOR)
    assert amazon.batch_size(7) == 1000


def test_the_artifact_tells_what_was_trained() -> None:
    settings = LearningSettings(predictor_type=REGRESSOR, mini_batch_size=10, epochs=4, clip_gradient=2.0)
    settings = settings.resolved(extent(95))
    told = settings.training_parameters(12, 95)
    assert told["feature_dim"] == "12"
    assert told["mini_batch_size"] == "10"
    parsed = Hyperparameters.parse(told).network_settings()
    assert parsed.epochs == 4
    assert parsed.linear.learning_rate == settings.linear_lr
    assert parsed.factors.weight_decay == settings.factors_wd
    assert parsed.clip_gradient == 2.0
    assert parsed.shuffle
