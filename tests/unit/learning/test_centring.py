"""Columns of numbers far from 0, and machines of centred features in the features' own units."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from openfm.fm.matrices import as_rows
from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.learning import Examples, LearningSettings, fit
from openfm.learning.centring import Centring
from openfm.learning.scaling import Scaling

REGRESSOR = PredictorType.REGRESSOR


@pytest.fixture
def X() -> np.ndarray:  # noqa: N802
    """Far from 0, half zeros, around 0, constant, far from 0 with few zeros, and so far that digits would be lost."""
    rng = np.random.default_rng(0)
    X = rng.normal([7, 9, 0.5, 0, 5, 1000], size=(200, 6))
    X[:, 3] = 4
    X[rng.random(200) < 0.5, 1] = 0
    X[:4, 4] = 0
    return X.astype(np.float32)


def test_only_numbers_far_from_0_that_nearly_all_rows_have_are_centred(X: np.ndarray) -> None:
    centring = Centring.of(as_rows(X, 6))
    assert centring is not None
    assert centring.columns.tolist() == [0, 4]
    assert np.allclose(centring.means, X[:, [0, 4]].mean(axis=0), rtol=1e-6)
    assert Centring.of(as_rows(X[:, 1:4], 3)) is None
    assert Centring.of(as_rows(X[:1], 6)) is None


def test_rows_lose_the_means(X: np.ndarray) -> None:
    X[5, 0] = 3.0
    centring = Centring(np.array([0, 4]), np.array([3.0, 2.5], np.float32))
    found = centring.rows(as_rows(X, 6))
    assert np.array_equal(found.to_scipy().toarray(), X - np.array([3, 0, 0, 0, 2.5, 0], np.float32))
    assert found.values.all()
    within = np.diff(found.indices) > 0
    within[found.indptr[1:-1] - 1] = True  # from one row to the next
    assert within.all()
    assert found.indices.dtype == np.int32


def test_machines_score_the_same_with_and_without_means(X: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    rows = as_rows(X, 6)
    centring = Centring.of(rows)
    assert centring is not None
    learned = FactorizationMachine(0.3, rng.normal(size=6), rng.normal(size=(6, 3)), REGRESSOR)
    in_units = centring.machine(learned)
    expected = learned.score(centring.rows(rows))
    assert np.allclose(in_units.score(rows), expected, atol=1e-3 * expected.std())
    back = centring.centred_machine(in_units)
    assert np.isclose(back.bias, learned.bias, rtol=1e-4)
    assert np.allclose(back.linear, learned.linear, rtol=1e-4)
    assert np.array_equal(back.factors, learned.factors)


_MOVED = """
import sys
import numpy as np
from openfm.fm.model import FactorizationMachine
from openfm.learning.centring import Centring

rng = np.random.default_rng(0)
factors = rng.normal(size=(999, 37))
centring = Centring(np.arange(50), rng.normal(size=50).astype(np.float32))
linear = np.zeros(999)
for _ in range(2):  # what is left of weights that cancel shows the digits that float32 rounds away
    linear = -centring.machine(FactorizationMachine(0.3, linear, factors, "regressor")).linear
sys.stdout.buffer.write(linear.tobytes())
"""


def test_no_blas_decides_the_last_bit() -> None:
    found = [
        subprocess.run([sys.executable, "-c", _MOVED], env=os.environ | of_blas, capture_output=True, check=True).stdout
        for of_blas in ({"OPENBLAS_CORETYPE": "Nehalem", "OPENBLAS_NUM_THREADS": "1"}, {"OPENBLAS_NUM_THREADS": "2"})
    ]
    assert len(found[0]) == 999 * 4
    assert found[0] == found[1]


def test_the_factors_are_not_copied() -> None:
    machine = FactorizationMachine(0.0, np.ones(50_000), np.ones((50_000, 64), np.float32), REGRESSOR)
    centring = Centring(np.array([3]), np.array([2.0], np.float32))
    tracemalloc.start()
    try:
        moved = centring.machine(machine)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert moved.linear[7] == 1.0 - 64 * 2.0
    assert peak < machine.factors.nbytes / 2


def test_without_bias_or_linear_weights_nothing_is_centred(X: np.ndarray) -> None:
    examples = Examples(as_rows(X, 6), X[:, 0])
    for changes in ({"use_bias": False}, {"use_linear": False}):
        assert Scaling.of(examples, LearningSettings(predictor_type=REGRESSOR, **changes)).centring is None
    assert Scaling.of(examples, LearningSettings(predictor_type=REGRESSOR)).centring is not None
    assert Scaling.of(examples, LearningSettings.preset("sagemaker", REGRESSOR)).centring is None


def test_a_product_of_numbers_far_from_0_is_learned() -> None:
    rng = np.random.default_rng(2)
    Z = rng.normal(size=(3000, 2))
    labels = (Z[:, 0] * Z[:, 1] + Z[:, 0]).astype(np.float32)
    X = Z * [0.1, 30] + [2, 1000]
    train = Examples(as_rows(X[:2000], 2), labels[:2000])
    machine = fit(train, LearningSettings(predictor_type=REGRESSOR, num_factors=4)).machine
    error = machine.score(as_rows(X[2000:], 2)) - labels[2000:]
    assert np.sqrt(np.mean(error**2)) < 0.1 * labels.std()
    again = fit(train, LearningSettings(predictor_type=REGRESSOR, num_factors=4, epochs=1), initial=machine)
    assert again.history[0].train[0].value < 0.2 * labels.std()  # it goes on from there
