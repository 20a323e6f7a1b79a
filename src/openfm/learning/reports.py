"""What training tells while it goes on."""

from __future__ import annotations

from dataclasses import dataclass

from openfm.fm.metrics import Metric

__all__ = ["EpochReport", "Event", "Progress"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an epoch is; several a second of them come.

    Attributes:
        epoch: its number, from 0.
        epochs: how many there will be at most.
        rows_done, rows: trained in this epoch so far, and in all of it.
        loss: mean over the rows done of what is minimised: squared error or cross entropy.
        rows_per_second: of this epoch so far.
        refit: whether all rows are being trained on again, now that the number of epochs is known.
    """

    epoch: int
    epochs: int
    rows_done: int
    rows: int
    loss: float
    rows_per_second: float
    refit: bool = False


@dataclass(frozen=True, slots=True)
class EpochReport:
    """An epoch that is done.

    Attributes:
        epoch: its number, from 0.
        train: the metrics of the rows trained on, each as it was before its mini-batch was learned; by the names that
            the container logs. Every row counts once, whatever its weight.
        validation: those of the held-out rows after the epoch; None where there are none.
        validation_loss: the held-out rows' mean loss by their weights, which early stopping watches.
        rows: trained on.
        seconds: by the clock, scoring of held-out rows included.
        refit: whether it belongs to the training on all rows that follows early stopping.
    """

    epoch: int
    train: tuple[Metric, ...]
    validation: tuple[Metric, ...] | None
    validation_loss: float | None
    rows: int
    seconds: float
    refit: bool = False


Event = Progress | EpochReport
