"""The numbers behind the charts, against what their definitions say."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from openfm.fm.auc import AreaUnderCurve
from openfm.report.curves import bins_of, calibration, curves, log_loss


@pytest.fixture
def scored():
    """Scores of which many are equal, and labels that follow them."""
    rng = np.random.default_rng(5)
    scores = rng.integers(1, 40, 500).astype(np.float32) / 40
    labels = (rng.random(500) < scores).astype(np.float32)
    return scores, labels


def test_curves_are_what_their_definitions_say(scored):
    scores, labels = scored
    found = curves(scores, labels)
    thresholds = np.unique(scores)[::-1]
    assert len(found.recall) == len(thresholds) + 1
    for i, threshold in enumerate(thresholds, start=1):
        taken = scores >= threshold
        assert found.recall[i] == pytest.approx(labels[taken].sum() / labels.sum())
        assert found.false_positive_rate[i] == pytest.approx((1 - labels[taken]).sum() / (1 - labels).sum())
        assert found.precision[i] == pytest.approx(labels[taken].mean())
    assert (found.false_positive_rate[0], found.recall[0]) == (0, 0)
    assert (found.false_positive_rate[-1], found.recall[-1]) == (1, 1)
    steps = np.diff(found.recall) * found.precision[1:]
    assert found.average_precision == pytest.approx(steps.sum())
    area = AreaUnderCurve()
    area.add(scores, labels)
    trapezoids = np.diff(found.false_positive_rate) * (found.recall[1:] + found.recall[:-1]) / 2
    assert trapezoids.sum() == pytest.approx(area.value())


def test_a_perfect_classifier():
    found = curves(np.array([0.1, 0.2, 0.9], np.float32), np.array([0, 0, 1], np.float32))
    assert found.average_precision == 1
    assert found.recall.tolist() == [0, 1, 1, 1]


@pytest.mark.parametrize("label", [0, 1])
def test_one_label_has_no_curves(label):
    with pytest.raises(ValueError, match="same label"):
        curves(np.array([0.1, 0.2], np.float32), np.full(2, label, np.float32))


def test_calibration_takes_every_record_once_and_keeps_equal_scores_together(scored):
    scores, labels = scored
    bins = calibration(scores, labels)
    assert sum(each.count for each in bins) == 500
    assert 5 <= len(bins) <= 10
    assert sum(each.count * each.observed for each in bins) == pytest.approx(labels.sum())
    assert sum(each.count * each.predicted for each in bins) == pytest.approx(scores.sum(), rel=1e-5)
    assert all(a.predicted < b.predicted for a, b in itertools.pairwise(bins))
    assert all(each.low <= each.observed <= each.high for each in bins)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_calibration_of_few_records(count):
    bins = calibration(np.full(count, 0.25, np.float32), np.ones(count, np.float32))
    assert [(each.count, each.predicted, each.observed) for each in bins] == [(count, 0.25, 1.0)]
    assert bins[0].low < 0.8
    assert bins[0].high == 1


def test_intervals_are_wilsons():
    (each,) = calibration(np.full(10, 0.5, np.float32), np.array([1] * 3 + [0] * 7, np.float32))
    assert (each.low, each.high) == (pytest.approx(0.1078, abs=1e-4), pytest.approx(0.6032, abs=1e-4))


def test_log_loss():
    assert log_loss(np.array([0.8, 0.4], np.float32), np.array([1, 0], np.float32)) == pytest.approx(
        -(np.log(0.8) + np.log(0.6)) / 2, rel=1e-6
    )


def test_bins_around_the_few_values_that_occur():
    assert bins_of(np.array([1, 2, 4, 4], np.float32)).tolist() == [0.5, 1.5, 3, 5]
    assert len(bins_of(np.arange(100, dtype=np.float32), most=30)) == 31
    assert bins_of(np.array([3, 3], np.float32))[[0, -1]].tolist() == [2.5, 3.5]
