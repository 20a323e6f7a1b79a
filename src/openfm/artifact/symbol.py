"""``symbol.json``, written: the Factorization Machine as the graph that MXNet loads.

The graph, its names and its layout are those of Amazon's published regressor artifact
(``mxnet_version`` 10301); a binary classifier's ends in ``LogisticRegressionOutput``. It computes::

    out(w0 + x.w + 0.5 * sum_f (x.V)_f^2 - 0.5 * x^2.(sum_f V_f^2))
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from openfm.errors import ArtifactError
from openfm.fm.model import PredictorType

__all__ = ["BIAS", "FACTORS", "LABEL", "LINEAR", "OUTPUT_OPERATORS", "symbol_json"]

LINEAR, BIAS, FACTORS = "w1_weight", "w0_weight", "v"
"""The graph's names of w, w0 and V; in ``params`` they follow ``arg:``."""

LABEL = "out_label"
"""The graph's name of the label."""

OUTPUT_OPERATORS = {
    PredictorType.REGRESSOR: "LinearRegressionOutput",
    PredictorType.BINARY_CLASSIFIER: "LogisticRegressionOutput",
}
"""The operator that a graph ends in."""

_CSR, _ROW_SPARSE = "2", "1"  # MXNet's storage types
_MXNET_VERSION = 10301

# Amazon's defaults, for what the training parameters do not say (learning rate, weight decay,
# sigma).
_DEFAULTS = {
    "bias": (0.1, 0.01, 0.01),
    "linear": (0.001, 0.001, 0.01),
    "factors": (0.0001, 0.00001, 0.001),
}
_UNIFORM_SCALE = 0.07  # MXNet's own default
_UNSET = ("", "None", "null")


@dataclass(frozen=True, slots=True)
class _Node:
    operator: str
    name: str
    inputs: tuple[int, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()

    def render(self) -> str:
        """The node as MXNet's own JSON writer lays it out."""
        lines = [f'      "op": "{self.operator}"', f'      "name": "{self.name}"']
        if self.attributes:
            lines.append(f'      "attrs": {self._rendered_attributes()}')
        inputs = ", ".join(f"[{index}, 0, 0]" for index in self.inputs)
        lines.append(f'      "inputs": [{inputs}]')
        return "    {\n" + ", \n".join(lines) + "\n    }"

    def _rendered_attributes(self) -> str:
        pairs = [f'"{name}": {json.dumps(value)}' for name, value in self.attributes]
        if len(pairs) == 1:
            return "{" + pairs[0] + "}"
        return "{\n        " + ", \n        ".join(pairs) + "\n      }"


def symbol_json(
    predictor_type: PredictorType,
    feature_dim: int,
    num_factors: int,
    training_parameters: Mapping[str, str | int],
) -> bytes:
    """The graph of a trained machine, with what it was trained with as the attributes of its
    parameters.

    Args:
        predictor_type: decides the output.
        feature_dim: D.
        num_factors: k.
        training_parameters: learning rates, weight decays and initial values are read from it by
            Amazon's names; what is missing is Amazon's default.

    Raises:
        ArtifactError: one of them is not a number.
    """
    nodes = _nodes(predictor_type, feature_dim, num_factors, training_parameters)
    arguments = [index for index, node in enumerate(nodes) if node.operator == "null"]
    node_ends = ", \n".join(f"    {index}" for index in range(len(nodes) + 1))
    text = (
        '{\n  "nodes": [\n'
        + ", \n".join(node.render() for node in nodes)
        + f'\n  ], \n  "arg_nodes": {arguments}, \n'
        + f'  "node_row_ptr": [\n{node_ends}\n  ], \n'
        + f'  "heads": [[{len(nodes) - 1}, 0, 0]], \n'
        + f'  "attrs": {{"mxnet_version": ["int", {_MXNET_VERSION}]}}\n}}'
    )
    return text.encode()


def _nodes(
    predictor_type: PredictorType,
    feature_dim: int,
    num_factors: int,
    parameters: Mapping[str, str | int],
) -> list[_Node]:
    linear = _attributes("linear", (feature_dim, 1), parameters, _ROW_SPARSE)
    bias = _attributes("bias", (1,), parameters)
    factors = _attributes("factors", (feature_dim, num_factors), parameters, _ROW_SPARSE)
    half = (("scalar", "0.5"),)
    rows = (("axis", "1"), ("keepdims", "True"))
    return [
        _Node("null", "data", attributes=(("__storage_type__", _CSR),)),
        _Node("null", LINEAR, attributes=linear),
        _Node("dot", "dot0", (0, 1)),
        _Node("null", BIAS, attributes=bias),
        _Node("broadcast_add", "broadcast_plus0", (2, 3)),
        _Node("null", FACTORS, attributes=factors),
        _Node("dot", "dot2", (0, 5)),
        _Node("square", "Square", (6,)),
        _Node("_mul_scalar", "_mulscalar0", (7,), half),
        _Node("Concat", "concat0", (4, 8), (("dim", "1"), ("num_args", "2"))),
        _Node("sum", "sum0", (9,), rows),
        _Node("square", "x_square", (0,)),
        _Node("_square_sum", "_square_sum0", (5,), rows),
        _Node("dot", "dot1", (11, 12)),
        _Node("negative", "negative0", (13,)),
        _Node("_mul_scalar", "_mulscalar1", (14,), half),
        _Node("elemwise_add", "Final_Summation", (10, 15)),
        _Node("null", LABEL),
        _Node(OUTPUT_OPERATORS[predictor_type], "out", (16, 17)),
    ]


def _attributes(
    group: str,
    shape: tuple[int, ...],
    parameters: Mapping[str, str | int],
    storage_type: str | None = None,
) -> tuple[tuple[str, str], ...]:
    learning_rate, weight_decay, _ = _DEFAULTS[group]
    attributes = {
        "__init__": _initializer(group, parameters),
        "__lr_mult__": str(_number(parameters, f"{group}_lr", learning_rate)),
        "__shape__": str(shape),
        "__wd_mult__": str(_number(parameters, f"{group}_wd", weight_decay)),
    }
    if storage_type is not None:
        attributes["__storage_type__"] = storage_type
    return tuple(sorted(attributes.items()))


def _initializer(group: str, parameters: Mapping[str, str | int]) -> str:
    """An initializer as ``mxnet.initializer.Initializer.dumps`` writes it."""
    method = str(parameters.get(f"{group}_init_method", "normal"))
    if method == "normal":
        value = {"sigma": _number(parameters, f"{group}_init_sigma", _DEFAULTS[group][2])}
    elif method == "uniform":
        value = {"scale": _number(parameters, f"{group}_init_scale", _UNIFORM_SCALE)}
    elif method == "constant":
        value = {"value": _number(parameters, f"{group}_init_value", 0.0)}
    else:
        raise ArtifactError(
            f"training parameter {group}_init_method is {method!r}; expected normal, uniform or constant"
        )
    return json.dumps([method, value])


def _number(parameters: Mapping[str, str | int], name: str, default: float) -> float:
    given = parameters.get(name)
    if given is None or given in _UNSET:
        return default
    try:
        return float(given)
    except ValueError as error:
        raise ArtifactError(f"training parameter {name} is {given!r}, not a number") from error
