"""Real MXNet 1.9.1 takes our artifact: it loads it by the public recipe and gives the same scores.

MXNet runs in an environment of its own, which ``make test`` creates.
"""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy import sparse

from openfm.artifact import Model, load_model
from openfm.encoding import ColumnEncoder
from openfm.fm.model import FactorizationMachine, PredictorType
from support.artifacts import training_parameters
from support.tables import block_of

pytestmark = pytest.mark.mxnet

REPOSITORY = Path(__file__).parents[2]
PROGRAM = REPOSITORY / "tests" / "support" / "mxnet_scores.py"


@pytest.fixture(scope="module")
def run_mxnet():
    """Run the program of this test in MXNet's own environment."""
    python = Path(os.environ.get("OPENFM_MXNET_PYTHON", REPOSITORY / ".cache/mxnet/bin/python"))
    if not python.exists():
        pytest.fail(
            f"there is no {python}, the Python that has MXNet: run `make mxnet`, or make an environment of Python 3.11 "
            "or 3.8 on x86-64 with `pip install mxnet==1.9.1 'numpy<1.24'` and name its python in OPENFM_MXNET_PYTHON; "
            "`pytest -m 'not mxnet'` leaves these tests out"
        )

    def run(*arguments: str | Path) -> None:
        done = subprocess.run([python, "-W", "ignore", PROGRAM, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    return run


def planted(predictor_type: PredictorType, num_factors: int, feature_dim: int = 300, **given: str) -> Model:
    generator = np.random.default_rng(num_factors)
    machine = FactorizationMachine(
        generator.normal(),
        generator.normal(size=feature_dim),
        generator.normal(scale=0.3, size=(feature_dim, num_factors)),
        predictor_type,
    )
    return Model(machine, training_parameters(feature_dim, num_factors, predictor_type.value, **given))


def rows_of(feature_dim: int) -> sparse.csr_matrix:
    """Sparse rows, one without any value, one with every feature."""
    generator = np.random.default_rng(1)
    rows = sparse.random(60, feature_dim, 0.05, "csr", dtype=np.float32, random_state=1)
    empty = sparse.csr_matrix((1, feature_dim), dtype=np.float32)
    full = sparse.csr_matrix(generator.normal(size=(1, feature_dim)).astype(np.float32))
    return sparse.vstack([rows, empty, full], "csr")


def exact(model: Model, X: sparse.csr_matrix) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """s(x) in float64, and the sum of its terms' absolute values, from the equation as MXNet's graph computes it."""
    x = X.toarray().astype(np.float64)
    w, v = model.linear.astype(np.float64), model.factors.astype(np.float64)
    together, apart = (x @ v) ** 2, x**2 @ v**2
    score = model.bias + x @ w + 0.5 * (together - apart).sum(axis=1)
    size = abs(model.bias) + abs(x) @ abs(w) + 0.5 * (together + apart).sum(axis=1)
    return score, size


def mxnet_scores(run_mxnet, folder: Path, model_file: Path, X: sparse.csr_matrix) -> npt.NDArray[np.float32]:
    np.savez(folder / "rows.npz", data=X.data, indices=X.indices, indptr=X.indptr, shape=X.shape)
    run_mxnet("score", model_file, folder / "rows.npz", folder / "scores.npy")
    return np.load(folder / "scores.npy")


@pytest.mark.parametrize("num_factors", [1, 2, 10, 64])
@pytest.mark.parametrize("predictor_type", list(PredictorType))
def test_mxnet_scores_as_we_do(run_mxnet, tmp_path, predictor_type, num_factors):
    model = planted(predictor_type, num_factors)
    X = rows_of(model.feature_dim)
    found = mxnet_scores(run_mxnet, tmp_path, model.save(tmp_path), X)
    ours = model.predict(X)
    score, size = exact(model, X)
    tolerance = 2e-6 * np.maximum(1, size)
    if predictor_type is PredictorType.BINARY_CLASSIFIER:
        # The sigmoid's slope is at most 1/4, so its values are closer than their arguments; 1e-7 for its own rounding.
        score, tolerance = 1 / (1 + np.exp(-score)), tolerance / 4 + 1e-7
    assert np.all(abs(found - score) <= tolerance)
    assert np.all(abs(ours - score) <= tolerance)


def test_mxnet_overlooks_what_is_ours(run_mxnet, tmp_path):
    model = planted(PredictorType.BINARY_CLASSIFIER, 4, positive_weight="3")
    X = rows_of(model.feature_dim)
    plain = mxnet_scores(run_mxnet, tmp_path, planted(PredictorType.BINARY_CLASSIFIER, 4).save(tmp_path), X)
    path = model.with_threshold(0.37).save(tmp_path)
    np.testing.assert_array_equal(mxnet_scores(run_mxnet, tmp_path, path, X), plain)
    assert load_model(path).threshold == 0.37


def test_mxnet_overlooks_the_encoder(run_mxnet, tmp_path):
    model = planted(PredictorType.REGRESSOR, 4)
    X = rows_of(model.feature_dim)
    plain = mxnet_scores(run_mxnet, tmp_path, model.save(tmp_path), X)
    texts = [f"u{i}" for i in range(model.feature_dim - 8)]
    encoder = ColumnEncoder.fit([block_of({"user": texts, "agent": texts})], hashed={"agent": 8})
    path = model.with_encoder(encoder).save(tmp_path)
    np.testing.assert_array_equal(mxnet_scores(run_mxnet, tmp_path, path, X), plain)
    assert load_model(path).encoder.feature_name(1) == "user=u1"


@pytest.mark.parametrize("method", ["uniform", "constant"])
def test_mxnet_takes_every_initializer(run_mxnet, tmp_path, method):
    given = {f"{group}_init_method": method for group in ("bias", "linear", "factors")}
    model = planted(PredictorType.REGRESSOR, 3, **given)
    X = rows_of(model.feature_dim)
    found = mxnet_scores(run_mxnet, tmp_path, model.save(tmp_path), X)
    score, size = exact(model, X)
    assert np.all(abs(found - score) <= 2e-6 * np.maximum(1, size))


def parameters_of(model: Model) -> dict[str, npt.NDArray[np.float32]]:
    return {
        "arg:w1_weight": model.linear.reshape(-1, 1),
        "arg:w0_weight": np.array([model.bias], dtype=np.float32),
        "arg:v": model.factors,
    }


@pytest.mark.parametrize("num_factors", [1, 7])
def test_params_are_the_bytes_that_mxnet_writes(run_mxnet, tmp_path, num_factors):
    model = planted(PredictorType.REGRESSOR, num_factors)
    np.savez(tmp_path / "parameters.npz", **parameters_of(model))
    run_mxnet("save", tmp_path / "parameters.npz", tmp_path / "mxnet.params")
    with zipfile.ZipFile(model.save(tmp_path)) as archive:
        assert archive.read("params") == (tmp_path / "mxnet.params").read_bytes()


def test_mxnet_reads_our_arrays(run_mxnet, tmp_path):
    model = planted(PredictorType.REGRESSOR, 7)
    with zipfile.ZipFile(model.save(tmp_path)) as archive:
        archive.extract("params", tmp_path)
    run_mxnet("load", tmp_path / "params", tmp_path / "parameters.npz")
    found = np.load(tmp_path / "parameters.npz")
    for name, array in parameters_of(model).items():
        np.testing.assert_array_equal(found[name], array)


def test_we_read_rows_that_mxnet_left_out(run_mxnet, tmp_path):
    """MXNet's row_sparse arrays store only the rows that are not zero."""
    model = planted(PredictorType.REGRESSOR, 3, feature_dim=50)
    linear, factors = model.linear.copy(), model.factors.copy()
    linear[::2], factors[5:40] = 0, 0
    machine = FactorizationMachine(model.bias, linear, factors, model.predictor_type)
    thinned = Model(machine, model.training_parameters)
    np.savez(tmp_path / "parameters.npz", **parameters_of(thinned))
    run_mxnet("save", tmp_path / "parameters.npz", tmp_path / "params")
    with zipfile.ZipFile(thinned.save(tmp_path)) as archive, zipfile.ZipFile(tmp_path / "model_x", "w") as thin:
        for name in ("meta.json", "symbol.json"):
            thin.writestr(name, archive.read(name))
        thin.write(tmp_path / "params", "params")
        assert (tmp_path / "params").stat().st_size < archive.getinfo("params").file_size
    loaded = load_model(tmp_path / "model_x")
    np.testing.assert_array_equal(loaded.linear, linear)
    np.testing.assert_array_equal(loaded.factors, factors)
