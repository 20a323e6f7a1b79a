"""Each format is read by a few lines of NumPy that know nothing of openfm, and scores as the server does."""

from __future__ import annotations

import csv
import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from openfm.artifact import ExportFormat, Model, export_model
from openfm.errors import PlatformError
from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.serving.app import create_app
from openfm.serving.predictor import Predictor
from openfm.serving.settings import ServingSettings


class Read(NamedTuple):
    """What a file holds."""

    bias: npt.NDArray[Any]
    linear: npt.NDArray[Any]
    factors: npt.NDArray[Any]

    def score(self, X: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The equation, in double precision."""
        w0, w, V = (np.asarray(part, dtype=np.float64) for part in self)
        return np.asarray(w0 + X @ w + 0.5 * (((X @ V) ** 2).sum(axis=1) - (X**2 @ V**2).sum(axis=1)))


def read_npz(path: Path) -> Read:
    with np.load(path, allow_pickle=False) as arrays:
        return Read(arrays["bias"], arrays["linear"], arrays["factors"])


def read_csv(path: Path) -> Read:
    with path.open(newline="") as file:
        header, bias, *rows = list(csv.reader(file))
    assert header[:2] == ["feature", "linear"]
    assert header[2:] == [f"factor_{number}" for number in range(1, len(header) - 1)]
    assert [row[0] for row in rows] == [str(number) for number in range(len(rows))]
    assert (bias[0], set(bias[2:])) == ("bias", {""})
    numbers = np.array([row[1:] for row in rows], dtype=np.float32)
    return Read(np.float32(bias[1]), numbers[:, 0], numbers[:, 1:])


def read_libfm(path: Path) -> Read:
    """As libFM 1.4.4 reads it: a line of text, w0, a line of text, D lines of w, a line of text, D lines of V."""
    title, bias, *lines = path.read_text().split("\n")
    assert (title, lines[-1]) == ("#global bias W0", "")
    assert lines[0] == "#unary interactions Wj"
    end = lines.index("#pairwise interactions Vj,f")
    linear = np.array(lines[1:end], dtype=np.float32)
    factors = np.array([line.split(" ") for line in lines[end + 1 : -1]], dtype=np.float32)
    return Read(np.float32(bias), linear, factors)


READERS: dict[ExportFormat, Callable[[Path], Read]] = {
    ExportFormat.NPZ: read_npz,
    ExportFormat.CSV: read_csv,
    ExportFormat.LIBFM: read_libfm,
}


def make_model(predictor_type: PredictorType, features: int = 23, factors: int = 5) -> Model:
    rng = np.random.default_rng(0)
    return Model(
        FactorizationMachine(
            rng.normal(), rng.normal(size=features), rng.normal(size=(features, factors)), predictor_type
        )
    )


def served_scores(model: Model, X: npt.NDArray[np.float64]) -> list[float]:
    """What a server answers, over HTTP."""
    client = create_app(Predictor(model.machine), ServingSettings()).test_client()
    instances = [{"features": row} for row in X.tolist()]
    answer = client.post("/invocations", data=json.dumps({"instances": instances}), content_type="application/json")
    return [prediction["score"] for prediction in answer.get_json()["predictions"]]


def test_every_format_has_a_reader() -> None:
    assert set(READERS) == set(ExportFormat)


@pytest.mark.parametrize("form", ExportFormat)
@pytest.mark.parametrize("predictor_type", PredictorType)
def test_what_is_exported_scores_as_the_server(
    tmp_path: Path, form: ExportFormat, predictor_type: PredictorType
) -> None:
    model = make_model(predictor_type)
    X = np.random.default_rng(1).normal(size=(50, 23)).astype(np.float32).astype(np.float64)
    X[X < 0.5] = 0

    scores = READERS[form](export_model(model, tmp_path / "file", form)).score(X)

    if predictor_type is PredictorType.BINARY_CLASSIFIER:
        scores = 1 / (1 + np.exp(-scores))
    np.testing.assert_allclose(served_scores(model, X), scores, rtol=1e-4, atol=1e-5)


EXTREMES = np.float32([0, -0.0, 1e-45, -1.1754944e-38, 3.4028235e38, 1 / 3, 16777217, -0.1])


@pytest.mark.parametrize("form", ExportFormat)
@pytest.mark.parametrize("block", [1, 7, 2**16])
@pytest.mark.parametrize("factors", [1, 2, 8])
def test_every_bit_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: ExportFormat, block: int, factors: int
) -> None:
    monkeypatch.setattr("openfm.artifact.export._BLOCK_VALUES", block)
    values = np.resize(EXTREMES, (13, factors))
    model = Model(FactorizationMachine(1 / 3, values[:, 0], values, PredictorType.REGRESSOR))

    read = READERS[form](export_model(model, tmp_path / "file", form))

    assert np.float32(read.bias).tobytes() == np.float32(1 / 3).tobytes()
    for found, expected in ((read.linear, model.linear), (read.factors, model.factors)):
        assert found.dtype == np.float32
        assert found.tobytes() == expected.tobytes()


def test_npz_tells_what_the_model_predicts(tmp_path: Path) -> None:
    path = export_model(make_model(PredictorType.BINARY_CLASSIFIER), tmp_path / "model.npz", ExportFormat.NPZ)
    with np.load(path, allow_pickle=False) as arrays:
        assert str(arrays["predictor_type"]) == "binary_classifier"
        assert set(arrays.files) == {"bias", "linear", "factors", "predictor_type"}


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "model.npz"
    path.write_bytes(b"the old one")
    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(PlatformError, match=f"cannot be written to {path}: No space left on device"):
        export_model(make_model(PredictorType.REGRESSOR), path, ExportFormat.NPZ)
    assert [path] == list(tmp_path.iterdir())
    assert path.read_bytes() == b"the old one"
