"""Early stopping: watches the loss on the channel ``validation`` and remembers the best epoch."""

from __future__ import annotations

import math
from typing import Any

from openfm.fm.model import FactorizationMachine

__all__ = ["EarlyStopping"]


class EarlyStopping:
    """Stops a job whose validation loss no longer falls.

    Args:
        patience: how many epochs in a row may pass without an improvement.
        tolerance: by what share of the lowest loss so far the loss must fall to count as one.
    """

    def __init__(self, patience: int, tolerance: float) -> None:
        self._patience = patience
        self._tolerance = tolerance
        self._best_loss = math.inf
        self._epochs_without = 0
        self.best_epoch = -1
        self.best_machine: FactorizationMachine | None = None

    def add(self, epoch: int, loss: float, machine: FactorizationMachine) -> None:
        """See an epoch's validation loss and the machine that gave it."""
        if self.best_machine is None or loss < self._best_loss * (1.0 - self._tolerance):
            self._best_loss, self.best_epoch, self.best_machine = loss, epoch, machine
            self._epochs_without = 0
        else:
            self._epochs_without += 1

    @property
    def is_over(self) -> bool:
        """Whether the patience is at its end."""
        return self._epochs_without >= self._patience

    def state(self) -> dict[str, Any]:
        """Everything but the machine, as JSON can say it."""
        return {
            "best_loss": self._best_loss,
            "best_epoch": self.best_epoch,
            "epochs_without": self._epochs_without,
        }

    def restore(self, state: dict[str, Any], machine: FactorizationMachine) -> None:
        """Go on from a state and the best machine of it."""
        self._best_loss = state["best_loss"]
        self.best_epoch = state["best_epoch"]
        self._epochs_without = state["epochs_without"]
        self.best_machine = machine
