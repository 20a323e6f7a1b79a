from __future__ import annotations

import json
import zlib

import pytest

from openfm.artifact.symbol import symbol_json
from openfm.errors import ArtifactError
from openfm.fm.model import PredictorType
from support.artifacts import ml100k_parameters, training_parameters


def nodes(predictor_type=PredictorType.REGRESSOR, **given):
    parameters = training_parameters(7, 3, predictor_type.value, **given)
    symbol = json.loads(symbol_json(predictor_type, 7, 3, parameters))
    return {node["name"]: node for node in symbol["nodes"]}


def test_graph_of_the_published_artifact_byte_for_byte():
    """Size and CRC-32 are those of symbol.json in the artifact of a public run on SageMaker."""
    symbol = symbol_json(PredictorType.REGRESSOR, 2625, 64, ml100k_parameters())
    assert len(symbol) == 3070
    assert zlib.crc32(symbol) == 0x72BFD916


def test_only_the_output_tells_a_classifier_from_a_regressor():
    regressor, classifier = nodes(), nodes(PredictorType.BINARY_CLASSIFIER)
    assert regressor.pop("out")["op"] == "LinearRegressionOutput"
    assert classifier.pop("out")["op"] == "LogisticRegressionOutput"
    assert regressor == classifier
    assert len(regressor) == 18


def test_parameters_carry_what_they_were_trained_with():
    found = nodes(bias_lr="1", linear_wd="0.25", factors_lr="1e-3", factors_init_sigma="2", bias_wd="0")
    assert found["w0_weight"]["attrs"] == {
        "__init__": '["normal", {"sigma": 0.01}]',
        "__lr_mult__": "1.0",
        "__shape__": "(1,)",
        "__wd_mult__": "0.0",
    }
    assert found["w1_weight"]["attrs"]["__wd_mult__"] == "0.25"
    assert found["w1_weight"]["attrs"]["__shape__"] == "(7, 1)"
    assert found["v"]["attrs"] == {
        "__init__": '["normal", {"sigma": 2.0}]',
        "__lr_mult__": "0.001",
        "__shape__": "(7, 3)",
        "__storage_type__": "1",
        "__wd_mult__": "1e-05",
    }


@pytest.mark.parametrize(
    ("given", "initializer"),
    [
        ({"factors_init_method": "uniform"}, '["uniform", {"scale": 0.07}]'),
        (
            {"factors_init_method": "uniform", "factors_init_scale": "0.5"},
            '["uniform", {"scale": 0.5}]',
        ),
        (
            {"factors_init_method": "constant", "factors_init_value": "-1"},
            '["constant", {"value": -1.0}]',
        ),
        ({"factors_init_method": "constant"}, '["constant", {"value": 0.0}]'),
        ({"factors_init_sigma": "None"}, '["normal", {"sigma": 0.001}]'),
    ],
)
def test_initializers_in_mxnets_form(given, initializer):
    assert nodes(**given)["v"]["attrs"]["__init__"] == initializer


def test_amazons_defaults_stand_in_for_what_is_missing():
    parameters = training_parameters(7, 3)
    assert symbol_json(PredictorType.REGRESSOR, 7, 3, {}) == symbol_json(PredictorType.REGRESSOR, 7, 3, parameters)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"bias_lr": "fast"}, "bias_lr is 'fast', not a number"),
        ({"linear_init_method": "xavier"}, "linear_init_method is 'xavier'; expected normal"),
    ],
)
def test_refuses_what_it_cannot_state(given, sentence):
    with pytest.raises(ArtifactError, match=sentence):
        symbol_json(PredictorType.REGRESSOR, 7, 3, given)
