"""How large a model is, told without reading it."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest

from openfm.artifact import Model, load_model, model_size, save_model
from openfm.artifact.archive import unpacked_size
from openfm.artifact.symbol import symbol_json
from openfm.errors import ArtifactError
from openfm.fm.model import FactorizationMachine, PredictorType
from support.artifacts import dense_array, model_bytes, row_sparse_array, training_parameters

FEATURES, FACTORS = 3000, 8
PARAMETERS = 4 * FEATURES * (1 + FACTORS)


@pytest.fixture
def model() -> Model:
    rng = np.random.default_rng(0)
    linear, factors = rng.normal(size=FEATURES), rng.normal(size=(FEATURES, FACTORS))
    return Model(FactorizationMachine(1, linear, factors, PredictorType.REGRESSOR))


@pytest.mark.parametrize("name", ["model_algo-1", "model.tar.gz"])
def test_size(model: Model, tmp_path: Path, name: str) -> None:
    save_model(model, tmp_path / name)

    size = model_size(tmp_path / name)
    assert PARAMETERS < size < PARAMETERS + 8 * FEATURES + 50_000  # 8 bytes for each row's number
    assert model_size(tmp_path) == size


def test_a_compressed_model_counts_unpacked(model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "model_algo-1")
    with (
        zipfile.ZipFile(tmp_path / "model_algo-1") as stored,
        zipfile.ZipFile(tmp_path / "deflated", "w", zipfile.ZIP_DEFLATED) as deflated,
    ):
        for info in stored.infolist():
            deflated.writestr(info.filename, stored.read(info))

    assert model_size(tmp_path / "deflated") > PARAMETERS
    assert (tmp_path / "deflated").stat().st_size < model_size(tmp_path / "deflated")
    assert load_model(tmp_path / "deflated").feature_dim == FEATURES


def test_rows_left_out_count(tmp_path: Path) -> None:
    parameters = training_parameters(1_000_000, 8)
    arrays = {
        "arg:w1_weight": row_sparse_array(np.zeros((0, 1)), [], rows=1_000_000),
        "arg:w0_weight": dense_array([1.0]),
        "arg:v": row_sparse_array(np.zeros((0, 8)), [], rows=1_000_000),
    }
    symbol = symbol_json(PredictorType.REGRESSOR, 1_000_000, 8, parameters)
    (tmp_path / "model_algo-1").write_bytes(model_bytes(parameters, symbol, arrays))

    assert model_size(tmp_path) == 4 * (1 + 1_000_000 * 9)
    assert load_model(tmp_path).machine.nbytes >= 4 * (1 + 1_000_000 * 9)


@pytest.mark.parametrize(
    ("packed", "modulo", "expected"),
    [
        (1000, 5000, 5000),
        (3 * 2**30, 2**30, 2**32 + 2**30),
        (5 * 2**30, 2**31, 2**32 + 2**31),
        (9 * 2**30, 0, 3 * 2**32),
        (5000, 4990, 4990),  # incompressible: a little less than it takes packed
    ],
)
def test_sizes_beyond_4_gib(packed: int, modulo: int, expected: int) -> None:
    class Sparse(io.BytesIO):
        """A file of so many bytes, of which only the last four are there."""

        def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
            return packed + offset if whence == io.SEEK_END else super().seek(offset, whence)

    assert unpacked_size(Sparse(modulo.to_bytes(4, "little"))) == expected


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x1f\x8b", random.Random(0).randbytes(100)])
def test_what_is_no_model(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model_algo-1").write_bytes(content)

    with pytest.raises(ArtifactError, match=r"cannot load .*model_algo-1"):
        model_size(tmp_path)
    with pytest.raises(ArtifactError, match="there is no model at"):
        model_size(tmp_path / "missing")
