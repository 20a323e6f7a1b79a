"""The mean of the parameters of the last epochs, which is steadier than any of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from openfm.fm.model import FactorizationMachine

__all__ = ["Average"]


class Average:
    """An exponential mean over epochs.

    Args:
        memory: from 0 (the last epoch alone) to below 1: what share of the mean stays when an epoch is added. The first
            epochs count alike until each has as little weight as that.
    """

    def __init__(self, memory: float) -> None:
        self._memory = memory
        self._count = 0
        self._bias = 0.0
        self._linear: npt.NDArray[np.float32] | None = None
        self._factors: npt.NDArray[np.float32] | None = None

    def add(self, machine: FactorizationMachine) -> FactorizationMachine:
        """Add an epoch's machine; the mean so far (a copy)."""
        if self._memory == 0:
            return machine
        self._count += 1
        share = np.float32(max(1.0 / self._count, 1.0 - self._memory))
        if self._linear is None or self._factors is None:
            self._linear, self._factors = np.zeros_like(machine.linear), np.zeros_like(machine.factors)
        self._bias += float(share) * (machine.bias - self._bias)
        self._linear += share * (machine.linear - self._linear)
        self._factors += share * (machine.factors - self._factors)
        return FactorizationMachine(self._bias, self._linear.copy(), self._factors.copy(), machine.predictor_type)
