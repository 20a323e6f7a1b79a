"""From examples and settings to a machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from openfm.fm.metrics import Metric
from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.learning.averaging import Average
from openfm.learning.defaults import Extent
from openfm.learning.examples import Examples
from openfm.learning.learner import Learner
from openfm.learning.reports import EpochReport, Event, Progress
from openfm.learning.settings import LearningSettings
from openfm.learning.watching import HeldOut, Watch

__all__ = ["Fitted", "Listener", "fit"]

_BEFORE = -1  # the number of what comes before the first epoch

Listener = Callable[[Event], None]
"""Called with each event in the thread that trains."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """What training gave.

    Attributes:
        machine: in the units of features and labels.
        history: of every epoch, in order; with a refit, first those that looked for the number of epochs.
        best_epoch: the number (from 0) of the epoch whose parameters were kept, of the last where nothing was held out;
            None where training was interrupted before the end of the first, or the machine that it started from was
            better than that of any epoch.
        settings: what it was told.
        interrupted: whether it was stopped by Ctrl-C.
        stopped_early: whether it ended before the last epoch because no better one came; not where the epochs ran out.
    """

    machine: FactorizationMachine
    history: list[EpochReport]
    best_epoch: int | None
    settings: LearningSettings
    interrupted: bool = False
    stopped_early: bool = False


def fit(
    train: Examples,
    settings: LearningSettings,
    *,
    validation: Examples | None = None,
    initial: FactorizationMachine | None = None,
    threads: int = 1,
    on_progress: Listener | None = None,
    keep_interrupted: bool = False,
) -> Fitted:
    """Train a machine.

    The result depends on examples and settings only: not on the number of threads.

    Args:
        train: what to learn; rows of weight 0 are left out.
        settings: how.
        validation: scored after each epoch; unless ``early_stopping`` is False, the epoch with the least loss on them
            is kept. None: a part of ``train`` at random is held out for that, where the settings ask for it.
        initial: the machine to go on from, of this shape and type, which is what comes out where no epoch is better on
            held-out rows; None: a new one.
        threads: how many work.
        on_progress: called with each :class:`~openfm.learning.reports.Progress` and
            :class:`~openfm.learning.reports.EpochReport`.
        keep_interrupted: whether Ctrl-C ends the training and keeps the best so far. Otherwise the KeyboardInterrupt
            goes on.

    Raises:
        DataError: labels or weights are wrong, or there are no examples.
        CustomerError: ``initial`` is a machine of another shape or type.
        TrainingDivergedError: a parameter or a metric is no longer finite.
    """
    train = train.checked(settings.predictor_type, "training examples")
    whole = _with_equal_rows_merged(train, settings)
    settings = settings.resolved(Extent.of(whole), goes_on=initial is not None)
    part, held = whole, None
    stops = settings.stops_early(len(train))
    if validation is not None:
        held = validation.checked(settings.predictor_type, "validation examples")
        stops = settings.early_stopping is not False
    elif stops:
        is_binary = settings.predictor_type is PredictorType.BINARY_CLASSIFIER
        assert settings.validation_fraction is not None  # they are resolved
        part, held = train.split(settings.validation_fraction, settings.seed, by_label=is_binary)
        part = _with_equal_rows_merged(part, settings)
    run = _Run(part, held if stops else None, held, settings, initial, threads, on_progress)
    run.train(keep_interrupted)
    if not (stops and settings.refit and validation is None) or run.interrupted or not run.best_epochs:
        return run.fitted(settings)
    again = _Run(
        whole, None, None, replace(settings, epochs=run.best_epochs), initial, threads, on_progress, refit=True
    )  # fmt: skip
    again.train(keep_interrupted)
    fitted = (run if again.interrupted else again).fitted(settings, [*run.history, *again.history], again.interrupted)
    return replace(fitted, stopped_early=run.stopped_early)


class _Run:
    """One training, from the first epoch to the last."""

    def __init__(
        self,
        train: Examples,
        watched: Examples | None,
        scored: Examples | None,
        settings: LearningSettings,
        initial: FactorizationMachine | None,
        threads: int,
        listener: Listener | None,
        *,
        refit: bool = False,
    ) -> None:
        if settings.normalize_weights:
            train = train.normalized()
        self._learner = Learner(train, settings, initial=initial, threads=threads)
        self._train = self._learner.scaling.scaled(train)
        self._held = None if scored is None else HeldOut(scored, self._learner.scaling)
        self._watch = None if watched is None else Watch(settings.patience, settings.tolerance)
        self._settings, self._threads, self._listener, self._refit = settings, threads, listener, refit
        assert settings.epochs is not None  # they are resolved
        self._epochs = settings.epochs
        self._average = Average(settings.averaging)
        self._initial = initial
        if self._watch is not None and self._held is not None and initial is not None:
            start = self._learner.scaled_machine()
            self._watch.add(_BEFORE, self._held.score(start, threads)[1], start)
        self._last: FactorizationMachine | None = None
        self.history: list[EpochReport] = []
        self.interrupted = False

    def train(self, keep_interrupted: bool) -> None:
        """Train until the last epoch, or until no better one comes."""
        try:
            while len(self.history) < self._epochs and not (self._watch and self._watch.is_over):
                self._epoch(len(self.history))
        except KeyboardInterrupt:
            if not keep_interrupted:
                raise
            self.interrupted = True

    @property
    def stopped_early(self) -> bool:
        """Whether it ended, uninterrupted and before the last epoch, because no better one came."""
        is_over = self._watch is not None and self._watch.is_over
        return is_over and not self.interrupted and len(self.history) < self._epochs

    @property
    def best_epochs(self) -> int:
        """How many epochs lead to the best machine."""
        best = self._watch.best if self._watch else None
        return len(self.history) if best is None else best[0] + 1

    def fitted(
        self, settings: LearningSettings, history: list[EpochReport] | None = None, interrupted: bool = False
    ) -> Fitted:
        """The best machine, and how it came about."""
        best = self._watch.best if self._watch else None
        machine = (self._last or self._learner.scaled_machine()) if best is None else best[1]
        is_initial = best is not None and best[0] == _BEFORE
        return Fitted(
            self._initial if is_initial and self._initial is not None else self._learner.unscaled(machine),
            self.history if history is None else history,
            self.best_epochs - 1 if self.best_epochs else None,
            settings,
            interrupted or self.interrupted,
            self.stopped_early,
        )

    def _epoch(self, number: int) -> None:
        begin = time.perf_counter()

        def on_rows(done: int, loss: float) -> None:
            self._tell(
                Progress(
                    number,
                    self._epochs,
                    done,
                    len(self._train),
                    loss,
                    done / _seconds_since(begin),
                    self._refit,
                )
            )

        metrics = self._learner.epoch(self._train, number, on_rows if self._listener else None)
        validation: tuple[Metric, ...] | None = None
        loss: float | None = None
        machine = self._last = self._average.add(self._learner.scaled_machine())
        if self._held is not None:
            validation, loss = self._held.score(machine, self._threads)
            if self._watch:
                self._watch.add(number, loss, machine)
        report = EpochReport(
            number, tuple(metrics.values()), validation, loss, len(self._train), _seconds_since(begin), self._refit
        )
        self.history.append(report)
        self._tell(report)

    def _tell(self, event: Event) -> None:
        if self._listener is not None:
            self._listener(event)


def _with_equal_rows_merged(train: Examples, settings: LearningSettings) -> Examples:
    """Where one mini-batch holds all rows, a row that stands there twice is a row of weight 2, to the last bit."""
    return train.merged() if settings.shuffle and settings.batch_size(len(train)) == len(train) else train


def _seconds_since(begin: float) -> float:
    """By the clock, never 0."""
    return max(time.perf_counter() - begin, 1e-9)
