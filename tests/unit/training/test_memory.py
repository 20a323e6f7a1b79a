from __future__ import annotations

from openfm.contract.hyperparameters import Hyperparameters
from openfm.training.memory import JobMemory


def test_copies_of_the_model_are_left_room(monkeypatch):
    monkeypatch.setattr("openfm.contract.memory.available_memory", lambda: 2**33)
    given = {"feature_dim": 1000, "num_factors": 9, "predictor_type": "regressor"}
    settings = Hyperparameters.parse(given).training_settings()

    without = JobMemory.plan(settings, None)
    with_copies = JobMemory.plan(settings, None, model_copies=2)

    assert without.cache - with_copies.cache == 0.75 * 2 * 4 * 10 * 1000
    assert JobMemory.plan(settings, 12345, model_copies=2).cache == 12345
