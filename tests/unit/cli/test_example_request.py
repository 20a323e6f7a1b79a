"""What ``openfm serve`` prints to begin with can be scored."""

from __future__ import annotations

import json

import numpy as np
import pytest

from openfm.artifact import Model
from openfm.cli.example_request import example_request
from openfm.data.formats.typed import Categories, ColumnBlock
from openfm.encoding import ColumnEncoder
from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.serving.app import create_app
from openfm.serving.predictor import Predictor
from openfm.serving.settings import ServingSettings


def machine_of(width: int) -> FactorizationMachine:
    return FactorizationMachine(0.5, np.arange(width), np.zeros((width, 2)), PredictorType.REGRESSOR)


def columns_of(texts: bytes) -> ColumnEncoder:
    """Three rows: a column of texts with one byte each, one that is hashed, one of numbers."""
    codes, offsets = np.arange(3, dtype=np.int32), np.arange(4)
    categories = Categories(codes, offsets, np.frombuffer(texts, dtype=np.uint8))
    block = ColumnBlock({"user": categories, "agent": categories, "price": np.array([1.0, 2.0, 3.0])}, 3)
    return ColumnEncoder.fit([block], hashed={"agent": 8})


@pytest.mark.parametrize("texts", [b"abc", b"'\"c"])
def test_it_is_answered(texts: bytes) -> None:
    encoder = columns_of(texts)
    models = [Model(machine_of(3)), Model(machine_of(encoder.feature_dim), encoder=encoder)]
    for model in models:
        request = example_request(model)
        assert "'" not in request
        predictor = Predictor(model.machine, model.threshold, model.encoder)
        answer = create_app(predictor, ServingSettings()).test_client().post("/invocations", data=request)
        assert answer.status_code == 200, answer.data
        assert "score" in json.loads(answer.data)["predictions"][0]


def test_it_names_what_the_model_knows() -> None:
    model = Model(machine_of(12), encoder=columns_of(b"abc"))
    (instance,) = json.loads(example_request(model))["instances"]
    assert instance == {"columns": {"user": "a", "agent": "any", "price": 2.0}}
