from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from openfm.artifact import find_model, load_model
from openfm.errors import ArtifactError, PlatformError
from openfm.fm.model import PredictorType
from support.artifacts import (
    dense_array,
    model_bytes,
    row_sparse_array,
    tar_gz,
    tar_member,
    training_parameters,
)


@pytest.fixture
def amazons(small) -> bytes:
    """The bytes of a model_algo-1 as Amazon's container writes it."""
    return model_bytes(small.parameters, small.symbol, small.arrays)


@pytest.mark.parametrize("name", ["model_algo-1", "model_algo-3", "model_6f1c", "any.name"])
def test_file(tmp_path, small, amazons, name):
    (tmp_path / name).write_bytes(amazons)
    model = load_model(tmp_path / name)
    small.assert_same(model)
    assert model.predictor_type is PredictorType.REGRESSOR
    assert model.training_parameters == small.parameters
    assert list(model.training_parameters) == list(small.parameters)


def test_archive_is_read_where_nothing_can_be_written(tmp_path, small, amazons):
    path = tmp_path / "model.tar.gz"
    path.write_bytes(tar_gz(tar_member("model_algo-1", amazons)))
    before = list(tmp_path.iterdir())
    small.assert_same(load_model(path))
    small.assert_same(load_model(str(path)))
    assert list(tmp_path.iterdir()) == before


def test_nothing_is_packed_twice(tmp_path, small):
    """A packed file in a packed archive could take a hundred times a hundred times its size."""
    packed = model_bytes(
        small.parameters,
        small.symbol,
        small.arrays | {"arg:x": dense_array(np.zeros(10_000))},
        None,
        zipfile.ZIP_DEFLATED,
    )
    path = tmp_path / "model.tar.gz"
    path.write_bytes(tar_gz(tar_member("model_algo-1", packed)))
    with pytest.raises(ArtifactError, match=rf"at most {len(packed)} can be read; .* zip it without compression"):
        load_model(path)


def test_arrays_beyond_the_machines_take_no_memory(load, small):
    with pytest.raises(ArtifactError, match=r"array 3 .* stores 16 values or row ids, where .* has at most 15"):
        load(small.parameters, small.symbol, small.arrays | {"arg:x": dense_array(np.zeros(16))})


def test_folder(tmp_path, small, amazons):
    (tmp_path / "model_algo-1").write_bytes(amazons)
    small.assert_same(load_model(tmp_path))


def test_what_a_folder_offers(tmp_path):
    def offer(*names):
        for path in tmp_path.iterdir():
            path.unlink()
        for name in names:
            (tmp_path / name).touch()

    offer("model_algo-1", "model_algo-2", "model.tar.gz", "x")
    assert find_model(tmp_path) == tmp_path / "model_algo-1"
    offer("model_host", "model.tar.gz")
    assert find_model(str(tmp_path)) == tmp_path / "model_host"
    offer("model.tar.gz", "x")
    assert find_model(tmp_path) == tmp_path / "model.tar.gz"
    offer("x", "y")
    with pytest.raises(ArtifactError, match=r"holds no model_algo-1 and no model\.tar\.gz; it holds x, y"):
        find_model(tmp_path)
    offer("model_a", "model_b", "model.tar.gz")
    with pytest.raises(ArtifactError, match=r"several models \(model_a, model_b\)"):
        find_model(tmp_path)
    offer()
    with pytest.raises(ArtifactError, match="it holds nothing"):
        find_model(tmp_path)
    (tmp_path / "model_folder").mkdir()
    with pytest.raises(ArtifactError, match="it holds nothing"):
        find_model(tmp_path)


def test_links_to_a_model_are_followed(tmp_path, small, amazons):
    (tmp_path / "elsewhere").write_bytes(amazons)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model_algo-1").symlink_to(tmp_path / "elsewhere")
    small.assert_same(load_model(folder))


def test_nothing_there(tmp_path):
    with pytest.raises(ArtifactError, match=f"there is no model at {tmp_path}/x"):
        load_model(tmp_path / "x")
    with pytest.raises(ArtifactError, match="/x is not a folder"):
        find_model(tmp_path / "x")


def test_unreadable_file_is_the_machines_fault(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "model_algo-1").touch()
    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(PlatformError, match=r"cannot read the model .*: Permission denied"):
        load_model(tmp_path / "model_algo-1")


def test_too_little_memory_is_the_machines_fault(tmp_path, monkeypatch, amazons):
    def refuse(*args, **kwargs):
        raise MemoryError

    (tmp_path / "model_algo-1").write_bytes(amazons)
    monkeypatch.setattr("openfm.artifact.loading.read_model_file", refuse)
    with pytest.raises(PlatformError, match="memory left is too small"):
        load_model(tmp_path / "model_algo-1")


@pytest.fixture
def load(tmp_path):
    def load(*args, **kwargs):
        path = tmp_path / "model_algo-1"
        path.write_bytes(model_bytes(*args, **kwargs))
        return load_model(path)

    return load


def test_errors_name_the_file(tmp_path, small, load):
    arrays = small.arrays | {"arg:v": dense_array(np.zeros((5, 2)))}
    with pytest.raises(ArtifactError) as caught:
        load(small.parameters, small.symbol, arrays)
    assert str(caught.value) == (
        f"cannot load {tmp_path}/model_algo-1: its arrays are not those of one Factorization "
        "Machine with feature_dim 5 and num_factors 3: found arg:w1_weight (5, 1), arg:w0_weight "
        "(1,), arg:v (5, 2); expected a bias (1,), linear weights (5, 1), (1, 5) or (5,), and "
        "factors (5, 3) or (3, 5)"
    )


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_floats(small, load, dtype):
    arrays = {
        "arg:w1_weight": row_sparse_array(small.linear.reshape(-1, 1), dtype=dtype),
        "arg:w0_weight": dense_array([small.bias], dtype),
        "arg:v": row_sparse_array(small.factors, dtype=dtype),
    }
    model = load(small.parameters, small.symbol, arrays, compression=zipfile.ZIP_DEFLATED)
    np.testing.assert_allclose(model.factors, small.factors, rtol=1e-3)
    assert model.factors.dtype == np.float32


def test_rows_that_are_not_stored_are_zero(small, load):
    arrays = small.arrays | {"arg:v": row_sparse_array(small.factors[[4, 1]], [4, 1], rows=5)}
    model = load(small.parameters, small.symbol, arrays)
    np.testing.assert_array_equal(model.factors[[0, 2, 3]], np.zeros((3, 3)))
    np.testing.assert_array_equal(model.factors[[4, 1]], small.factors[[4, 1]])


@pytest.mark.parametrize(("left_out", "name"), [("arg:w0_weight", "use_bias"), ("arg:w1_weight", "use_linear")])
def test_array_of_a_part_that_was_not_trained(small, load, left_out, name):
    arrays = {key: array for key, array in small.arrays.items() if key != left_out}
    with pytest.raises(ArtifactError, match="its arrays are not those of one"):
        load(small.parameters, small.symbol, arrays)
    model = load(small.parameters | {name: "False"}, small.symbol, arrays)
    assert (model.bias == 0) is (name == "use_bias")
    assert (not model.linear.any()) is (name == "use_linear")


def without(parameters, name):
    return {key: value for key, value in parameters.items() if key != name}


LINEAR, LOGISTIC, OTHER = "LinearRegressionOutput", "LogisticRegressionOutput", "MakeLoss"


@pytest.mark.parametrize(
    ("stated", "operator", "expected"),
    [
        ("regressor", LINEAR, "regressor"),
        ("binary_classifier", LOGISTIC, "binary_classifier"),
        ("binary_classifier", OTHER, "binary_classifier"),
        (None, LINEAR, "regressor"),
        (None, LOGISTIC, "binary_classifier"),
    ],
)
def test_predictor_type(small, load, stated, operator, expected):
    parameters = without(small.parameters, "predictor_type")
    if stated:
        parameters["predictor_type"] = stated
    symbol = small.symbol.replace(LINEAR.encode(), operator.encode())
    assert load(parameters, symbol, small.arrays).predictor_type == expected


@pytest.mark.parametrize(
    ("stated", "operator", "sentence"),
    [
        ("regressor", LOGISTIC, "is regressor, but its graph ends in LogisticRegressionOutput"),
        ("binary_classifier", LINEAR, "is binary_classifier, but its graph ends in Linear"),
        ("multiclass", LINEAR, "'multiclass' and its graph ends in LinearRegressionOutput; exp"),
        (None, OTHER, "None and its graph ends in MakeLoss; expected binary_classifier or regr"),
    ],
)
def test_no_predictor_type(small, load, stated, operator, sentence):
    parameters = without(small.parameters, "predictor_type")
    if stated:
        parameters["predictor_type"] = stated
    symbol = small.symbol.replace(LINEAR.encode(), operator.encode())
    with pytest.raises(ArtifactError, match=sentence):
        load(parameters, symbol, small.arrays)


@pytest.mark.parametrize("name", ["feature_dim", "num_factors"])
@pytest.mark.parametrize("wrong", ["6", "4", "2147483647", "99999999999", "x"])
def test_dimensions_that_the_arrays_have_not(small, load, name, wrong):
    with pytest.raises(ArtifactError, match=f"{name} "):
        load(small.parameters | {name: wrong}, small.symbol, small.arrays)


def test_model_inside_a_damaged_archive(tmp_path, amazons):
    path = tmp_path / "model.tar.gz"
    path.write_bytes(tar_gz(tar_member("model_algo-1", amazons[:-40])))
    with pytest.raises(ArtifactError, match=r"cannot load .*model\.tar\.gz: it is a damaged zip"):
        load_model(path)
    path.write_bytes(tar_gz(tar_member("model_algo-1", amazons))[:-100])
    with pytest.raises(ArtifactError, match=r"cannot load .*: it is a damaged tar\.gz"):
        load_model(path)
    path.write_bytes(gzip.compress(amazons))
    with pytest.raises(ArtifactError, match=r"cannot load .*: it is a damaged tar\.gz"):
        load_model(path)


def test_nothing_is_unpickled(tmp_path):
    path = tmp_path / "model_algo-1"
    path.write_bytes(b"cos\nsystem\n(S'touch hacked'\ntR.")
    with pytest.raises(ArtifactError, match="neither a model"):
        load_model(path)


def test_loading_imports_nothing_that_it_does_not_need(tmp_path, amazons):
    (tmp_path / "model_algo-1").write_bytes(amazons)
    program = (
        "import json, sys; from openfm.artifact import load_model; load_model(sys.argv[1]); "
        "print(json.dumps(sorted(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, check=True, text=True)
    loaded = {name.split(".")[0] for name in json.loads(answer.stdout)} | {
        name for name in json.loads(answer.stdout) if name.startswith("google.protobuf")
    }
    assert not loaded & {"scipy", "pydantic", "google.protobuf", "flask", "mxnet", "pickle5"}


def test_amazons_job_without_much_given(load):
    generator = np.random.default_rng(3)
    parameters = training_parameters(40, 2, "binary_classifier", epochs="7")
    from openfm.artifact.symbol import symbol_json

    symbol = symbol_json(PredictorType.BINARY_CLASSIFIER, 40, 2, parameters)
    factors = generator.normal(size=(40, 2)).astype(np.float32)
    arrays = {
        "arg:w1_weight": row_sparse_array(np.zeros((40, 1))),
        "arg:w0_weight": dense_array([0.0]),
        "arg:v": row_sparse_array(factors),
    }
    model = load(parameters, symbol, arrays)
    assert repr(model) == "Model(predictor_type='binary_classifier', feature_dim=40, num_factors=2)"
    assert model.training_parameters["epochs"] == "7"
