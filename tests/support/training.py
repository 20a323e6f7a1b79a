"""Small jobs of the trainer itself, and what they are compared by."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from openfm.fm.matrices import as_rows
from openfm.fm.metrics import Metric, running_metrics
from openfm.fm.model import FactorizationMachine
from openfm.fm.settings import TrainingSettings
from openfm.fm.trainer import Trainer

__all__ = ["parameters", "scattered", "train"]


def train(
    settings: TrainingSettings, data: tuple[Any, npt.NDArray[np.float32]], epochs: int = 3, **options: Any
) -> tuple[FactorizationMachine, list[list[Metric]]]:
    """The machine and each epoch's metrics; ``options`` are the trainer's."""
    X, y = data
    trainer = Trainer(settings, **options)
    block = trainer.batches(as_rows(X, settings.feature_dim), y)
    history = []
    for epoch in range(epochs):
        metrics = running_metrics(settings.predictor_type)
        for sums in trainer.train(block, epoch=epoch):
            metrics.add_sums(sums, settings.mini_batch_size)
        history.append(metrics.values())
    return trainer.machine(), history


def parameters(machine: FactorizationMachine) -> bytes:
    """All parameters of the machine."""
    return np.float32(machine.bias).tobytes() + machine.linear.tobytes() + machine.factors.tobytes()


def scattered(rng: np.random.Generator, rows: int, features: int, density: float) -> npt.NDArray[np.float32]:
    """Normal values at random places; the last feature occurs nowhere."""
    X = rng.normal(0, 1, (rows, features)).astype(np.float32) * (rng.random((rows, features)) < density)
    X[:, -1] = 0
    return X
