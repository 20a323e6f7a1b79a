from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.sparse import random_array

from openfm.contract.hyperparameters import Hyperparameters
from openfm.errors import HyperparameterError
from openfm.fm.matrices import as_rows
from openfm.fm.trainer import Trainer
from openfm.training.hosts.steps import TogetherSteps
from openfm.training.memory import JobMemory, travelling_bytes
from openfm.training.stop import StopRequest
from support.hosts import all_well, on_hosts


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


def test_gradients_that_travel_between_hosts_are_planned(monkeypatch):
    monkeypatch.setattr("openfm.contract.memory.available_memory", lambda: 2**33)
    settings = Hyperparameters.parse(
        {"feature_dim": 1000, "num_factors": 9, "predictor_type": "regressor"}
    ).training_settings()

    alone, together = JobMemory.plan(settings, None), JobMemory.plan(settings, None, hosts=3)

    assert "hosts" not in str(alone)
    each = "126 bytes for each feature that occurs in a step"
    assert f"bound), up to 0.1 MiB for gradients on their way between the hosts ({each}), and about" in str(together)
    assert alone.cache - together.cache == 0.75 * (5 + 126) * 1000


def test_travelling_gradients_take_what_is_planned():
    dim, k, hosts = 20_000, 40, 2
    settings = Hyperparameters.parse(
        {"feature_dim": dim, "num_factors": k, "predictor_type": "regressor", "mini_batch_size": 50}
    ).training_settings()
    rng = np.random.default_rng(0)
    X = random_array((450, dim), density=0.1, format="csr", dtype=np.float32, rng=rng)
    trainers = [Trainer(settings, threads=1) for _ in range(hosts)]
    blocks = [trainer.batches(as_rows(X, dim), np.ones(450, np.float32)) for trainer in trainers]

    def train(collective):
        trainer, data = trainers[collective.rank], _Kept(blocks[collective.rank])
        stop = StopRequest()
        steps = TogetherSteps(collective, "ab", data, trainer, settings, replicated=False, stop=stop, agreed=stop)
        return len(list(steps.epoch(0, 0)))

    tracemalloc.start()
    try:
        assert all_well(on_hosts(hosts, train)) == [9, 9]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    planned = hosts * dim * (5 + travelling_bytes(k, hosts))
    assert 0.6 * planned < peak < planned + 2**20  # of the engine's part that comes in there is nothing here


class _Kept:
    """Training data that are there already; as much of them as the steps ask for."""

    records = 450

    def __init__(self, block):
        self._block = block

    def epoch(self, number):
        yield self._block
