"""The notebook's MNIST job: the documented network, and Amazon's own dense one."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from scipy.sparse import csr_matrix

import openfm
from support.jobs import logged_metrics, make_job, run_job

HYPERPARAMETERS = {
    "feature_dim": 784,
    "predictor_type": "binary_classifier",
    "mini_batch_size": 200,
    "num_factors": 10,
}
ACCURACY = "binary_classification_accuracy"
CROSS_ENTROPY = "binary_classification_cross_entropy"
F1 = "binary_f_1.000"


def params(base):
    with zipfile.ZipFile(base / "model" / "model_algo-1") as model:
        return model.read("params")


@pytest.fixture(scope="module")
def documented(tmp_path_factory, mnist):
    base = make_job(
        tmp_path_factory.mktemp("dense"),
        HYPERPARAMETERS,
        (mnist.X_train, mnist.y_train),
        (mnist.X_test, mnist.y_test),
    )
    return base, run_job(base)


def test_documented_network(documented, mnist):
    base, done = documented
    logged = logged_metrics(done.stdout)
    assert logged["test", None, None, ACCURACY] > 0.9806
    assert logged["test", None, None, F1] > 0.907
    predicted = openfm.load_model(base / "model").predict(mnist.X_test) >= 0.5
    positive = mnist.y_test == 1
    assert (predicted & positive).sum() == 866
    assert (predicted & ~positive).sum() == 31
    assert (~predicted & positive).sum() == 114


def test_a_dense_job_says_which_network_it_uses(documented):
    _, done = documented
    warnings = [line for line in done.stdout.splitlines() if " WARNING " in line]
    assert len(warnings) == 1
    assert "documented network" in warnings[0]
    assert "dense_network" in warnings[0]


def test_sparse_records_give_the_same_params(documented, tmp_path, mnist):
    base = make_job(tmp_path, HYPERPARAMETERS, (csr_matrix(mnist.X_train), mnist.y_train))
    done = run_job(base)
    assert " WARNING " not in done.stdout
    assert params(base) == params(documented[0])


def test_threads_give_the_same_params(documented, tmp_path, mnist):
    base = make_job(tmp_path, HYPERPARAMETERS, (mnist.X_train, mnist.y_train))
    run_job(base, OPENFM_NUM_THREADS="2")
    assert params(base) == params(documented[0])


def test_amazons_dense_network(tmp_path, mnist):
    base = make_job(
        tmp_path,
        HYPERPARAMETERS | {"dense_network": "amazon"},
        (mnist.X_train, mnist.y_train),
    )
    done = run_job(base)
    logged = logged_metrics(done.stdout)
    # As Amazon's container logged them in 2025.
    assert logged["train", 0, 0, ACCURACY] == pytest.approx(0.46, abs=1e-6)
    assert logged["train", 0, 0, CROSS_ENTROPY] == pytest.approx(0.6930966, abs=1e-6)
    assert logged["train", 0, 0, F1] == pytest.approx(0.2285714, abs=1e-6)
    # Steps of length 1 make the rest chaotic: Amazon's own runs differ as much.
    assert 0.851 <= logged["train", 0, None, ACCURACY] <= 0.857
    assert 0.538 <= logged["train", 0, None, F1] <= 0.552
    assert "'dense_network': 'amazon'" in done.stdout
    model = openfm.load_model(base / "model")
    assert model.factors.shape == (784, 10)
    assert np.isfinite(model.factors).all()
