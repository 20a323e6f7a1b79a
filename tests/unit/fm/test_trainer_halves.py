"""The two halves of a step, between which several hosts add up their gradients: together they are the whole one."""

from __future__ import annotations

import re

import numpy as np
import pytest

from openfm.errors import TrainingDivergedError
from openfm.fm.matrices import as_rows
from openfm.fm.model import PredictorType
from openfm.fm.trainer import PARTS, Trainer
from openfm.native._core import instruction_sets


def train_in_halves(trainer, block, settings):
    """Every batch in halves; the features in another order than the batch's own."""
    sums = []
    for batch in range(block.batches):
        own = block.features(batch)
        features = np.sort(own)
        gradients = np.full((len(own), settings.num_factors + 1), np.nan, dtype=np.float32)
        totals = trainer.gradients(block, batch, np.searchsorted(features, own).astype(np.int32), gradients)
        totals += trainer.padding_sums(settings.mini_batch_size - block.rows(batch))
        sums.append(trainer.apply(features, gradients, totals, batch=batch))
    return np.array(sums)


def state_bytes(trainer):
    return [
        np.float32(trainer.bias(part)).tobytes()
        + trainer.linear(part).tobytes()
        + b"".join(piece.tobytes() for piece in trainer.factor_pieces(part))
        for part in PARTS
    ]


CHANGES = {
    "defaults": {},
    "classifier": {"predictor_type": PredictorType.BINARY_CLASSIFIER},
    "one factor": {"num_factors": 1},
    "8 factors": {"num_factors": 8},
    "9 factors": {"num_factors": 9},
    "64 factors": {"num_factors": 64},
    "65 factors": {"num_factors": 65},
    "199 factors": {"num_factors": 199},
    "batch of one": {"mini_batch_size": 1},
    "batch larger than the data": {"mini_batch_size": 500},
    "batch that divides the data": {"mini_batch_size": 107},
    "clipped": {"clip_gradient": 0.02},
    "rescaled": {"rescale_grad": 0.5},
    "no epsilon": {"epsilon": 0.0},
    "no bias": {"use_bias": False},
    "no linear weights": {"use_linear": False},
    "every feature updated": {"lazy_update": False},
    "rows counted in 32 bits": {"mini_batch_size": 70_000},
}


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_two_halves_are_a_step_to_the_byte(make_settings, data, change, dense):
    X, y = data
    settings = make_settings(**change)
    weights = np.random.default_rng(0).choice(np.float32([0, 0.5, 1, 3]), len(y))
    whole, halves = (Trainer(settings, dense=dense) for _ in range(2))
    block = whole.batches(as_rows(X, settings.feature_dim), y, weights)
    assert block.dense == dense
    for _ in range(2):
        expected = whole.train(block)
        np.testing.assert_array_equal(train_in_halves(halves, block, settings), expected)
        assert state_bytes(halves) == state_bytes(whole)
    assert halves.step == whole.step


@pytest.mark.parametrize("factors", [3, 16, 70])
@pytest.mark.parametrize("density", [0.3, 1.0])
def test_bytes_do_not_depend_on_threads_or_instruction_set(make_settings, density, factors):
    rng = np.random.default_rng(0)
    rows, features = 503, 300  # enough for three threads
    X = rng.normal(0, 1, (rows, features)).astype(np.float32) * (rng.random((rows, features)) < density)
    X[:, -1] = 0
    y = (rng.random(rows) < 0.5).astype(np.float32)
    settings = make_settings(feature_dim=features, num_factors=factors, mini_batch_size=150)
    whole = Trainer(settings)
    block = whole.batches(as_rows(X, features), y)
    expected = whole.train(block)
    for options in [{"threads": 3}, *({"instruction_set": name} for name in instruction_sets())]:
        halves = Trainer(settings, **options)
        np.testing.assert_array_equal(train_in_halves(halves, block, settings), expected)
        assert state_bytes(halves) == state_bytes(whole)


def test_rows_of_other_features_stay_as_they_are(make_settings, data):
    X, y = data
    settings = make_settings()
    trainer = Trainer(settings)
    block = trainer.batches(as_rows(X, settings.feature_dim), y)
    own = block.features(0)
    out = np.full((2 * settings.feature_dim, settings.num_factors + 1), 7, dtype=np.float32)
    trainer.gradients(block, 0, 2 * own, out)
    others = np.setdiff1d(np.arange(len(out)), 2 * own)
    assert (out[others] == 7).all()
    assert (out[2 * own] != 7).any(axis=1).all()


def test_a_step_without_features_moves_the_bias_alone(make_settings):
    settings = make_settings()
    trainer = Trainer(settings)
    before = trainer.parameters()
    nothing = np.empty((0, settings.num_factors + 1), dtype=np.float32)
    trainer.apply(np.empty(0, dtype=np.int32), nothing, trainer.padding_sums(settings.mini_batch_size))
    after = trainer.parameters()
    assert after[0] != before[0]
    assert after[1].tobytes() + after[2].tobytes() == before[1].tobytes() + before[2].tobytes()


@pytest.mark.parametrize(("where", "name"), [(0, "the factors"), (-1, "the linear weights")])
def test_what_stops_being_finite_is_named(make_settings, where, name):
    settings = make_settings()
    trainer = Trainer(settings)
    gradients = np.zeros((1, settings.num_factors + 1), dtype=np.float32)
    gradients[0, where] = np.inf
    with pytest.raises(TrainingDivergedError, match=f"after batch 3 of epoch 2 .*{re.escape(name)}"):
        trainer.apply(np.array([5], dtype=np.int32), gradients, np.zeros(7), epoch=2, batch=3)


@pytest.mark.parametrize("field", range(1, 3))
def test_metrics_that_are_not_finite_are_named(make_settings, field):
    settings = make_settings()
    totals = np.zeros(7)
    totals[field] = np.nan
    nothing = np.empty((0, settings.num_factors + 1), dtype=np.float32)
    with pytest.raises(TrainingDivergedError, match="the training metric"):
        Trainer(settings).apply(np.empty(0, dtype=np.int32), nothing, totals)


@pytest.mark.parametrize(
    ("features", "width", "fields", "reason"),
    [
        ([3, 3], 6, 7, "do not ascend"),
        ([4, 3], 6, 7, "do not ascend"),
        ([-1, 3], 6, 7, "do not ascend"),
        ([3, 37], 6, 7, "do not ascend"),
        ([3, 4], 5, 7, "num_factors . 1 wide"),
        ([3, 4, 5], 6, 7, "differ in number"),
        ([3, 4], 6, 6, "another length"),
    ],
)
def test_what_does_not_fit_is_refused(make_settings, features, width, fields, reason):
    gradients = np.zeros((2, width), dtype=np.float32)
    with pytest.raises(ValueError, match=reason):
        Trainer(make_settings()).apply(np.array(features, dtype=np.int32), gradients, np.zeros(fields))


def test_places_that_do_not_fit_are_refused(make_settings, data):
    X, y = data
    settings = make_settings()
    trainer = Trainer(settings)
    block = trainer.batches(as_rows(X, settings.feature_dim), y)
    out = np.zeros((settings.feature_dim, settings.num_factors + 1), dtype=np.float32)
    count = len(block.features(0))
    for places, reason in [
        (np.full(count, -1), "outside the gradients"),
        (np.full(count, len(out)), "outside the gradients"),
        (np.zeros(count - 1), "one place for each"),
    ]:
        with pytest.raises(ValueError, match=reason):
            trainer.gradients(block, 0, places.astype(np.int32), out)
    with pytest.raises(ValueError, match="no such batch"):
        trainer.gradients(block, block.batches, np.zeros(count, np.int32), out)
