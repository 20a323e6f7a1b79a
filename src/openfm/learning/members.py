"""Several machines that learn alone and score together: the mean of their scores is the score of one machine.

With E members of w0, w and V each, that machine has the means of their w0 and w, and all their factors side by side,
divided by the root of E: <v_i, v_j> adds up over the factors, and so to the mean of the members' inner products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from openfm.fm.model import FactorizationMachine
from openfm.fm.settings import TrainingSettings

__all__ = ["joined", "member_settings", "parted"]

_LEAST_FACTORS = 8
_SEED_STEP = 1_000_003  # between the members' initial values


def member_settings(settings: TrainingSettings, members: int) -> list[TrainingSettings]:
    """What each member is told: its share of the factors, and a seed of its own.

    There are fewer members where they would have less than 8 factors each.
    """
    members = min(members, max(1, settings.num_factors // _LEAST_FACTORS))
    shares = [settings.num_factors // members + (i < settings.num_factors % members) for i in range(members)]
    return [replace(settings, num_factors=share, seed=settings.seed + i * _SEED_STEP) for i, share in enumerate(shares)]


def joined(machines: Sequence[FactorizationMachine]) -> FactorizationMachine:
    """The machine whose score is the mean of the members'."""
    if len(machines) == 1:
        return machines[0]
    root = np.float32(len(machines) ** 0.5)
    return FactorizationMachine(
        float(np.mean([machine.bias for machine in machines])),
        np.mean([machine.linear for machine in machines], axis=0, dtype=np.float32),
        np.concatenate([machine.factors for machine in machines], axis=1) / root,
        machines[0].predictor_type,
    )


def parted(machine: FactorizationMachine, members: Sequence[TrainingSettings]) -> list[FactorizationMachine]:
    """Members whose joined machine is this one."""
    if len(members) == 1:
        return [machine]
    edges = np.cumsum([settings.num_factors for settings in members])[:-1]
    root = np.float32(len(members) ** 0.5)
    return [
        FactorizationMachine(machine.bias, machine.linear, factors * root, machine.predictor_type)
        for factors in np.split(machine.factors, edges, axis=1)
    ]
