"""Training in memory."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from openfm.errors import CustomerError, DataError
from openfm.fm.matrices import as_rows
from openfm.fm.metrics import running_metrics
from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.fm.rows import SparseRows
from openfm.fm.trainer import Trainer
from openfm.learning import EpochReport, Event, Examples, Extent, Learner, LearningSettings, Progress, fit

REGRESSOR, CLASSIFIER = PredictorType.REGRESSOR, PredictorType.BINARY_CLASSIFIER


def planted(rows: int, predictor_type: PredictorType, *, seed: int = 0, size: float = 1.0) -> Examples:
    """Rows of 20 features, 5 of them not zero, that a machine of 2 factors labels."""
    truth = np.random.default_rng(7)
    machine = FactorizationMachine(0.1, truth.normal(size=20), truth.normal(size=(20, 2)), predictor_type)
    rng = np.random.default_rng(seed)
    X = np.zeros((rows, 20), np.float32)
    for row in X:
        row[rng.choice(20, 5, replace=False)] = rng.normal(size=5)
    scores = machine.score(as_rows(X, 20))
    labels = scores if predictor_type is REGRESSOR else (rng.random(rows) < scores).astype(np.float32)
    return Examples(as_rows(X * np.float32(size), 20), labels)


def same(a: FactorizationMachine, b: FactorizationMachine) -> bool:
    return a.bias == b.bias and np.array_equal(a.linear, b.linear) and np.array_equal(a.factors, b.factors)


@pytest.mark.parametrize("size", [1.0, 1000.0, 0.001])
def test_a_planted_machine_is_found_whatever_the_size_of_its_features(size: float) -> None:
    train, test = planted(4000, REGRESSOR, size=size), planted(500, REGRESSOR, seed=1, size=size)
    fitted = fit(train, LearningSettings(predictor_type=REGRESSOR, num_factors=4))
    error = fitted.machine.score(test.rows) - test.labels
    assert np.sqrt(np.mean(error**2)) < 0.25 * test.labels.std()


def test_labels_of_any_size_are_learned() -> None:
    train = planted(2000, REGRESSOR)
    large = Examples(train.rows, train.labels * 1e6 + 5e7)
    settings = LearningSettings(predictor_type=REGRESSOR, num_factors=4, epochs=10)
    small, big = fit(train, settings), fit(large, settings)
    assert np.allclose(big.machine.score(train.rows), small.machine.score(train.rows) * 1e6 + 5e7, rtol=1e-3, atol=1e5)
    for a, b in zip(small.history, big.history, strict=True):
        assert math.isclose(a.train[0].value * 1e6, b.train[0].value, rel_tol=0.01)


def test_the_result_does_not_depend_on_threads_and_depends_on_the_seed() -> None:
    train = planted(3000, CLASSIFIER)
    settings = LearningSettings(predictor_type=CLASSIFIER, epochs=3)
    one, two = fit(train, settings), fit(train, settings, threads=2)
    assert same(one.machine, two.machine)
    assert not same(one.machine, fit(train, dataclasses.replace(settings, seed=1)).machine)


def test_the_best_epoch_on_held_out_rows_is_kept() -> None:
    train, held = planted(300, CLASSIFIER), planted(300, CLASSIFIER, seed=1)
    settings = LearningSettings(
        predictor_type=CLASSIFIER, linear_lr=0.1, factors_lr=0.1, linear_wd=0.0, factors_wd=0.0, patience=2, epochs=100
    )
    fitted = fit(train, settings, validation=held)
    losses = [report.validation_loss for report in fitted.history]
    assert len(losses) < settings.epochs
    assert fitted.stopped_early
    in_full = dataclasses.replace(settings, epochs=len(losses) - 1)
    assert not fit(train, in_full, validation=held).stopped_early
    assert fitted.best_epoch == int(np.argmin(losses)) == len(losses) - 3
    metrics = running_metrics(CLASSIFIER)
    metrics.add_scores(fitted.machine.score(held.rows), held.labels)
    assert math.isclose(metrics.loss, min(losses), rel_tol=1e-5)
    assert fitted.history[-1].validation is not None
    assert [metric.name for metric in fitted.history[-1].validation] == [metric.name for metric in metrics.values()]


def test_all_rows_are_trained_on_once_the_number_of_epochs_is_known() -> None:
    train = planted(2000, CLASSIFIER)
    fitted = fit(train, LearningSettings(predictor_type=CLASSIFIER, patience=1))
    searched = [report for report in fitted.history if not report.refit]
    again = [report for report in fitted.history if report.refit]
    assert {report.rows for report in searched} == {1800}
    assert {report.rows for report in again} == {2000}
    best = int(np.argmin([report.validation_loss for report in searched]))
    assert len(again) == best + 1
    assert fitted.best_epoch == best
    assert fitted.stopped_early
    alone = fit(train, LearningSettings(predictor_type=CLASSIFIER, early_stopping=False, epochs=best + 1))
    assert same(fitted.machine, alone.machine)


def test_the_weighted_loss_is_watched() -> None:
    train, held = planted(500, CLASSIFIER), planted(200, CLASSIFIER, seed=1)
    weights = np.where(held.labels == 1, 3, 1).astype(np.float32)
    settings = LearningSettings(predictor_type=CLASSIFIER, epochs=2)
    weighted = fit(train, settings, validation=Examples(held.rows, held.labels, weights)).history[0]
    plain = fit(train, settings, validation=held).history[0]
    assert weighted.validation == plain.validation
    assert plain.validation is not None
    assert plain.validation_loss == plain.validation[1].value
    assert weighted.validation_loss != plain.validation_loss


def test_events_tell_rows_and_metrics() -> None:
    train = planted(1000, REGRESSOR)
    events: list[Event] = []
    settings = LearningSettings(predictor_type=REGRESSOR, epochs=2, early_stopping=False, mini_batch_size=300)
    fitted = fit(train, settings, on_progress=events.append)
    progress = [event for event in events if isinstance(event, Progress)]
    assert [event for event in events if isinstance(event, EpochReport)] == fitted.history
    last = [event for event in progress if event.rows_done == event.rows]
    assert [event.epoch for event in last] == [0, 1]
    assert all(event.rows == 1000 and event.epochs == 2 and event.rows_per_second > 0 for event in progress)
    for event, report in zip(last, fitted.history, strict=True):
        assert event.loss == {metric.name: metric.value for metric in report.train}["mse"]


@pytest.mark.parametrize("predictor_type", PredictorType)
def test_padding_counts_nowhere(predictor_type: PredictorType) -> None:
    """An epoch whose learning rates are 0 tells the metrics of the first machine on the rows themselves."""
    train = planted(1003, predictor_type)
    still = {f"{group}_lr": 0.0 for group in ("bias", "linear", "factors")}
    settings = LearningSettings(
        predictor_type=predictor_type, epochs=1, early_stopping=False, mini_batch_size=100, members=1, **still
    )
    fitted = fit(train, settings)
    expected = running_metrics(predictor_type)
    expected.add_scores(fitted.machine.score(train.rows), train.labels)
    for found, metric in zip(fitted.history[0].train, expected.values(), strict=True):
        assert math.isclose(found.value, metric.value, rel_tol=1e-4), metric.name


def test_amazons_preset_trains_what_the_trainer_does() -> None:
    train = planted(2500, CLASSIFIER)
    settings = LearningSettings.preset("sagemaker", CLASSIFIER, num_factors=3)
    trainer = Trainer(settings.training_settings(20, 1000))
    trainer.train(trainer.batches(train.rows, train.labels))
    assert same(fit(train, settings).machine, trainer.machine())


def test_the_bias_starts_at_the_mean() -> None:
    def resolved(predictor_type: PredictorType) -> LearningSettings:
        return LearningSettings(predictor_type=predictor_type).resolved(Extent(4, 1.0, 4.0))

    settings = resolved(REGRESSOR)
    rows = as_rows(np.ones((4, 1)), 1)
    regressor = Learner(Examples(rows, np.array([1, 2, 3, 6], np.float32)), settings)
    assert regressor.machine().bias == 3.0
    labels, weights = np.array([1, 0, 0, 0], np.float32), np.array([3, 1, 1, 1], np.float32)
    even = Learner(Examples(rows, labels, weights), resolved(CLASSIFIER))
    assert even.machine().bias == 0.0
    certain = Learner(Examples(rows, np.ones(4, np.float32)), resolved(CLASSIFIER))
    assert 1 < certain.machine().bias < 10


def test_training_goes_on_from_a_machine() -> None:
    train = planted(1000, REGRESSOR, size=100.0)
    settings = LearningSettings(predictor_type=REGRESSOR, num_factors=4, epochs=5, early_stopping=False)
    first = fit(train, settings)
    second = fit(train, settings, initial=first.machine)
    assert second.history[0].train[0].value < first.history[1].train[0].value
    assert second.history[-1].train[0].value < first.history[-1].train[0].value
    with pytest.raises(CustomerError, match=r"num_factors 4 .* 20, 5"):
        fit(train, dataclasses.replace(settings, num_factors=5), initial=first.machine)


@pytest.mark.parametrize("held_out", [True, False])
def test_a_machine_stays_what_it_was_where_no_epoch_is_better(held_out: bool) -> None:
    settings = LearningSettings(predictor_type=REGRESSOR, num_factors=4)
    machine = fit(planted(4000, REGRESSOR), settings).machine
    new = planted(150, REGRESSOR, seed=3)
    noisy = Examples(new.rows, new.labels + np.random.default_rng(0).normal(size=150).astype(np.float32))
    validation = None if held_out else planted(150, REGRESSOR, seed=4)
    gone_on = fit(noisy, dataclasses.replace(settings, patience=2), validation=validation, initial=machine)
    assert same(gone_on.machine, machine)
    assert gone_on.best_epoch is None
    assert gone_on.stopped_early
    assert len(gone_on.history) == 2  # the patience, and no training on all rows


def test_a_machine_goes_on_to_what_is_better() -> None:
    settings = LearningSettings(predictor_type=REGRESSOR, num_factors=4)
    machine = fit(planted(1000, REGRESSOR), settings).machine
    new = planted(1000, REGRESSOR, seed=3)
    moved = Examples(new.rows, new.labels + np.float32(5))
    gone_on = fit(moved, settings, initial=machine)
    assert gone_on.best_epoch is not None
    assert np.mean((gone_on.machine.score(new.rows) - moved.labels) ** 2) < 5


def test_few_rows_change_a_machine_for_a_few_epochs() -> None:
    settings = LearningSettings(predictor_type=REGRESSOR, num_factors=4)
    few = planted(50, REGRESSOR)
    machine = fit(few, dataclasses.replace(settings, epochs=1)).machine
    assert len(fit(few, settings, initial=machine).history) == 10
    assert len(fit(few, settings).history) == 300


def test_features_that_never_occurred_say_nothing() -> None:
    train = planted(300, CLASSIFIER)
    wider = Examples(SparseRows(train.rows.indptr, train.rows.indices, train.rows.values, 23), train.labels)
    machine = fit(wider, LearningSettings(predictor_type=CLASSIFIER, epochs=3)).machine
    assert machine.factors[:20].all()
    assert not machine.factors[20:].any()
    assert not machine.linear[20:].any()
    amazon = fit(wider, LearningSettings.preset("sagemaker", CLASSIFIER)).machine
    assert amazon.factors[20:].all()


def test_a_full_batch_takes_weights_for_repetitions_to_the_last_bit() -> None:
    rng = np.random.default_rng(3)
    train = planted(30, CLASSIFIER)
    times = rng.integers(0, 4, 30)
    repeated = train.take(rng.permutation(np.repeat(np.arange(30), times)))
    weighted = Examples(train.rows, train.labels, times.astype(np.float32))
    settings = LearningSettings(predictor_type=CLASSIFIER, epochs=20, mini_batch_size=1000)
    assert same(fit(repeated, settings).machine, fit(weighted, settings).machine)


@pytest.mark.parametrize(("early_stopping", "times"), [(False, 1), (True, 2)])  # all rows, and those not held out
def test_equal_rows_are_merged_once(early_stopping: bool, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    merged: list[int] = []
    plain = Examples.merged

    def counted(examples: Examples) -> Examples:
        merged.append(len(examples))
        return plain(examples)

    monkeypatch.setattr(Examples, "merged", counted)
    settings = LearningSettings(
        predictor_type=CLASSIFIER, epochs=2, mini_batch_size=1000, early_stopping=early_stopping
    )
    fit(planted(50, CLASSIFIER), settings)
    assert merged == [50, 40][:times]


def test_an_interrupt_keeps_the_best_so_far_where_that_is_asked() -> None:
    train = planted(1000, CLASSIFIER)
    settings = LearningSettings(predictor_type=CLASSIFIER, epochs=9, early_stopping=False)

    def interrupt(event: Event) -> None:
        if isinstance(event, EpochReport) and event.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(train, settings, on_progress=interrupt)
    fitted = fit(train, settings, on_progress=interrupt, keep_interrupted=True)
    assert fitted.interrupted
    assert not fitted.stopped_early
    assert len(fitted.history) == 3
    assert same(fitted.machine, fit(train, dataclasses.replace(settings, epochs=3)).machine)


def test_an_interrupted_refit_leaves_the_machine_of_the_search() -> None:
    train = planted(2000, CLASSIFIER)

    def interrupt(event: Event) -> None:
        if isinstance(event, EpochReport) and event.refit:
            raise KeyboardInterrupt

    settings = LearningSettings(predictor_type=CLASSIFIER, patience=1)
    fitted = fit(train, settings, on_progress=interrupt, keep_interrupted=True)
    assert fitted.interrupted
    assert same(fitted.machine, fit(train, dataclasses.replace(settings, refit=False)).machine)


@pytest.mark.parametrize("predictor_type", PredictorType)
def test_hard_data_leave_a_finite_machine(predictor_type: PredictorType) -> None:
    rng = np.random.default_rng(0)
    labels = np.array([0, 1] * 10, np.float32)
    for X in (rng.normal(size=(20, 3)) * 1e4 + 1e5, np.zeros((20, 3)), np.full((20, 3), 1e30), np.eye(20)):
        train = Examples(as_rows(X, X.shape[1]), labels)
        fitted = fit(train, LearningSettings(predictor_type=predictor_type, num_factors=40))
        assert np.isfinite(fitted.machine.factors).all()
        scores = fitted.machine.score(train.rows)
        assert np.isfinite(scores).all()
        assert np.mean(np.square(scores - labels)) < 0.3


def test_a_constant_target_is_predicted() -> None:
    rng = np.random.default_rng(0)
    train = Examples(as_rows(rng.normal(size=(50, 4)), 4), np.full(50, -7.5, np.float32))
    assert np.allclose(fit(train, LearningSettings(predictor_type=REGRESSOR)).machine.score(train.rows), -7.5, atol=0.1)


def test_wrong_labels_are_refused() -> None:
    train = planted(100, REGRESSOR)
    with pytest.raises(DataError, match="training examples"):
        fit(train, LearningSettings(predictor_type=CLASSIFIER))


@pytest.mark.parametrize("weighted", [False, True])
def test_validation_examples_beyond_all_are_refused(weighted: bool) -> None:
    train = planted(200, REGRESSOR)
    settings = LearningSettings(predictor_type=REGRESSOR, epochs=2, early_stopping=True)
    weights = np.ones(200, np.float32) if weighted else None
    far = Examples(planted(200, REGRESSOR, seed=1, size=3e37).rows, train.labels, weights)
    with pytest.raises(DataError, match="The metrics of the validation examples are not finite, as their features or"):
        fit(train, settings, validation=far)
    far = Examples(train.rows, train.labels + np.float32(1e38), weights)
    with pytest.raises(DataError, match="The metrics of the validation examples are not finite, as their features or"):
        fit(train, settings, validation=far)
