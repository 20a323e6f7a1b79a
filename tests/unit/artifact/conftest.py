"""A small model and its artifact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from openfm.artifact import Model
from openfm.artifact.symbol import symbol_json
from openfm.fm.model import FactorizationMachine, PredictorType
from support.artifacts import dense_array, row_sparse_array, training_parameters


@dataclass(frozen=True)
class Small:
    """Parameters of a small machine (D = 5, k = 3), and what its artifact is made of."""

    bias: float
    linear: npt.NDArray[np.float32]
    factors: npt.NDArray[np.float32]

    @property
    def parameters(self) -> dict[str, str | int]:
        return training_parameters(5, 3)

    @property
    def symbol(self) -> bytes:
        return symbol_json(PredictorType.REGRESSOR, 5, 3, self.parameters)

    @property
    def arrays(self) -> dict[str, bytes]:
        """The arrays of ``params`` as Amazon's container stores them."""
        return {
            "arg:w1_weight": row_sparse_array(self.linear.reshape(-1, 1)),
            "arg:w0_weight": dense_array([self.bias]),
            "arg:v": row_sparse_array(self.factors),
        }

    def model(self, predictor_type: str = "regressor", **given: str) -> Model:
        machine = FactorizationMachine(self.bias, self.linear, self.factors, PredictorType(predictor_type))
        return Model(machine, training_parameters(5, 3, predictor_type, **given))

    def assert_same(self, model: Model) -> None:
        assert model.bias == self.bias
        np.testing.assert_array_equal(model.linear, self.linear)
        np.testing.assert_array_equal(model.factors, self.factors)


@pytest.fixture
def small() -> Small:
    generator = np.random.default_rng(2)
    return Small(
        bias=0.375,
        linear=generator.normal(size=5).astype(np.float32),
        factors=generator.normal(size=(5, 3)).astype(np.float32),
    )
