"""``symbol.json``, read: what a graph ends in and what it does with each of its parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from openfm.artifact.meta import parse_json
from openfm.errors import ArtifactError

__all__ = ["Graph", "Role"]

_MAX_NODES = 10_000
_SQUARES = frozenset({"square", "_square_sum", "_power_scalar", "_PowerScalar"})
_PRODUCTS = frozenset({"_mul", "elemwise_mul", "broadcast_mul", "_Mul"})
_SUMS = frozenset({"_plus", "_Plus", "elemwise_add", "broadcast_add", "broadcast_plus"})
_DENSE_LAYER = "FullyConnected"  # inputs: data, weight of shape (outputs, inputs), bias


class Role(Enum):
    """What an array of a Factorization Machine is."""

    BIAS = "bias"
    LINEAR = "linear weights"
    FACTORS = "factors"


@dataclass(frozen=True, slots=True)
class _Use:
    """One place where a node goes into another."""

    operator: str
    position: int
    attributes: dict[str, str]
    squares: bool


class Graph:
    """The graph of a ``symbol.json``.

    Attributes:
        output_operator: the operator of its (first) head.
    """

    def __init__(self, output_operator: str, uses: dict[str, list[_Use]]) -> None:
        self.output_operator = output_operator
        self._uses = uses

    @classmethod
    def parse(cls, data: bytes) -> Graph:
        """Read a graph.

        Raises:
            ArtifactError: the text is not a graph as MXNet writes them.
        """
        parsed = parse_json(data, "symbol.json")
        try:
            return cls._from_json(parsed)
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise ArtifactError(f"symbol.json is not a graph of MXNet: {error!r}") from error

    @classmethod
    def _from_json(cls, parsed: object) -> Graph:
        if not isinstance(parsed, dict):
            raise TypeError("not an object")
        nodes = parsed["nodes"]
        if len(nodes) > _MAX_NODES:
            raise ArtifactError(f"symbol.json has {len(nodes)} nodes; a Factorization Machine's has 19")
        uses: dict[str, list[_Use]] = {str(node["name"]): [] for node in nodes}
        for node in nodes:
            for name, use in _inputs(node, nodes):
                uses[name].append(use)
        return cls(str(nodes[parsed["heads"][0][0]]["op"]), uses)

    def role(self, name: str) -> Role | None:
        """What the graph uses a parameter for; None: it does not tell.

        Factors are squared, a bias is added, linear weights are only multiplied.
        """
        uses = self._uses.get(name, [])
        if any(use.squares for use in uses):
            return Role.FACTORS
        for use in uses:
            if use.operator in _SUMS or (use.operator, use.position) == (_DENSE_LAYER, 2):
                return Role.BIAS
            if use.operator == "dot" or (use.operator, use.position) == (_DENSE_LAYER, 1):
                return Role.LINEAR
        return None

    def is_transposed(self, name: str) -> bool | None:
        """Whether the graph takes a weight as (outputs, inputs) and not as (inputs, outputs).

        None: it does not tell.
        """
        for use in self._uses.get(name, []):
            if use.position == 1 and use.operator == _DENSE_LAYER:
                return True
            if use.position == 1 and use.operator == "dot":
                return use.attributes.get("transpose_b", "False") in ("True", "1", "true")
        return None


def _inputs(node: dict[str, object], nodes: list[dict[str, object]]) -> Iterator[tuple[str, _Use]]:
    operator = str(node["op"])
    # Older versions of MXNet say "attr" or "param".
    attributes = node.get("attrs") or node.get("attr") or node.get("param") or {}
    if not isinstance(attributes, dict):
        raise TypeError("attrs is not an object")
    entries = node["inputs"]
    if not isinstance(entries, list):
        raise TypeError("inputs is not a list")
    indices = [entry[0] for entry in entries]
    squares = operator in _SQUARES or (operator in _PRODUCTS and len(set(indices)) == 1)
    for position, index in enumerate(indices):
        yield str(nodes[index]["name"]), _Use(operator, position, attributes, squares)
