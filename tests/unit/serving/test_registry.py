from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from openfm.artifact import Model, load_model, save_model
from openfm.errors import (
    ArtifactError,
    InsufficientMemoryError,
    ModelAlreadyLoadedError,
    ModelNotLoadedError,
    PlatformError,
)
from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.fm.rows import SparseRows
from openfm.serving.registry import LoadedModel, ModelRegistry
from openfm.serving.target_models import TargetModelError, TargetModels

MIB = 2**20


def write_model(path: Path, bias: float, features: int = 2, factors: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    machine = FactorizationMachine(bias, np.zeros(features), np.zeros((features, factors)), PredictorType.REGRESSOR)
    save_model(Model(machine), path)
    return path


def score(registry: ModelRegistry, name: str) -> float:
    empty = SparseRows(np.zeros(2, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), 2)
    with registry.borrow(name) as predictor:
        return float(predictor.predict(empty).scores[0])


@pytest.fixture
def registry() -> ModelRegistry:
    return ModelRegistry(MIB)


def test_load_borrow_unload(registry: ModelRegistry, tmp_path: Path) -> None:
    url = str(write_model(tmp_path / "a" / "model" / "model_algo-1", 3.5).parent)
    registry.load("a", url)

    assert score(registry, "a") == 3.5
    assert registry.describe("a") == LoadedModel("a", url)
    assert registry.reserved_bytes > 0
    registry.unload("a")
    assert (len(registry), registry.reserved_bytes) == (0, 0)
    for use in (registry.unload, registry.describe, lambda name: score(registry, name)):
        with pytest.raises(ModelNotLoadedError, match=r"^Model not found: a$"):
            use("a")


def test_a_name_is_loaded_once(registry: ModelRegistry, tmp_path: Path) -> None:
    registry.load("a", str(write_model(tmp_path / "first", 1)))

    with pytest.raises(ModelAlreadyLoadedError, match=r"^Model a is already registered\.$"):
        registry.load("a", str(write_model(tmp_path / "second", 2)))
    assert score(registry, "a") == 1


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 and no more", b"\x1f\x8b", b"\x1f\x8b" + bytes(20)])
def test_a_model_that_cannot_be_loaded_leaves_nothing(
    registry: ModelRegistry, tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "a").write_bytes(content)
    with pytest.raises(ArtifactError, match="a"):
        registry.load("a", str(tmp_path / "a"))

    assert (len(registry), registry.reserved_bytes) == (0, 0)
    (tmp_path / "a").unlink(missing_ok=True)
    registry.load("a", str(write_model(tmp_path / "a", 1)))


def test_pages(registry: ModelRegistry, tmp_path: Path) -> None:
    path = str(write_model(tmp_path / "model", 0))
    for name in "dbca":
        registry.load(name, path)

    assert [model.name for model in registry.models()] == ["a", "b", "c", "d"]
    assert [model.name for model in registry.models(limit=2)] == ["a", "b"]
    registry.unload("b")
    assert [model.name for model in registry.models(after="b", limit=1)] == ["c"]
    assert registry.models(after="d") == []


@pytest.mark.parametrize("name", ["model_algo-1", "model.tar.gz"])
def test_memory_is_set_aside_before_anything_is_read(tmp_path: Path, name: str) -> None:
    path = write_model(tmp_path / name, 0, features=20_000, factors=8)
    loaded: list[Path] = []

    def load(source: Path) -> Model:
        loaded.append(source)
        return load_model(source)

    generous = ModelRegistry(100 * MIB, load=load)
    generous.load("a", str(path))
    resident = generous.reserved_bytes
    assert 20_000 * (1 + 8 + 1) * 4 < resident < 20_000 * (1 + 8 + 1) * 4 + MIB // 16

    tight = ModelRegistry(resident, load=load)
    with pytest.raises(InsufficientMemoryError) as caught:
        tight.load("a", str(path))
    assert loaded == [path]
    assert caught.value.message.startswith("Model a takes ")
    assert "unload other models" in caught.value.message
    assert tight.reserved_bytes == 0


def test_the_budget_is_kept_by_several_models(tmp_path: Path) -> None:
    path = str(write_model(tmp_path / "model", 0, features=20_000, factors=8))
    registry = ModelRegistry(8 * MIB)
    names = iter(range(100))
    with pytest.raises(InsufficientMemoryError):
        while True:
            registry.load(str(next(names)), path)

    full = len(registry)
    assert full >= 2
    assert registry.reserved_bytes <= 8 * MIB
    registry.unload("0")
    registry.load("another", path)
    assert len(registry) == full


def test_a_model_that_takes_more_than_its_file_said(tmp_path: Path) -> None:
    path = write_model(tmp_path / "model", 0, features=20_000, factors=8)
    registry = ModelRegistry(MIB // 2, size=lambda _: 10)

    with pytest.raises(InsufficientMemoryError):
        registry.load("liar", str(path))
    assert (len(registry), registry.reserved_bytes) == (0, 0)


def test_no_memory_left_in_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("openfm.artifact.loading.read_model_file", fail)
    path = write_model(tmp_path / "model", 0)
    with pytest.raises(InsufficientMemoryError, match="the memory left is too small for the model") as caught:
        ModelRegistry(MIB).load("a", str(path))
    assert isinstance(caught.value, PlatformError)


def test_no_memory_left_for_the_layout(
    registry: ModelRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(FactorizationMachine, "prepare", fail)
    with pytest.raises(InsufficientMemoryError, match="the memory left is too small for the model"):
        registry.load("a", str(write_model(tmp_path / "model", 0)))
    assert (len(registry), registry.reserved_bytes) == (0, 0)


def test_unloading_waits_for_borrowers(registry: ModelRegistry, tmp_path: Path) -> None:
    registry.load("a", str(write_model(tmp_path / "model", 7)))
    unloading = threading.Thread(target=registry.unload, args=("a",))

    with registry.borrow("a") as predictor:
        unloading.start()
        wait_until(lambda: "a" not in registry)
        with pytest.raises(ModelNotLoadedError), registry.borrow("a"):
            pass
        # The name is free at once, the memory is not.
        registry.load("a", str(tmp_path / "model"))
        assert unloading.is_alive()
        reserved = registry.reserved_bytes
        assert predictor.feature_dim == 2
    unloading.join(timeout=60)
    assert not unloading.is_alive()
    assert registry.reserved_bytes == reserved // 2


def test_a_model_being_loaded_is_not_there_yet_but_its_name_is_taken(tmp_path: Path) -> None:
    started, go_on = threading.Event(), threading.Event()

    def load(path: Path) -> Model:
        started.set()
        assert go_on.wait(60)
        return load_model(path)

    registry = ModelRegistry(MIB, load=load)
    path = str(write_model(tmp_path / "model", 1))
    loading = threading.Thread(target=registry.load, args=("a", path))
    loading.start()
    assert started.wait(60)
    assert registry.models() == []
    with pytest.raises(ModelAlreadyLoadedError):
        registry.load("a", path)
    with pytest.raises(ModelNotLoadedError):
        registry.unload("a")
    go_on.set()
    loading.join(timeout=60)
    assert score(registry, "a") == 1


# -- models by the files they lie in ----------------------------------------------------------------------------------


def bias_of(targets: TargetModels, target: str) -> float:
    empty = SparseRows(np.zeros(2, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), 2)
    with targets.borrow(target) as predictor:
        return float(predictor.predict(empty).scores[0])


def test_targets_are_loaded_when_first_used(registry: ModelRegistry, tmp_path: Path) -> None:
    write_model(tmp_path / "a.tar.gz", 1)
    write_model(tmp_path / "shop" / "b" / "model" / "model_algo-1", 2)
    write_model(tmp_path / "c" / "model_algo-1", 3)
    targets = TargetModels(registry, tmp_path)

    for _ in range(2):
        assert [bias_of(targets, name) for name in ("a.tar.gz", "shop/b", "c")] == [1, 2, 3]
    assert [model.name for model in registry.models()] == ["a.tar.gz", "c", "shop/b"]


def test_a_loaded_model_is_a_target(registry: ModelRegistry, tmp_path: Path) -> None:
    registry.load("elsewhere", str(write_model(tmp_path / "model", 9)))

    assert bias_of(TargetModels(registry, tmp_path / "models"), "elsewhere") == 9


@pytest.mark.parametrize("target", ["missing.tar.gz", "/etc", "../model", "a/../../model", ".", ""])
def test_targets_that_are_not_there(registry: ModelRegistry, tmp_path: Path, target: str) -> None:
    write_model(tmp_path / "model", 1)
    (tmp_path / "models").mkdir()

    with pytest.raises(TargetModelError, match=r"model"):
        bias_of(TargetModels(registry, tmp_path / "models"), target)


def test_the_least_recently_used_make_room(tmp_path: Path) -> None:
    for name in "abcdef":
        write_model(tmp_path / name, ord(name), features=20_000, factors=8)
    kept = str(write_model(tmp_path / "kept", 0, features=20_000, factors=8))
    registry = ModelRegistry(56 * MIB // 10)  # room for five, and one being loaded instead of the fifth
    registry.load("kept", kept)
    targets = TargetModels(registry, tmp_path)

    def use(name: str) -> None:
        with targets.borrow(name):
            pass

    def loaded() -> str:
        return "".join(model.name for model in registry.models() if model.name != "kept")

    for name in "abcda":
        use(name)
    assert loaded() == "abcd"
    use("e")
    assert loaded() == "acde"
    use("f")
    assert loaded() == "adef"
    assert "kept" in registry
    assert registry.reserved_bytes <= 12 * MIB


def test_many_threads_ask_for_a_target_at_once(registry: ModelRegistry, tmp_path: Path) -> None:
    for number in range(4):
        write_model(tmp_path / str(number), number)
    targets = TargetModels(registry, tmp_path)
    found: list[tuple[int, float]] = []

    def ask() -> None:
        found.extend((number, bias_of(targets, str(number))) for number in range(4))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(found) == 32
    assert all(number == bias for number, bias in found)


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(6000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("waited 60 s")
