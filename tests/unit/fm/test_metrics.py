from __future__ import annotations

import math

import numpy as np
import pytest

from openfm.fm.metrics import running_metrics
from openfm.fm.model import PredictorType


def named(metrics):
    return {metric.name: metric.value for metric in metrics.values()}


def test_regression_metrics():
    metrics = running_metrics(PredictorType.REGRESSOR)
    metrics.add_scores(np.float32([1.0, 2.0]), np.float32([0.0, 4.0]))
    metrics.add_scores(np.float32([5.0]), np.float32([5.0]))
    assert named(metrics) == {
        "rmse": math.sqrt(5 / 3),
        "mse": 5 / 3,
        "absolute_loss": 1.0,
    }
    assert [metric.direction for metric in metrics.values()] == ["loss"] * 3
    assert metrics.loss == 5 / 3


def test_binary_metrics():
    metrics = running_metrics(PredictorType.BINARY_CLASSIFIER)
    metrics.add_scores(np.float32([0.75, 0.5, 0.25, 0.25]), np.float32([1, 0, 1, 0]))
    values = named(metrics)
    assert values["binary_classification_accuracy"] == 0.5  # a score of 0.5 is label 1
    assert values["binary_f_1.000"] == 0.5
    losses = -np.log([0.75, 0.5, 0.25, 0.75])
    assert values["binary_classification_cross_entropy"] == pytest.approx(losses.mean(), rel=1e-6)
    assert [m.direction for m in metrics.values()] == ["score", "loss", "score"]


def test_cross_entropy_of_a_certain_mistake_is_that_of_1e_8():
    metrics = running_metrics(PredictorType.BINARY_CLASSIFIER)
    metrics.add_scores(np.float32([0.0]), np.float32([1]))
    assert metrics.loss == pytest.approx(-math.log(1e-8), rel=1e-7)


def test_f1_without_any_positive_is_0():
    metrics = running_metrics(PredictorType.BINARY_CLASSIFIER)
    metrics.add_scores(np.float32([0.1]), np.float32([0]))
    assert named(metrics)["binary_f_1.000"] == 0.0


@pytest.mark.parametrize("predictor_type", PredictorType)
def test_sums_of_batches_say_the_same(predictor_type):
    rng = np.random.default_rng(0)
    scores, labels = rng.random(60).astype(np.float32), rng.integers(0, 2, 60).astype(np.float32)
    by_scores, by_sums = running_metrics(predictor_type), running_metrics(predictor_type)
    by_scores.add_scores(scores, labels)
    error = (scores - labels).astype(float)
    positive, predicted = labels == 1, scores >= 0.5
    if predictor_type is PredictorType.REGRESSOR:
        sums = [(error**2).sum(), np.abs(error).sum(), 0, 0, 0]
    else:
        entropy = -np.log(np.where(positive, scores, 1 - scores)).sum()
        counts = (predicted & positive).sum(), (predicted & ~positive).sum(), (~predicted & positive).sum()
        sums = [(predicted == positive).sum(), entropy, *counts]
    by_sums.add_sums(np.array(sums, dtype=float), 60)
    assert named(by_sums) == pytest.approx(named(by_scores), rel=1e-6)
    assert by_sums.batch_losses(np.array([sums], dtype=float), 60) == [by_sums.loss]
