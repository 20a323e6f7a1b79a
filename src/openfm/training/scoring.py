"""Scoring a channel of labelled records."""

from __future__ import annotations

import math
from contextlib import closing

from openfm.data.ahead import run_ahead
from openfm.data.reader import ChannelReader
from openfm.errors import DataError
from openfm.fm.auc import AreaUnderCurve
from openfm.fm.metrics import RunningMetrics, running_metrics
from openfm.fm.model import FactorizationMachine
from openfm.training.data import checked_labels
from openfm.training.part import WHOLE, Part

__all__ = ["score_channel"]

_PIECE = 4096  # records that one of several hosts scores before it is the next one's turn


def score_channel(
    machine: FactorizationMachine,
    reader: ChannelReader,
    *,
    threads: int,
    auc: AreaUnderCurve | None = None,
    part: Part = WHOLE,
) -> tuple[RunningMetrics, int]:
    """Score one pass over a channel.

    Args:
        machine: what scores.
        reader: of the channel.
        threads: how many score.
        auc: sees the scores too, if it is given.
        part: which of its records to score.

    Returns:
        the metrics, and the number of records scored. The metrics of no records have no values.

    Raises:
        DataError: a record cannot be read or scored, or a metric is not finite.
        ReadingStoppedError: a stop was requested.
    """
    metrics = running_metrics(machine.predictor_type)
    read = records = 0
    with closing(run_ahead(lambda abandoned: reader.read_pass(abandoned=abandoned), threads=threads)) as blocks:
        for block in blocks:
            rows, labels = block.rows, checked_labels(block, machine.predictor_type, reader.channel.name, read)
            read += len(labels)
            if part.of > 1:
                own = part.rows(read - len(labels), len(labels), _PIECE)
                rows, labels = rows.take(own), labels[own]
            scores = machine.score(rows, threads=threads)
            metrics.add_scores(scores, labels)
            if auc is not None:
                auc.add(scores, labels)
            records += len(labels)
    if records and not math.isfinite(metrics.loss):
        raise DataError(
            f"The metrics of channel '{reader.channel.name}' are not finite: its values or labels overflow float32 in "
            "the model. Scale the features and labels to about 1."
        )
    return metrics, records
