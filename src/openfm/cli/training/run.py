"""``openfm train`` on files: from data to a model."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from openfm.artifact import MODEL_NAME, Model
from openfm.cli.training.labels import predictor_type_of
from openfm.cli.training.outcome import Outcome, by_name, quality_on
from openfm.cli.training.progress import ProgressDisplay
from openfm.cli.training.start import Start
from openfm.cli.training.tables import Columns, DataReader
from openfm.contract.environment import Environment
from openfm.contract.metrics_file import MetricsFile
from openfm.data.formats.format import ReadOptions
from openfm.errors import CustomerError
from openfm.fm.model import PredictorType
from openfm.learning import EpochReport, Event, Examples, Extent, Fitted, LearningSettings, fit

__all__ = ["train_by_hand"]

_SETTINGS = ("epochs", "num_factors", "seed", "validation_fraction")
_REFIT = "all rows"


def train_by_hand(data: str, **options: Any) -> None:
    """Train on a file, write the model and say what came out.

    Args:
        data: the file; - is standard input.
        options: those of the verb, by name.

    Raises:
        OpenFMError: it cannot be done.
        OSError: a file cannot be read or written.
    """
    outcome = _Training(options).run(data)
    for line in [json.dumps(outcome.document())] if options["as_json"] else outcome.lines():
        click.echo(line)


class _Training:
    """One run of the verb.

    Args:
        options: of the verb, by name.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._begin = time.monotonic()
        self._out = _checked_out(options["out"])
        self._threads = Environment.read(os.environ).num_threads
        self._display = None if options["quiet"] else ProgressDisplay(sys.stderr)
        self._start = None if options["start"] is None else Start.load(options["start"], options)
        self._metrics = MetricsFile(options["metrics"], on_failure=lambda sentence: click.echo(sentence, err=True))
        self._reader = DataReader(
            Columns(**{name: options[name] for name in ("target", "weight", "categorical", "hashed", "ignore")}),
            ReadOptions(
                feature_dim=options["feature_dim"], index_base=options["index_base"], header=not options["no_header"]
            ),
            options["from_format"],
            self._start,
        )

    def run(self, data: str) -> Outcome:
        """Read, train, save and score."""
        unseen: Counter[str] = Counter()
        examples = self._reader.read_training(data, unseen)
        validation = self._read("validation")
        test_unseen: Counter[str] = Counter()
        test = self._read("test", test_unseen)
        settings = self._settings(examples, validation)
        if test is not None:  # what is wrong with it is said before the training, not after it
            test = test.checked(settings.predictor_type, f"examples of {self._options['test']}")
        if self._start is None:
            self._say_columns()
        examples = examples.checked(settings.predictor_type, "training examples")  # without those of weight 0
        known = settings.resolved(Extent.of(examples), goes_on=self._start is not None)
        self._metrics.start(known.training_parameters(examples.rows.feature_dim, len(examples)))
        fitted = fit(
            examples,
            settings,
            validation=validation,
            initial=None if self._start is None else self._start.model.machine,
            threads=self._threads,
            on_progress=self._tell,
            keep_interrupted=True,
        )
        model = self._save(fitted, examples)
        if fitted.interrupted:
            self._say(f"Interrupted: {self._out} has the best model so far.", always=True)
        quality = None
        if test is not None:
            begin = time.monotonic()
            quality = quality_on(model, test, threads=self._threads)
            self._metrics.score("test", quality, rows=len(test), seconds=time.monotonic() - begin)
        seconds = time.monotonic() - self._begin
        self._tell_end(fitted, seconds)
        return Outcome(
            path=str(self._out),
            model=model,
            rows=len(examples),
            fitted=fitted,
            seconds=seconds,
            test=quality,
            unseen=unseen,
            unseen_in_test=test_unseen,
        )

    def _read(self, option: str, unseen: Counter[str] | None = None) -> Examples | None:
        path = self._options[option]
        return None if path is None else self._reader.read_more(path, unseen)

    def _settings(self, examples: Examples, validation: Examples | None) -> LearningSettings:
        named = self._options["predictor_type"]
        if named is not None:
            kind = PredictorType(named)
        elif self._start is not None:
            kind = self._start.model.predictor_type
        else:
            kind, why = predictor_type_of(examples.labels)
            self._say(why)
        changes = {name: self._options[name] for name in _SETTINGS if self._options[name] is not None}
        if self._start is not None:
            changes["num_factors"] = self._start.model.num_factors
            self._say(f"Starting from the parameters of {self._start.path}: a {kind.value}.")
            if (name := self._reader.missing_weight) is not None:
                self._say(f"The table has no column '{name}' for weights, as {self._start} has: all rows count alike.")
        if (rate := self._options["learning_rate"]) is not None:
            changes |= dict.fromkeys(("bias_lr", "linear_lr", "factors_lr"), rate)
        if (size := self._options["batch_size"]) is not None:
            changes["mini_batch_size"] = size
        if validation is not None or "validation_fraction" in changes:
            changes["early_stopping"] = True
        return LearningSettings.preset(self._options["preset"], kind, **changes)

    def _say_columns(self) -> None:
        encoder = self._reader.encoder
        if encoder is None:
            return
        numbers = [column.name for column in encoder.columns if column.name not in encoder.text_columns]
        others = [f"{name} ({len(encoder.features_of(name)):,})" for name in encoder.text_columns]
        if others:
            self._say(f"Categories, each value a feature: {', '.join(others)}.")
        if numbers:
            self._say(f"Numbers: {', '.join(numbers)}. Name ids among them with --categorical.")

    def _say(self, sentence: str, *, always: bool = False) -> None:
        if self._display is not None:
            self._display.line(sentence)
        elif always:
            click.echo(sentence, err=True)

    def _tell(self, event: Event) -> None:
        if self._display is not None:
            self._display(event)
        if isinstance(event, EpochReport):
            channel = _REFIT if event.refit else "train"
            self._metrics.epoch(event.epoch, channel, by_name(event.train), rows=event.rows, seconds=event.seconds)
            if event.validation is not None:
                self._metrics.epoch(event.epoch, "validation", by_name(event.validation))

    def _tell_end(self, fitted: Fitted, seconds: float) -> None:
        watched = any(report.validation is not None for report in fitted.history)
        chosen = fitted.best_epoch if watched and not fitted.stopped_early else None
        self._metrics.end(epochs=len(fitted.history), seconds=seconds, stopped=fitted.interrupted, best_epoch=chosen)

    def _save(self, fitted: Fitted, examples: Examples) -> Model:
        if self._display is not None:
            self._display.clear()
        if fitted.stopped_early and fitted.best_epoch is not None:
            watched = [report.epoch for report in fitted.history if report.validation is not None]
            self._metrics.early_stop(watched[-1], fitted.best_epoch)
        parameters = fitted.settings.training_parameters(examples.rows.feature_dim, len(examples))
        if self._start is None:
            model = Model(fitted.machine, parameters, encoder=self._reader.encoder)
        else:
            model = self._start.trained_on(fitted.machine, parameters, self._reader.encoder)
        model.save(self._out)
        return model


def _checked_out(text: str) -> Path:
    """The model's file; the folder that it is to be in is made where only the folder is named.

    Raises:
        CustomerError: the folder of the file is not there, or cannot be written to.
    """
    path = Path(text)
    if text.endswith("/"):
        path.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        path = path / MODEL_NAME
    if not path.parent.is_dir():
        raise CustomerError(f"There is no folder '{path.parent}'. Make it first.")
    if not os.access(path.parent, os.W_OK):
        raise CustomerError(f"The folder '{path.parent}' cannot be written to. Choose another with --out.")
    return path
