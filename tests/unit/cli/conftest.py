"""Small models and records in files, and the command itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import openfm
from openfm.artifact import Model
from openfm.cli import main
from openfm.fm.model import FactorizationMachine, PredictorType

X = np.array([[1, 2, 4, 0], [0, 0, 0, 0], [1, 0, 0, 1], [0, 1, 0, 0]], dtype=np.float32)
Y = np.array([1, 0, 1, 0], dtype=np.float32)


def small_model(predictor_type: PredictorType) -> Model:
    """s(x) = 1/4 + x0/2 - x1 + x2/4 + x0 x2 + x1 x2; x3 says nothing."""
    factors = [[1, 0], [0, 1], [1, 1], [0, 0]]
    return Model(FactorizationMachine(0.25, [0.5, -1.0, 0.25, 0.0], factors, predictor_type))


@pytest.fixture
def regressor(tmp_path: Path) -> Path:
    return small_model(PredictorType.REGRESSOR).save(tmp_path / "regressor")


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    return small_model(PredictorType.BINARY_CLASSIFIER).save(tmp_path / "classifier")


@pytest.fixture
def records(tmp_path: Path) -> Path:
    path = tmp_path / "records.pbr"
    openfm.write_records(path, X, Y)
    return path


@pytest.fixture
def run() -> Callable[..., Result]:
    """Runs ``openfm`` with these arguments; ``stdin`` is its standard input."""

    def run(*arguments: object, stdin: bytes | None = None) -> Result:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run
