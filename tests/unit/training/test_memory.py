from __future__ import annotations

import pytest

from openfm.contract.hyperparameters import Hyperparameters
from openfm.errors import HyperparameterError
from openfm.training.memory import JobMemory


def test_copies_of_the_model_are_left_room(monkeypatch):
    monkeypatch.setattr("openfm.contract.memory.available_memory", lambda: 2**33)
    given = {"feature_dim": 1000, "num_factors": 9, "predictor_type": "regressor"}
    settings = Hyperparameters.parse(given).training_settings()

    without = JobMemory.plan(settings, None)
    with_copies = JobMemory.plan(settings, None, model_copies=2)

    assert without.cache - with_copies.cache == 0.75 * 2 * 4 * 10 * 1000
    assert JobMemory.plan(settings, 12345, model_copies=2).cache == 12345


def test_a_checkpoint_is_planned_until_it_is_taken_over(monkeypatch):
    monkeypatch.setattr("openfm.contract.memory.available_memory", lambda: 2**33)
    monkeypatch.setattr("openfm.contract.memory.memory_limit", lambda: 2**33)
    settings = Hyperparameters.parse(
        {"feature_dim": 1000, "num_factors": 9, "predictor_type": "regressor"}
    ).training_settings()

    fresh = JobMemory.plan(settings, None)
    resumed = JobMemory.plan(settings, None, saved=2**20)

    assert "checkpoint" not in str(fresh)
    assert "state, 1.0 MiB more at the start for the checkpoint that the job goes on from, up to" in str(resumed)
    assert resumed.cache - fresh.cache == 0.75 * 2**20  # it is in memory already, and will not be
    with pytest.raises(HyperparameterError, match="beside the 8589934592 of the checkpoint that the job goes on from"):
        JobMemory.plan(settings, None, saved=2**33)
