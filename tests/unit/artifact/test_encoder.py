"""The encoder in a model's file, and in a file of its own."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from openfm import ArtifactError, ColumnEncoder, DataError, load_model
from openfm.artifact import Model, load_encoder, save_encoder
from openfm.artifact.limits import MAX_EXTRAS_BYTES
from openfm.fm.model import FactorizationMachine, PredictorType
from support.artifacts import zip_bytes
from support.tables import RATINGS, block_of, model_of_ratings


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("name", ["model_algo-1", "model.tar.gz"])
def test_kept_with_the_model(tmp_path: Path, name: str) -> None:
    model = model_of_ratings()
    again = load_model(model.save(tmp_path / name))
    assert again.encoder is not None
    assert model.encoder is not None
    assert again.encoder.to_members() == model.encoder.to_members()
    assert again.extras == model.extras
    assert again.with_encoder(None).encoder is None
    assert again.with_encoder(None).extras == {}


def test_nothing_else_changes(tmp_path: Path) -> None:
    model = model_of_ratings(PredictorType.BINARY_CLASSIFIER).with_threshold(0.25)
    plain = members(model.with_encoder(None).save(tmp_path / "plain"))
    encoded = members(model.save(tmp_path / "encoded"))
    assert list(encoded)[:3] == ["meta.json", "symbol.json", "params"]
    assert {name: content for name, content in encoded.items() if "encoder" not in name} == plain
    assert set(encoded) - set(plain) == {
        "openfm/encoder.json",
        *(f"openfm/encoder/{column}.{part}" for column in (0, 1) for part in ("offsets", "utf8")),
    }
    again = load_model(tmp_path / "encoded").with_threshold(0.5)
    assert again.encoder is not None


def test_equal_models_are_equal_bytes(tmp_path: Path) -> None:
    first = model_of_ratings().save(tmp_path / "first")
    second = load_model(model_of_ratings().save(tmp_path / "other")).save(tmp_path / "second")
    assert first.read_bytes() == second.read_bytes()


def test_more_texts_than_other_members_may_have(tmp_path: Path) -> None:
    texts = [f"{i:050}" for i in range(100_000)]
    encoder = ColumnEncoder.fit([block_of({"id": texts})])
    assert sum(map(len, encoder.to_members().values())) > MAX_EXTRAS_BYTES
    machine = FactorizationMachine(0, [0] * 100_000, [[0]] * 100_000, PredictorType.REGRESSOR)
    path = Model(machine).with_encoder(encoder).save(tmp_path)
    again = load_model(path).encoder
    assert again is not None
    assert again.feature("id", texts[99_999]) == 99_999
    with pytest.raises(ArtifactError, match="its other members below openfm/ claim 4194305 bytes"):
        Model(machine, extras={"openfm/x": bytes(MAX_EXTRAS_BYTES + 1)}, encoder=encoder)


def test_of_another_width() -> None:
    machine = FactorizationMachine(0, [0] * 5, [[0]] * 5, PredictorType.REGRESSOR)
    with pytest.raises(ArtifactError, match="the encoder makes 6 features, but the model has 5"):
        Model(machine).with_encoder(model_of_ratings().encoder)
    with pytest.raises(ArtifactError, match="the encoder makes 6 features, but the model has 5"):
        Model(machine, extras=model_of_ratings().extras)


def test_what_could_not_be_saved_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of_ratings()
    encoder, bare = model.encoder, model.with_encoder(None)
    with pytest.raises(TypeError, match=r"encoder must be a ColumnEncoder, .* not {'user': 3}"):
        Model(model.machine, encoder={"user": 3})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="encoder must be a ColumnEncoder"):
        bare.with_encoder(ColumnEncoder)  # type: ignore[arg-type]
    monkeypatch.setattr("openfm.encoding.members.MAX_TEXT_COLUMNS", 1)
    with pytest.raises(DataError, match="2 columns are one-hot, and a model has room for 1 such"):
        Model(model.machine, encoder=encoder)


def test_a_damaged_one_is_refused_with_the_model(tmp_path: Path) -> None:
    path = model_of_ratings().save(tmp_path / "model_algo-1")
    damaged = members(path)
    damaged["openfm/encoder/1.utf8"] = b"i7i9i9"
    path.write_bytes(zip_bytes(damaged))
    with pytest.raises(ArtifactError, match=r"cannot load .*model_algo-1: .*openfm/encoder/1.utf8 holds text 2 twice"):
        load_model(path)
    del damaged["openfm/encoder.json"]
    path.write_bytes(zip_bytes(damaged))
    with pytest.raises(ArtifactError, match=r"there is no openfm/encoder\.json"):
        load_model(path)


def test_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = model_of_ratings().save(tmp_path)
    size = sum(map(len, model_of_ratings().extras.values()))
    monkeypatch.setattr("openfm.artifact.model_file.MAX_ENCODER_BYTES", size - 1)
    with pytest.raises(
        ArtifactError, match=f"its encoder below openfm/ claim {size} bytes, and at most {size - 1} can"
    ):
        load_model(path)


def test_a_file_of_its_own(tmp_path: Path) -> None:
    encoder = ColumnEncoder.fit([block_of(RATINGS)], target="rating")
    path = save_encoder(encoder, tmp_path / "encoder.zip")
    assert load_encoder(path).to_members() == encoder.to_members()
    assert path.read_bytes() == save_encoder(load_encoder(path), tmp_path / "again.zip").read_bytes()
    assert load_encoder(model_of_ratings().save(tmp_path)).to_members() == encoder.to_members()


def test_files_without_encoder(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="there is no encoder at"):
        load_encoder(tmp_path / "none.zip")
    path = model_of_ratings().with_encoder(None).save(tmp_path)
    with pytest.raises(ArtifactError, match=r"cannot load the encoder .*: there is no openfm/encoder\.json"):
        load_encoder(path)
    path.write_bytes(b"text")
    with pytest.raises(ArtifactError, match=r"cannot load the encoder .*: it is neither"):
        load_encoder(path)
