from __future__ import annotations

import errno
import io
import os
import stat
import tarfile
import zipfile
import zlib

import numpy as np
import pytest

from openfm.artifact import Model, load_model, save_model
from openfm.artifact.loading import model_from_bytes
from openfm.artifact.saving import model_bytes
from openfm.errors import ArtifactError, PlatformError
from openfm.fm.model import FactorizationMachine, PredictorType
from support.artifacts import ml100k_parameters, params_bytes, training_parameters


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_size_and_head_of_the_published_artifact(tmp_path):
    """Sizes and checksums are those of the artifact of a public run on SageMaker (ML-100k, u1)."""
    machine = FactorizationMachine(0.0, np.zeros(2625), np.zeros((2625, 64)), PredictorType.REGRESSOR)
    path = Model(machine, ml100k_parameters()).save(tmp_path)
    with zipfile.ZipFile(path) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
        assert archive.getinfo("meta.json").CRC == 0x34BFF785
        assert archive.getinfo("symbol.json").CRC == 0x72BFD916
        assert [info.header_offset for info in archive.infolist()] == [0, 879, 3990]
    assert sizes == {"meta.json": 840, "symbol.json": 3070, "params": 724_775}
    assert path.stat().st_size == 728_987


def test_bytes_in_memory_are_those_of_the_file(tmp_path, small):
    model = small.model()
    content = model_bytes(model)
    assert content == model.save(tmp_path).read_bytes()
    assert model_bytes(model_from_bytes(content)) == content
    with pytest.raises(ArtifactError):
        model_from_bytes(content[:-30])


def test_params_are_amazons(tmp_path, small):
    found = members(small.model().save(tmp_path).read_bytes())
    assert list(found) == ["meta.json", "symbol.json", "params"]
    assert found["params"] == params_bytes(small.arrays)
    assert found["symbol.json"] == small.symbol


@pytest.mark.parametrize("predictor_type", list(PredictorType))
@pytest.mark.parametrize("name", ["model_algo-1", "some.name", "model.tar.gz"])
def test_round_trip(tmp_path, small, name, predictor_type):
    model = small.model(predictor_type, epochs="3", bias_init_method="constant")
    path = save_model(model, tmp_path / name)
    assert path == tmp_path / name
    loaded = load_model(path)
    small.assert_same(loaded)
    assert loaded.predictor_type is predictor_type
    assert list(loaded.training_parameters.items()) == list(model.training_parameters.items())
    assert loaded.save(tmp_path / f"again-{name}").read_bytes() == path.read_bytes()


def test_folder_gets_model_algo_1(tmp_path, small):
    assert small.model().save(str(tmp_path)) == tmp_path / "model_algo-1"


def test_equal_models_equal_bytes_whatever_the_time(tmp_path, small, monkeypatch):
    first = small.model().save(tmp_path / "a.tar.gz").read_bytes()
    monkeypatch.setattr("time.time", lambda: 2e9)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1500000000")
    assert small.model().save(tmp_path / "b.tar.gz").read_bytes() == first


def test_archive_holds_the_same_model_file(tmp_path, small):
    model = small.model()
    bare = model.save(tmp_path / "bare").read_bytes()
    with tarfile.open(model.save(tmp_path / "model.tar.gz")) as archive:
        assert archive.getnames() == ["model_algo-1"]
        assert archive.extractfile("model_algo-1").read() == bare


@pytest.mark.parametrize("name", ["model_algo-1", "model.tar.gz"])
@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_mode_is_0644_and_nothing_is_left_behind(tmp_path, small, name, umask):
    before = os.umask(umask)
    try:
        path = small.model().save(tmp_path / name)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_failure_leaves_the_old_model_and_nothing_else(tmp_path, small, monkeypatch):
    path = tmp_path / "model_algo-1"
    path.write_bytes(b"the old model")

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("openfm.artifact.model_file.array_pieces", full)
    with pytest.raises(PlatformError, match=f"to {path}: No space left on device"):
        small.model().save(path)
    assert [path] == list(tmp_path.iterdir())
    assert path.read_bytes() == b"the old model"


def test_no_such_folder(tmp_path, small):
    with pytest.raises(PlatformError, match="No such file or directory"):
        small.model().save(tmp_path / "no" / "model_algo-1")


def test_extras_are_kept(tmp_path, small):
    extras = {"openfm/note": b"0.25"}
    model = Model(small.model().machine, small.parameters, extras=extras)
    path = model.save(tmp_path)
    assert list(members(path.read_bytes()))[3:] == ["openfm/note"]
    assert load_model(path).extras == extras


def test_extras_belong_below_openfm(small):
    with pytest.raises(ArtifactError, match="'params' is not below openfm/"):
        Model(small.model().machine, extras={"params": b""})


def test_untrained_parts_are_stored_as_zeros(tmp_path):
    machine = FactorizationMachine(0.0, np.zeros(4), np.ones((4, 2)), PredictorType.REGRESSOR)
    parameters = training_parameters(4, 2, use_bias="false", use_linear="false")
    loaded = load_model(Model(machine, parameters).save(tmp_path))
    assert loaded.bias == 0
    assert not loaded.linear.any()


def test_model_of_no_job_states_its_shape(tmp_path, small):
    model = Model(small.model().machine)
    expected = {"feature_dim": "5", "num_factors": "3", "predictor_type": "regressor"}
    assert model.training_parameters == expected
    small.assert_same(load_model(model.save(tmp_path)))


@pytest.mark.parametrize(
    ("name", "value"),
    [("feature_dim", "6"), ("num_factors", "2"), ("predictor_type", "binary_classifier")],
)
def test_training_parameters_of_another_machine(small, name, value):
    with pytest.raises(ArtifactError, match=f"training parameter {name} is '{value}', but"):
        Model(small.model().machine, small.parameters | {name: value})


def test_checksums_are_right(tmp_path, small):
    path = small.model().save(tmp_path)
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            assert zlib.crc32(archive.read(info)) == info.CRC
