"""Arrays under other names: what the graph and the shapes tell, and what they do not."""

from __future__ import annotations

import json

import numpy as np
import pytest

from openfm.artifact.graph import Graph, Role
from openfm.artifact.ndarray_file import StoredArray
from openfm.artifact.parameters import find_parameters
from openfm.artifact.symbol import symbol_json
from openfm.errors import ArtifactError
from openfm.fm.model import PredictorType

GENERATOR = np.random.default_rng(0)


def graph(*nodes):
    """A graph of (operator, name, inputs by name, attributes); its last node is the output."""
    index = {node[1]: position for position, node in enumerate(nodes)}
    entries = [
        {
            "op": operator,
            "name": name,
            "inputs": [[index[source], 0, 0] for source in inputs],
            **({"attrs": attributes} if attributes else {}),
        }
        for operator, name, inputs, attributes in nodes
    ]
    return Graph.parse(json.dumps({"nodes": entries, "heads": [[len(nodes) - 1, 0, 0]]}).encode())


def variables(*names):
    return [("null", name, (), {}) for name in names]


def dense_layers():
    """A network for dense input: a FullyConnected layer, and V as (k, D) in dot(x, V^T)."""
    return graph(
        *variables("data", "fc_weight", "fc_bias", "vee", "label"),
        ("FullyConnected", "fc", ("data", "fc_weight", "fc_bias"), {"num_hidden": "1"}),
        ("dot", "xv", ("data", "vee"), {"transpose_b": "True"}),
        ("square", "xv2", ("xv",), {}),
        ("square", "x2", ("data",), {}),
        ("square", "v2", ("vee",), {}),
        ("dot", "x2v2", ("x2", "v2"), {"transpose_b": "True"}),
        ("elemwise_sub", "difference", ("xv2", "x2v2"), {}),
        ("elemwise_add", "total", ("fc", "difference"), {}),
        ("LogisticRegressionOutput", "out", ("total", "label"), {}),
    )


def sparse_layers():
    return Graph.parse(symbol_json(PredictorType.REGRESSOR, 5, 3, {}))


def values(*shape):
    return GENERATOR.normal(size=shape).astype(np.float32)


def find(arrays, layers, feature_dim=5, num_factors=3, optional=frozenset()):
    stored = {name: StoredArray.dense(array) for name, array in arrays.items()}
    return find_parameters(stored, layers, feature_dim, num_factors, optional=optional)


def test_roles_by_use():
    layers = dense_layers()
    assert layers.output_operator == "LogisticRegressionOutput"
    assert layers.role("fc_weight") is Role.LINEAR
    assert layers.role("fc_bias") is Role.BIAS
    assert layers.role("vee") is Role.FACTORS
    assert layers.role("label") is None
    assert layers.role("nobody") is None
    assert layers.is_transposed("vee") is True
    assert layers.is_transposed("label") is None


def test_roles_of_our_own_graph():
    layers = sparse_layers()
    assert layers.role("w1_weight") is Role.LINEAR
    assert layers.role("w0_weight") is Role.BIAS
    assert layers.role("v") is Role.FACTORS
    assert layers.is_transposed("v") is False


def test_a_product_with_itself_is_a_square():
    layers = graph(
        *variables("vee", "other"),
        ("elemwise_mul", "v2", ("vee", "vee"), {}),
        ("elemwise_mul", "out", ("other", "vee"), {}),
    )
    assert layers.role("vee") is Role.FACTORS
    assert layers.role("other") is None


@pytest.mark.parametrize("key", ["attrs", "attr", "param"])
def test_attributes_of_older_versions(key):
    nodes = [
        {"op": "null", "name": "x", "inputs": []},
        {"op": "null", "name": "v", "inputs": []},
        {"op": "dot", "name": "d", "inputs": [[0, 0], [1, 0]], key: {"transpose_b": "1"}},
    ]
    layers = Graph.parse(json.dumps({"nodes": nodes, "heads": [[2, 0]]}).encode())
    assert layers.is_transposed("v") is True


def test_dense_artifact_with_transposed_factors():
    linear, bias, factors = values(1, 5), values(1), values(3, 5)
    arrays = {"arg:fc_bias": bias, "arg:fc_weight": linear, "arg:vee": factors}
    found = find(arrays, dense_layers())
    assert found.bias == bias[0]
    np.testing.assert_array_equal(found.linear, linear[0])
    np.testing.assert_array_equal(found.factors, factors.T)
    assert found.factors.flags.c_contiguous


@pytest.mark.parametrize("linear_shape", [(5,), (5, 1), (1, 5)])
@pytest.mark.parametrize("bias_shape", [(1,), (1, 1)])
@pytest.mark.parametrize("names", [("w0_weight", "w1_weight", "v"), ("b", "w", "f")])
def test_shapes_tell_where_they_can(linear_shape, bias_shape, names):
    bias, linear, factors = values(*bias_shape), values(*linear_shape), values(5, 3)
    arrays = dict(zip((f"arg:{name}" for name in names), (bias, linear, factors), strict=True))
    found = find(arrays, sparse_layers())
    assert found.bias == bias.flat[0]
    np.testing.assert_array_equal(found.linear, linear.reshape(-1))
    np.testing.assert_array_equal(found.factors, factors)


def test_square_factors_turn_as_the_graph_says():
    factors = values(5, 5)
    own = {"arg:w0_weight": values(1), "arg:w1_weight": values(5, 1), "arg:v": factors}
    np.testing.assert_array_equal(find(own, sparse_layers(), 5, 5).factors, factors)
    dense = {"arg:fc_bias": values(1), "arg:fc_weight": values(1, 5), "arg:vee": factors}
    np.testing.assert_array_equal(find(dense, dense_layers(), 5, 5).factors, factors.T)


def test_square_factors_of_a_silent_graph_are_refused():
    arrays = {"arg:b": values(1), "arg:w": values(5, 1), "arg:f": values(5, 5)}
    with pytest.raises(ArtifactError, match="does not tell which of the two is the features"):
        find(arrays, sparse_layers(), 5, 5)


def test_one_factor_is_told_from_linear_weights_by_use():
    linear, factors = values(1, 5), values(1, 5)
    arrays = {"arg:vee": factors, "arg:fc_weight": linear, "arg:fc_bias": values(1)}
    found = find(arrays, dense_layers(), 5, 1)
    np.testing.assert_array_equal(found.linear, linear[0])
    np.testing.assert_array_equal(found.factors, factors.T)


@pytest.mark.parametrize(("feature_dim", "num_factors"), [(1, 1), (1, 4), (4, 1)])
def test_smallest_machines(feature_dim, num_factors):
    linear, bias, factors = values(feature_dim, 1), values(1), values(feature_dim, num_factors)
    arrays = {"arg:w1_weight": linear, "arg:w0_weight": bias, "arg:v": factors}
    found = find(arrays, sparse_layers(), feature_dim, num_factors)
    assert found.bias == bias[0]
    np.testing.assert_array_equal(found.linear, linear[:, 0])
    np.testing.assert_array_equal(found.factors, factors)


def test_bias_and_linear_weights_may_be_left_out_where_the_job_says_so():
    arrays = {"arg:v": values(5, 3)}
    found = find(arrays, sparse_layers(), optional=frozenset({Role.BIAS, Role.LINEAR}))
    assert found.bias == 0
    np.testing.assert_array_equal(found.linear, np.zeros(5))
    with pytest.raises(ArtifactError, match=r"found arg:v \(5, 3\); expected a bias"):
        find(arrays, sparse_layers())


COMPLETE = {"arg:w0_weight": (1,), "arg:w1_weight": (5, 1), "arg:v": (5, 3)}


@pytest.mark.parametrize(
    "shapes",
    [
        {},
        {"arg:w0_weight": (1,), "arg:w1_weight": (5, 1)},
        COMPLETE | {"arg:v": (5, 4)},
        COMPLETE | {"arg:v": (6, 3)},
        COMPLETE | {"arg:v": (5, 3, 1)},
        COMPLETE | {"arg:w1_weight": (4, 1)},
        COMPLETE | {"arg:w0_weight": (2,)},
        COMPLETE | {"arg:w2_weight": (5, 1)},
        COMPLETE | {"aux:mean": (9,)},
    ],
)
def test_what_does_not_fit_is_listed(shapes):
    listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "no array"
    with pytest.raises(ArtifactError) as caught:
        find({name: values(*shape) for name, shape in shapes.items()}, sparse_layers())
    assert f"feature_dim 5 and num_factors 3: found {listed}; expected" in str(caught.value)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", COMPLETE)
def test_every_parameter_is_finite(name, wrong):
    arrays = {other: values(*shape) for other, shape in COMPLETE.items()}
    arrays[name].flat[-1] = wrong
    place = tuple(size - 1 for size in COMPLETE[name])
    with pytest.raises(ArtifactError) as caught:
        find(arrays, sparse_layers())
    assert f"{name} holds {wrong} at {place}" in str(caught.value)


def test_a_float64_beyond_float32_is_not_finite():
    stored = {name: StoredArray.dense(values(*shape)) for name, shape in COMPLETE.items()}
    stored["arg:v"] = StoredArray((5, 3), np.full((5, 3), 1e39))
    with pytest.raises(ArtifactError, match=r"arg:v holds inf at \(0, 0\)"):
        find_parameters(stored, sparse_layers(), 5, 3)


def test_integers_are_refused_by_name():
    stored = {name: StoredArray.dense(values(*shape)) for name, shape in COMPLETE.items()}
    stored["arg:v"] = StoredArray((5, 3), np.ones((5, 3), dtype=np.int64))
    with pytest.raises(ArtifactError, match=r"arg:v of shape \(5, 3\) .* int64 values"):
        find_parameters(stored, sparse_layers(), 5, 3)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        '{"nodes": 3}',
        '{"nodes": [], "heads": []}',
        '{"nodes": [], "heads": [[0]]}',
        '{"nodes": [{"op": "null"}], "heads": [[0]]}',
        '{"nodes": [{"op": "dot", "name": "a", "inputs": [[7, 0]]}], "heads": [[0]]}',
        '{"nodes": [{"op": "dot", "name": "a", "inputs": [["a", 0]]}], "heads": [[0]]}',
        '{"nodes": [{"op": "dot", "name": "a", "inputs": 7}], "heads": [[0]]}',
        '{"nodes": [{"op": "dot", "name": "a", "inputs": [], "attrs": [1]}], "heads": [[0]]}',
        '{"nodes": {"a": 1}, "heads": {"b": 2}}',
    ],
)
def test_no_graph(text):
    with pytest.raises(ArtifactError, match=r"symbol\.json is not a graph of MXNet"):
        Graph.parse(text.encode())


def test_endless_graph():
    nodes = [{"op": "null", "name": str(i), "inputs": []} for i in range(10_001)]
    with pytest.raises(ArtifactError, match="10001 nodes"):
        Graph.parse(json.dumps({"nodes": nodes, "heads": [[0, 0]]}).encode())
