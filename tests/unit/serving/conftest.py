"""A model small enough to check by hand, served without a server."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.serving.app import create_app
from openfm.serving.predictor import Predictor
from openfm.serving.settings import ServingSettings


def small_machine(predictor_type: PredictorType) -> FactorizationMachine:
    """s(x) = 1/4 + x0/2 - x1 + x2/4 + x0 x2 + x1 x2, exact in float32 for small integers."""
    return FactorizationMachine(0.25, [0.5, -1.0, 0.25], [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], predictor_type)


@pytest.fixture
def classifier() -> FactorizationMachine:
    return small_machine(PredictorType.BINARY_CLASSIFIER)


@pytest.fixture
def regressor() -> FactorizationMachine:
    return small_machine(PredictorType.REGRESSOR)


@pytest.fixture
def app(regressor: FactorizationMachine) -> Flask:
    return create_app(Predictor(regressor), ServingSettings())


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()
