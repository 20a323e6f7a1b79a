"""Vectors for a nearest-neighbour index: users and items whose inner product orders items as their scores do.

With a user u and an item i, each a feature of value 1,

    s(u, i) = w0 + w_u + (w_i + <v_u, v_i>) = w0 + w_u + <(v_u, 1), (v_i, w_i)>

and w0 + w_u is the same for all items. These are the vectors of "Extending Amazon SageMaker factorization machines
algorithm to predict top x recommendations" (AWS Machine Learning Blog, 2019), in its order: the factors come first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from openfm.fm.model import FactorizationMachine

__all__ = ["NeighbourVectors", "neighbour_vectors"]


@dataclass(frozen=True, slots=True, eq=False)
class NeighbourVectors:
    """What a nearest-neighbour index by inner product takes.

    Attributes:
        users: float32, shape (users, k + 1): the queries (v_u, 1).
        items: float32, shape (items, k + 1): what is indexed, (v_i, w_i).
    """

    users: npt.NDArray[np.float32]
    items: npt.NDArray[np.float32]


def neighbour_vectors(machine: FactorizationMachine, users: range, items: range) -> NeighbourVectors:
    """The vectors of two ranges of features.

    Args:
        machine: any Factorization Machine.
        users: the features that say who.
        items: the features that say what.

    Raises:
        ValueError: a range has a step other than 1 or lies outside of the features.
    """
    for numbers in (users, items):
        if numbers.step != 1 or numbers.start < 0 or numbers.stop > machine.feature_dim:
            raise ValueError(f"{numbers} is no range of the {machine.feature_dim} features with a step of 1")
    of_users, of_items = slice(users.start, users.stop), slice(items.start, items.stop)
    ones = np.ones((len(users), 1), dtype=np.float32)
    return NeighbourVectors(
        users=np.hstack([machine.factors[of_users], ones]),
        items=np.hstack([machine.factors[of_items], machine.linear[of_items, None]]),
    )
