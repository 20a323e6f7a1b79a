"""Which array of an artifact is the bias, which the linear weights, which the factors.

Amazon's sparse network names them ``w0_weight``, ``w1_weight`` and ``v``. Its network for dense
input has other names, and may store V as (k, D): those arrays are told apart by their shapes and by
what the graph does with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from openfm.artifact.graph import Graph, Role
from openfm.artifact.ndarray_file import StoredArray
from openfm.artifact.symbol import BIAS, FACTORS, LINEAR
from openfm.errors import ArtifactError

__all__ = ["Parameters", "find_parameters"]

_NAMES = {BIAS: Role.BIAS, LINEAR: Role.LINEAR, FACTORS: Role.FACTORS}
_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Parameters:
    """A machine's parameters: w0, w of shape (D,) and V of shape (D, k), float32 and finite."""

    bias: float
    linear: npt.NDArray[np.float32]
    factors: npt.NDArray[np.float32]


def find_parameters(
    arrays: Mapping[str, StoredArray],
    graph: Graph,
    feature_dim: int,
    num_factors: int,
    *,
    optional: frozenset[Role] = frozenset(),
) -> Parameters:
    """Tell the arrays of an artifact apart.

    Args:
        arrays: what ``params`` holds, by name (``arg:`` and all).
        graph: what ``symbol.json`` holds.
        feature_dim: D.
        num_factors: k.
        optional: roles that may have no array (a model trained without bias or linear weights), and
            are zero then.

    Raises:
        ArtifactError: the arrays are not those of one Factorization Machine of these dimensions, or
            not finite; the sentence lists what was found.
    """
    shapes = _Shapes(feature_dim, num_factors)
    found: dict[Role, str] = {}
    for name, array in arrays.items():
        role = _role(name, array.shape, graph, shapes)
        if role is None or role in found:
            raise _unfit(arrays, shapes)
        found[role] = name
    if any(role not in found and role not in optional for role in Role):
        raise _unfit(arrays, shapes)

    def values(role: Role, size: int) -> npt.NDArray[np.float32]:
        if role not in found:
            return np.zeros(size, dtype=np.float32)
        return _finite(found[role], arrays[found[role]])

    factors = values(Role.FACTORS, feature_dim * num_factors)
    if _is_transposed(found[Role.FACTORS], factors.shape, graph, shapes):
        factors = factors.T
    return Parameters(
        bias=float(values(Role.BIAS, 1).reshape(-1)[0]),
        linear=values(Role.LINEAR, feature_dim).reshape(-1),
        factors=np.ascontiguousarray(factors),
    )


@dataclass(frozen=True, slots=True)
class _Shapes:
    """The shapes that each role may have."""

    feature_dim: int
    num_factors: int

    @property
    def bias(self) -> tuple[tuple[int, ...], ...]:
        return ((1,), (1, 1))

    @property
    def linear(self) -> tuple[tuple[int, ...], ...]:
        return ((self.feature_dim, 1), (1, self.feature_dim), (self.feature_dim,))

    @property
    def factors(self) -> tuple[tuple[int, ...], ...]:
        return ((self.feature_dim, self.num_factors), (self.num_factors, self.feature_dim))

    def roles(self, shape: tuple[int, ...]) -> set[Role]:
        """The roles that an array of this shape may play."""
        allowed = {Role.BIAS: self.bias, Role.LINEAR: self.linear, Role.FACTORS: self.factors}
        return {role for role, shapes in allowed.items() if shape in shapes}


def _role(name: str, shape: tuple[int, ...], graph: Graph, shapes: _Shapes) -> Role | None:
    possible = shapes.roles(shape)
    bare_name = name.removeprefix("arg:")
    role = _NAMES.get(bare_name)
    if role is None:
        role = next(iter(possible)) if len(possible) == 1 else graph.role(bare_name)
    return role if role in possible else None


def _is_transposed(name: str, shape: tuple[int, ...], graph: Graph, shapes: _Shapes) -> bool:
    if shapes.feature_dim != shapes.num_factors:
        return shape == (shapes.num_factors, shapes.feature_dim)
    transposed = graph.is_transposed(name.removeprefix("arg:"))
    if transposed is None:
        raise ArtifactError(f"{name} has shape {shape}, and its graph does not tell which of the two is the features")
    return transposed


def _finite(name: str, array: StoredArray) -> npt.NDArray[np.float32]:
    try:
        values = array.to_float32()
    except ArtifactError as error:
        raise ArtifactError(f"{name} of shape {array.shape} cannot be read: {error}") from error
    if array.finite:
        return values
    flat = values.reshape(-1)
    for start in range(0, len(flat), _CHUNK):  # in pieces, so that no mask of the whole array is made
        finite = np.isfinite(flat[start : start + _CHUNK])
        if not finite.all():
            index = start + int(np.argmin(finite))
            position = tuple(int(i) for i in np.unravel_index(index, values.shape))
            raise ArtifactError(f"{name} holds {flat[index]} at {position}; every parameter must be a finite float32")
    return values


def _unfit(arrays: Mapping[str, StoredArray], shapes: _Shapes) -> ArtifactError:
    listed = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "no array"
    d, k = shapes.feature_dim, shapes.num_factors
    return ArtifactError(
        f"its arrays are not those of one Factorization Machine with feature_dim {d} and "
        f"num_factors {k}: found {listed}; expected a bias (1,), linear weights ({d}, 1), (1, {d}) "
        f"or ({d},), and factors ({d}, {k}) or ({k}, {d})"
    )
