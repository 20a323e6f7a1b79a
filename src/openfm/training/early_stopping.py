"""Early stopping: watches the loss on the channel ``validation`` and remembers the best epoch."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import BaseModel, Field

from openfm.fm.trainer import ByGroup

__all__ = ["BestEpoch", "EarlyStopping"]


class BestEpoch(BaseModel):
    """The best epoch so far.

    Attributes:
        epoch: its number, from 0.
        loss: its validation loss.
        epochs_since: how many epochs came after it.
    """

    epoch: int = Field(ge=0)
    loss: float
    epochs_since: int = Field(default=0, ge=0)


class EarlyStopping:
    """Stops a job whose validation loss no longer falls.

    Args:
        patience: how many epochs in a row may pass without an improvement.
        tolerance: by what share of the lowest loss so far the loss must fall to count as one.
    """

    def __init__(self, patience: int, tolerance: float) -> None:
        self._patience = patience
        self._tolerance = tolerance
        self.best: BestEpoch | None = None
        self.parameters: ByGroup | None = None

    def add(self, epoch: int, loss: float, parameters: Callable[[], ByGroup]) -> None:
        """See an epoch's validation loss.

        Args:
            epoch: its number.
            loss: on the channel ``validation``.
            parameters: copies those that gave the loss; called if they are the best so far.
        """
        if self.best is None or loss < self.best.loss * (1.0 - self._tolerance):
            self.parameters = None  # before there are others: there need not be memory for both
            self.best, self.parameters = BestEpoch(epoch=epoch, loss=loss), parameters()
        else:
            self.best.epochs_since += 1

    @property
    def is_over(self) -> bool:
        """Whether the patience is at its end."""
        return self.best is not None and self.best.epochs_since >= self._patience

    def restore(self, best: BestEpoch, parameters: ByGroup) -> None:
        """Go on from the best epoch of a job that was interrupted."""
        self.best, self.parameters = best, parameters
