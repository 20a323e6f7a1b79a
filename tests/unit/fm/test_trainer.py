"""The kernels against the NumPy reference, over all that settings can ask for."""

from __future__ import annotations

import os
import re
import time
from dataclasses import replace

import numpy as np
import pytest

from openfm.errors import HyperparameterError, TrainingDivergedError
from openfm.fm.initializers import Initializer
from openfm.fm.matrices import as_rows
from openfm.fm.metrics import running_metrics
from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.fm.reference import ReferenceTrainer
from openfm.fm.settings import GroupSettings
from openfm.fm.trainer import PARTS, Trainer, initial_machine, trainer_bytes
from support.training import parameters, scattered, train

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
    "large epsilon": {"epsilon": 0.1},
    "no bias": {"use_bias": False},
    "no linear weights": {"use_linear": False},
    "neither": {"use_bias": False, "use_linear": False},
    "every feature updated": {"lazy_update": False},
    "another seed": {"seed": 7},
    "transposed draw": {"factors_transposed": True},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_agrees_with_the_reference(make_settings, data, change):
    settings = make_settings(**change)
    reference = ReferenceTrainer(settings)
    machine, history = train(settings, data)
    for values in history:
        expected, _ = reference.epoch(*data)
        for metric, other in zip(values, expected.values(), strict=True):
            assert metric.name == other.name
            assert metric.value == pytest.approx(other.value, rel=2e-6)
    truth = reference.machine()
    assert machine.bias == pytest.approx(truth.bias, abs=2e-6)
    np.testing.assert_allclose(machine.linear, truth.linear, atol=3e-6)
    # Adam divides by the gradient's own size: where that is near 0, rounding shows.
    difference = np.abs(machine.factors - truth.factors)
    assert np.mean(difference > 3e-6) < 0.001
    assert difference.max() < 1e-4


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processors cannot be chosen here")
def test_bytes_do_not_depend_on_a_team_that_shrinks_and_grows(make_settings):
    # Three threads on one processor hold each other up, so that the team goes on with fewer, and tries more again.
    rng = np.random.default_rng(1)
    X = as_rows(rng.normal(0, 1, (20000, 37)).astype(np.float32), 37)
    y = (rng.random(20000) < 0.5).astype(np.float32)
    settings = make_settings(num_factors=20, mini_batch_size=500)
    team, alone = Trainer(settings, threads=3), Trainer(settings)
    active = set()
    usual = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(usual)})
    try:
        deadline = time.monotonic() + 120
        while len(active) < 2 and time.monotonic() < deadline:
            together = team.train(team.batches(X, y))
            np.testing.assert_array_equal(together, alone.train(alone.batches(X, y)))
            active.add(team.active_threads)
    finally:
        os.sched_setaffinity(0, usual)
    assert len(active) > 1
    assert parameters(team.machine()) == parameters(alone.machine())


@pytest.mark.parametrize("factors", [1, 8, 10, 64, 70])
def test_scores_have_the_bits_of_the_predictions_in_training(make_settings, data, factors):
    X, y = data
    settings = make_settings(num_factors=factors, mini_batch_size=1)
    trainer = Trainer(settings)
    rows = as_rows(X, settings.feature_dim)
    block = trainer.batches(rows, y)
    for i in range(block.batches):
        score = trainer.machine().decision_function(rows.slice(i, i + 1))[0]
        error = score - y[i]
        squared, absolute = trainer.train(block, i, i + 1)[0, :2]
        assert (squared, absolute) == (error * error, abs(error))


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_dense_batches_whatever_the_settings(make_settings, data, change):
    settings = make_settings(**change)
    expected, expected_history = train(settings, data, dense=False)
    machine, history = train(settings, data, dense=True)
    assert parameters(machine) == parameters(expected)
    assert history == expected_history


def test_batches_are_dense_where_it_pays(make_settings):
    rng = np.random.default_rng(0)
    y = np.zeros(100, dtype=np.float32)
    trainer = Trainer(make_settings())
    blocks = [trainer.batches(as_rows(scattered(rng, 100, 37, density), 37), y) for density in (0.05, 0.95)]
    assert [block.dense for block in blocks] == [False, True]


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("predictor_type", PredictorType)
def test_weights_multiply_gradients_only(make_settings, data, predictor_type, dense):
    X, y = data
    settings = make_settings(predictor_type=predictor_type)
    weights = np.random.default_rng(0).choice(np.float32([0, 0.5, 1, 3]), len(y))
    reference = ReferenceTrainer(settings)
    trainer = Trainer(settings, dense=dense)
    block = trainer.batches(as_rows(X, 37), y, weights)
    for _ in range(3):
        metrics = running_metrics(predictor_type)
        for sums in trainer.train(block):
            metrics.add_sums(sums, settings.mini_batch_size)
        expected, _ = reference.epoch(X, y, weights)
        for metric, other in zip(metrics.values(), expected.values(), strict=True):
            assert metric.value == pytest.approx(other.value, rel=2e-6)
    machine, truth = trainer.machine(), reference.machine()
    assert machine.bias == pytest.approx(truth.bias, abs=2e-6)
    np.testing.assert_allclose(machine.linear, truth.linear, atol=3e-6)
    np.testing.assert_allclose(machine.factors, truth.factors, atol=1e-4)


@pytest.mark.parametrize("dense", [False, True])
def test_weights_of_one_change_nothing(make_settings, data, dense):
    X, y = data
    expected, _ = train(make_settings(), data, epochs=1)
    trainer = Trainer(make_settings(), dense=dense)
    trainer.train(trainer.batches(as_rows(X, 37), y, np.ones_like(y)))
    assert parameters(trainer.machine()) == parameters(expected)


def test_positive_weight_is_a_weight_of_label_1(make_settings, data):
    X, y = data
    weights = np.random.default_rng(0).choice(np.float32([0.5, 1, 2]), len(y))
    settings = make_settings(predictor_type=PredictorType.BINARY_CLASSIFIER)
    for given in (None, weights):
        expected, weighted = Trainer(settings), Trainer(replace(settings, positive_weight=4.0))
        of_labels = np.where(y == 1, 4, 1).astype(np.float32)
        expected.train(expected.batches(as_rows(X, 37), y, of_labels if given is None else of_labels * given))
        weighted.train(weighted.batches(as_rows(X, 37), y, given))
        assert parameters(weighted.machine()) == parameters(expected.machine())


def test_weights_that_are_too_few_are_refused(make_settings, data):
    X, y = data
    with pytest.raises(ValueError, match="weights and rows differ in number"):
        Trainer(make_settings()).batches(as_rows(X, 37), y, y[1:])


def test_the_memory_of_a_block(make_settings, data):
    X, y = data
    rows = as_rows(X, 37)
    settings = make_settings(mini_batch_size=50)
    distinct = sum(len(np.unique(X[i : i + 50].indices)) for i in (0, 50, 100))
    expected = 14 * rows.nnz + 12 * 107 + 8 * distinct + 20 * 3 + 8
    assert Trainer(settings, dense=False).batches(rows, y).nbytes == expected
    assert Trainer(settings, dense=False).batches(rows, y, y).nbytes == expected + 4 * 107
    # Rows in groups of 8 with one for padding, features in groups of 8, and a bit for each feature.
    cells = (56 + 56 + 8) * 40
    assert Trainer(settings, dense=True).batches(rows, y).nbytes == 4 * cells + 3 * 5 + 4 * 107


def test_wide_batches_of_more_than_65536_rows(make_settings):
    rng = np.random.default_rng(0)
    X = (rng.random((70000, 3)) < 0.4).astype(np.float32)
    y = X[:, 0] + rng.normal(0, 0.1, 70000).astype(np.float32)
    settings = make_settings(feature_dim=3, mini_batch_size=70000)
    machine, _ = train(settings, (X, y), epochs=2)
    reference = ReferenceTrainer(settings)
    for _ in range(2):
        reference.epoch(as_rows(X, 3).to_scipy(), y)
    np.testing.assert_allclose(machine.linear, reference.machine().linear, atol=1e-5)


def test_a_feature_that_does_not_occur_is_left_alone(make_settings, data):
    settings = make_settings()
    before, (after, _) = initial_machine(settings), train(settings, data)
    assert after.linear[11] == before.linear[11]
    np.testing.assert_array_equal(after.factors[11], before.factors[11])
    assert (after.linear != before.linear).sum() == 36


def test_a_feature_that_does_not_occur_decays_without_lazy_update(make_settings, data):
    settings = make_settings(lazy_update=False)
    before, (after, _) = initial_machine(settings), train(settings, data)
    assert abs(after.linear[11]) < abs(before.linear[11])


def test_left_out_groups_stay_zero(make_settings, data):
    machine, _ = train(make_settings(use_bias=False, use_linear=False, epsilon=0.0), data)
    assert machine.bias == 0.0
    assert not machine.linear.any()
    assert np.isfinite(machine.factors).all()


def test_an_epsilon_of_zero_keeps_the_padding_of_the_factors_out(make_settings, data):
    X, y = data
    dense = np.asarray(X.todense()) + 0.5  # no gradient is exactly 0
    machine, _ = train(make_settings(epsilon=0.0, num_factors=3), (dense, y))
    assert np.isfinite(machine.factors).all()


def test_training_goes_on_from_given_parameters(make_settings, data):
    settings = make_settings()
    rng = np.random.default_rng(1)
    initial = FactorizationMachine(0.5, rng.normal(0, 1, 37), rng.normal(0, 1, (37, 5)), settings.predictor_type)
    assert parameters(Trainer(settings, initial=initial).machine()) == parameters(initial)
    assert train(settings, data, initial=initial)[0].bias != 0.5


@pytest.mark.parametrize("factors", [1, 8, 13, 70])
def test_training_goes_on_from_a_state_as_if_never_stopped(make_settings, data, factors):
    X, y = data
    settings = make_settings(num_factors=factors)
    whole, _ = train(settings, data, epochs=3)
    first = Trainer(settings)
    block = first.batches(as_rows(X, 37), y)
    first.train(block)
    first.train(block, 0, 4)
    state = first.state()
    assert state.step == 11
    second = Trainer(make_settings(num_factors=factors, seed=9))
    second.train(block)  # leaves moments that must go
    second.restore(state)
    second.train(block, 4)
    second.train(block)
    assert parameters(second.machine()) == parameters(whole)


@pytest.mark.parametrize("factors", [1, 13, 70])
@pytest.mark.parametrize("rows", [1, 5, 36, 37, 1000])
def test_pieces_make_up_the_state(make_settings, data, monkeypatch, factors, rows):
    monkeypatch.setattr("openfm.fm.trainer._PIECE_VALUES", rows * factors)
    X, y = data
    trainer = Trainer(make_settings(num_factors=factors))
    trainer.train(trainer.batches(as_rows(X, 37), y))
    state = trainer.state()
    for part in PARTS:
        bias, linear, whole = getattr(state, part)
        assert trainer.bias(part) == bias
        np.testing.assert_array_equal(trainer.linear(part), linear)
        pieces = [piece.copy() for piece in trainer.factor_pieces(part)]
        assert max(map(len, pieces)) == min(rows, 37)
        np.testing.assert_array_equal(np.concatenate(pieces), whole)
        assert np.any(whole)
    assert trainer.shape == (37, factors)


def test_factors_that_are_not_there_are_not_copied(make_settings):
    native = Trainer(make_settings())._native
    for first, shape in ((0, (38, 5)), (37, (1, 5)), (-1, (2, 5)), (0, (2, 4)), (2**62, (2, 5))):
        with pytest.raises(ValueError, match="no such rows"):
            native.copy_factors("means", first, np.empty(shape, np.float32))
    with pytest.raises(ValueError, match="no part 'gradients'"):
        native.linear("gradients")


def test_a_state_of_another_shape_is_refused(make_settings):
    state = Trainer(make_settings()).state()
    with pytest.raises(ValueError, match="do not have the trainer's shapes"):
        Trainer(make_settings(num_factors=6)).restore(state)


def test_blocks_of_an_epoch_train_as_one(make_settings, data):
    X, y = data
    settings = make_settings()
    whole, _ = train(settings, data, epochs=1)
    trainer = Trainer(settings)
    rows = as_rows(X, 37)
    for begin, end in ((0, 32), (32, 80), (80, 107)):
        trainer.train(trainer.batches(rows.slice(begin, end), y[begin:end]))
    assert parameters(trainer.machine()) == parameters(whole)


@pytest.mark.parametrize(("group", "named"), [("bias", "bias_lr"), ("linear", "linear_lr"), ("factors", "factors_lr")])
def test_divergence_names_epoch_batch_group_and_remedy(make_settings, data, group, named):
    rates = GroupSettings(learning_rate=1e38, weight_decay=0.0, initializer=Initializer("normal", 0.01))
    settings = make_settings(**{group: rates})
    with pytest.raises(TrainingDivergedError) as raised:
        train(settings, data, epochs=50)
    assert named in str(raised.value)
    assert re.search("after batch [01] of epoch 0 ", str(raised.value))
    assert "Lower the learning rate" in str(raised.value)


def test_divergence_of_the_metric_alone(make_settings, data):
    X, y = data
    with pytest.raises(TrainingDivergedError, match=r"after batch 0 of epoch 0 .* in the training metric"):
        train(make_settings(), (X, y + np.float32(1e30)))


def test_initial_values_that_are_too_large_are_refused(make_settings):
    huge = GroupSettings(learning_rate=0.1, weight_decay=0.0, initializer=Initializer("normal", 3e38))
    with pytest.raises(HyperparameterError, match="initial values of linear are not all finite"):
        Trainer(make_settings(linear=huge))


def test_a_huge_batch_takes_no_more_memory_than_its_rows(make_settings, data):
    X, y = data
    settings = make_settings(mini_batch_size=2**40, num_factors=64)
    machine, history = train(settings, (X, y), epochs=1)
    assert np.isfinite(machine.factors).all()
    # Nearly all of the batch is padding of label 0, for which the bias is predicted.
    assert history[0][1].value == pytest.approx(initial_machine(settings).bias ** 2, rel=1e-5)


def test_a_block_of_another_trainer_is_refused(make_settings, data):
    X, y = data
    block = Trainer(make_settings(mini_batch_size=8)).batches(as_rows(X, 37), y)
    with pytest.raises(ValueError, match="another feature_dim or batch size"):
        Trainer(make_settings()).train(block)


@pytest.mark.parametrize("factors", [1, 3, 8, 9, 16, 17, 100])
@pytest.mark.parametrize("features", [1, 2, 37])
def test_values_drawn_into_the_trainers_memory_are_those_given_to_it(make_settings, features, factors):
    settings = make_settings(feature_dim=features, num_factors=factors)
    given = Trainer(settings, initial=initial_machine(settings))
    drawn = Trainer(settings)
    for ours, theirs in zip(drawn.state().parameters, given.state().parameters, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for part in (drawn.state().means, drawn.state().variances):
        assert not any(np.any(array) for array in part)


@pytest.mark.parametrize("factors", [1, 3, 8, 9, 16, 17, 100])
@pytest.mark.parametrize("features", [1, 2, 37])
def test_the_last_machine_has_the_trainers_parameters(make_settings, features, factors):
    settings = make_settings(feature_dim=features, num_factors=factors)
    trainer = Trainer(settings)
    rows = as_rows(np.ones((20, features), dtype=np.float32), features)
    trainer.train(trainer.batches(rows, np.ones(20, dtype=np.float32)))
    before = trainer.machine()
    after = trainer.finish()
    assert after.bias == before.bias
    np.testing.assert_array_equal(after.linear, before.linear)
    np.testing.assert_array_equal(after.factors, before.factors)
    np.testing.assert_array_equal(after.score(rows), before.score(rows))


def test_a_finished_trainer_refuses_to_go_on(make_settings, data):
    trainer = Trainer(make_settings())
    block = trainer.batches(as_rows(data[0], 37), data[1])
    machine = trainer.finish()
    with pytest.raises(ValueError, match="indexed for another feature_dim"):
        trainer.train(block)
    state = Trainer(make_settings()).state()
    with pytest.raises(ValueError, match="do not have the trainer's shapes"):
        trainer.restore(state)
    del trainer
    assert np.isfinite(machine.factors).all()


@pytest.mark.parametrize("factors", [1, 2, 8, 9, 10, 16, 17, 33, 64, 1000])
def test_the_memory_of_a_trainer(make_settings, factors):
    trainer = Trainer(make_settings(num_factors=factors))
    assert trainer_bytes(37, factors) == trainer._native.nbytes + 4 * 37


def test_the_memory_of_a_trainer_that_no_machine_has():
    assert trainer_bytes(2**31, 10**30) > 2**130
