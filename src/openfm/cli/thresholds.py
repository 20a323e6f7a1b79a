"""``openfm thresholds``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np

from openfm.artifact import find_model, load_model
from openfm.cli.failing import failing_in_one_sentence
from openfm.cli.rows import DATA, MODEL, RecordsFile, records_options
from openfm.errors import CustomerError
from openfm.fm.model import PredictorType
from openfm.fm.thresholds import ThresholdTable, threshold_table

__all__ = ["thresholds"]

_MEASURES = ("precision", "recall", "f1", "accuracy")
_COUNTS = ("true_positives", "false_positives", "true_negatives", "false_negatives")
_STEPS = [step / 20 for step in range(1, 20)]


@click.command()
@click.argument("model", type=MODEL)
@click.argument("data", type=DATA)
@records_options("data")
@click.option(
    "--best",
    type=click.Choice(["f1", "accuracy"]),
    default="f1",
    show_default=True,
    help="What the best of all thresholds is best in; of equally good ones it is the lowest.",
)
@click.option("--store", is_flag=True, help="Write the best threshold into MODEL.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a threshold, the best one last.")
def thresholds(model: Path, data: RecordsFile, best: str, store: bool, as_json: bool) -> None:
    """Count what each threshold of a binary classifier makes of labelled records.

    MODEL is a model.tar.gz, a model file or a folder with one of them, DATA a file of records in any format (see openfm
    convert) with the labels 0 and 1; - is standard input. A record whose score is at least the threshold is predicted
    to be of label 1. A server goes by the threshold that is written into its model if it is told to:
    OPENFM_THRESHOLD=stored.

    \b
    Examples:
      openfm thresholds model/ held-out.pbr
      openfm thresholds model/ held-out.pbr --best accuracy --store
    """
    with failing_in_one_sentence():
        path = find_model(model) if model.is_dir() else model
        loaded = load_model(path)
        if loaded.predictor_type is not PredictorType.BINARY_CLASSIFIER:
            raise CustomerError(f"{path} is a regressor, and only a binary_classifier has a threshold.")
        rows, labels = data.labelled(loaded.feature_dim, loaded.encoder)
        scores = loaded.machine.score(rows)
        if not len(scores):
            raise CustomerError("The data hold no records; give some with the labels 0 and 1.")
        # Each score, at which alone the counts change, and one above them all: label 1 is predicted of no record.
        above = min(np.nextafter(scores.max(), np.float32(2)), np.float32(1))
        every = threshold_table(scores, labels, np.append(scores, above))
        choice = int(np.argmax(getattr(every, best)))
        chosen = threshold_table(scores, labels, every.thresholds[[choice]])
        for line in _lines(threshold_table(scores, labels, _STEPS), chosen, best, as_json=as_json):
            click.echo(line)
        if store:
            loaded.with_threshold(float(chosen.thresholds[0])).save(path)
            click.echo(
                f"{path} has this threshold now. openfm serve goes by it with OPENFM_THRESHOLD=stored.", err=True
            )


def _lines(steps: ThresholdTable, chosen: ThresholdTable, best: str, *, as_json: bool) -> Iterator[str]:
    if as_json:
        for document in (*_documents(steps), *_documents(chosen)):
            yield json.dumps(document)
        return
    yield "  ".join(f"{name:>9}" for name in ("threshold", *_MEASURES))
    for document in _documents(steps):
        yield "  ".join(f"{document[name]:9.4f}" for name in ("threshold", *_MEASURES))
    (document,) = _documents(chosen)
    yield f"best {best}: {document[best]:.4f} at {document['threshold']!r}"


def _documents(table: ThresholdTable) -> Iterator[dict[str, float]]:
    columns = {"threshold": table.thresholds} | {name: getattr(table, name) for name in (*_MEASURES, *_COUNTS)}
    for row in range(len(table)):
        yield {name: column[row].item() for name, column in columns.items()}
