"""Machines that learn alone and score together, and means over epochs."""

from __future__ import annotations

import numpy as np
import pytest

from openfm.fm.matrices import as_rows
from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.fm.settings import TrainingSettings
from openfm.learning import Extent, LearningSettings
from openfm.learning.averaging import Average
from openfm.learning.members import joined, member_settings, parted

ROWS = as_rows(np.random.default_rng(0).normal(size=(10, 6)), 6)


def told(num_factors: int) -> TrainingSettings:
    settings = LearningSettings(predictor_type=PredictorType.REGRESSOR, num_factors=num_factors)
    return settings.resolved(Extent(rows=10, row_length=2, occurrences=3)).training_settings(6, 10)


def machine(num_factors: int, seed: int) -> FactorizationMachine:
    rng = np.random.default_rng(seed)
    return FactorizationMachine(seed, rng.normal(size=6), rng.normal(size=(6, num_factors)), PredictorType.REGRESSOR)


@pytest.mark.parametrize(
    ("factors", "members", "shares"), [(8, 1, [8]), (26, 3, [9, 9, 8]), (20, 4, [10, 10]), (7, 3, [7])]
)
def test_members_share_the_factors(factors: int, members: int, shares: list[int]) -> None:
    found = member_settings(told(factors), members)
    assert [settings.num_factors for settings in found] == shares
    assert len({settings.seed for settings in found}) == len(shares)


def test_the_joined_machine_scores_the_mean() -> None:
    members = [machine(k, seed) for seed, k in enumerate((3, 2, 2))]
    together = joined(members)
    assert together.num_factors == 7
    mean = np.mean([member.score(ROWS) for member in members], axis=0)
    assert np.allclose(together.score(ROWS), mean, rtol=1e-4, atol=1e-5)


def test_parts_join_to_the_machine_they_came_from() -> None:
    whole = machine(26, 5)
    parts = parted(whole, member_settings(told(26), 3))
    assert [part.num_factors for part in parts] == [9, 9, 8]
    assert np.allclose(joined(parts).factors, whole.factors, rtol=1e-6)
    assert np.allclose(joined(parts).score(ROWS), whole.score(ROWS), rtol=1e-4, atol=1e-5)


def test_the_mean_over_epochs_forgets() -> None:
    average = Average(0.5)
    values = [average.add(FactorizationMachine(x, [x], [[x]], PredictorType.REGRESSOR)) for x in (4.0, 2.0, 1.0)]
    assert [value.bias for value in values] == [4.0, 3.0, 2.0]
    assert [float(value.linear[0]) for value in values] == [4.0, 3.0, 2.0]
    assert [float(value.factors[0, 0]) for value in values] == [4.0, 3.0, 2.0]


def test_without_memory_the_last_epoch_counts() -> None:
    average = Average(0.0)
    average.add(machine(2, 1))
    last = machine(2, 2)
    assert average.add(last) is last
