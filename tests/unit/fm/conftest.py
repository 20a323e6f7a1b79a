from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix, random

from openfm.fm.initializers import Initializer
from openfm.fm.model import PredictorType
from openfm.fm.settings import GroupSettings, TrainingSettings

DIM = 37


@pytest.fixture
def make_settings() -> Callable[..., TrainingSettings]:
    """Settings of a small job that moves all parameters visibly; keywords replace single ones."""

    def make(**changes: Any) -> TrainingSettings:
        group = {"learning_rate": 0.01, "weight_decay": 0.001}
        settings: dict[str, Any] = {
            "predictor_type": PredictorType.REGRESSOR,
            "feature_dim": DIM,
            "num_factors": 5,
            "mini_batch_size": 16,
            "epochs": 1,
            "bias": GroupSettings(**group, initializer=Initializer("normal", 0.01)),
            "linear": GroupSettings(**group, initializer=Initializer("normal", 0.01)),
            "factors": GroupSettings(**group, initializer=Initializer("normal", 0.1)),
        }
        return TrainingSettings(**(settings | changes))

    return make


@pytest.fixture
def data() -> tuple[csr_matrix, np.ndarray]:
    """107 rows, some of them empty, one feature that never occurs; labels 0 and 1."""
    rng = np.random.default_rng(5)
    matrix = csr_matrix(random(107, DIM, density=0.15, random_state=rng), dtype=np.float32)
    matrix.data[:] = rng.normal(0, 1, matrix.nnz)
    matrix = matrix.tolil()
    matrix[:, 11] = 0
    matrix[[0, 50, 106]] = 0
    labels = rng.integers(0, 2, 107).astype(np.float32)
    return csr_matrix(matrix), labels
