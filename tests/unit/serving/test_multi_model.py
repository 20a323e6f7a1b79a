"""``/models`` as SageMaker's platform calls it, without a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from openfm.artifact import Model, save_model
from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.serving.app import create_multi_model_app
from openfm.serving.gate import WorkGate
from openfm.serving.predictor import Predictor
from openfm.serving.registry import ModelRegistry
from openfm.serving.settings import ServingSettings
from openfm.serving.target_models import TargetModels

INSTANCES = b'{"instances": [{"features": [0, 0]}]}'
TARGET = "X-Amzn-SageMaker-Target-Model"


@pytest.fixture
def registry() -> ModelRegistry:
    return ModelRegistry(2**24)


@pytest.fixture
def gate() -> WorkGate:
    return WorkGate(running=1, admitted=2)


@pytest.fixture
def client(registry: ModelRegistry, gate: WorkGate, tmp_path: Path) -> FlaskClient:
    targets = TargetModels(registry, tmp_path / "models")
    return create_multi_model_app(registry, targets, gate, ServingSettings()).test_client()


def write_model(folder: Path, name: str, bias: float) -> str:
    """A model as the platform lays it out, and the url that it sends."""
    path = folder / "models" / name / "model"
    path.mkdir(parents=True)
    machine = FactorizationMachine(bias, [0, 0], [[0], [0]], PredictorType.REGRESSOR)
    save_model(Model(machine), path / "model_algo-1")
    return str(path)


def load(client: FlaskClient, name: str, url: str) -> Any:
    return client.post("/models", json={"model_name": name, "url": url})


def test_nothing_is_loaded_at_the_start(client: FlaskClient) -> None:
    assert client.get("/ping").status_code == 200
    response = client.get("/models")
    assert (response.status_code, response.get_json()) == (200, {"models": []})
    assert response.headers["Content-Type"] == "application/json"
    assert client.get("/execution-parameters").status_code == 404


def test_the_life_of_a_model(client: FlaskClient, tmp_path: Path) -> None:
    url = write_model(tmp_path, "9f2c", 1.5)

    response = load(client, "9f2c", url)
    assert (response.status_code, response.get_json()) == (200, {"status": "Workers scaled"})
    assert client.get("/models").get_json() == {"models": [{"modelName": "9f2c", "modelUrl": url}]}
    assert client.get("/models/9f2c").get_json() == {"modelName": "9f2c", "modelUrl": url}

    headers = {
        "Content-Type": "application/json",
        "Accept": "application/jsonlines",
        "X-Amzn-SageMaker-Custom-Attributes": "trace=1",
        TARGET: "shop.tar.gz",
    }
    response = client.post("/models/9f2c/invoke", data=INSTANCES, headers=headers)
    assert (response.status_code, response.data) == (200, b'{"score":1.5}\n')
    assert response.headers["X-Amzn-SageMaker-Custom-Attributes"] == "trace=1"

    response = client.delete("/models/9f2c")
    assert (response.status_code, response.get_json()) == (200, {"status": 'Model "9f2c" unregistered'})
    assert client.get("/models").get_json() == {"models": []}


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/models/x"), ("DELETE", "/models/x"), ("POST", "/models/x/invoke")]
)
def test_404(client: FlaskClient, method: str, path: str) -> None:
    response = client.open(path, method=method, data=INSTANCES)

    assert response.status_code == 404
    assert response.get_json() == {"code": 404, "type": "ModelNotFoundException", "message": "Model not found: x"}


def test_409(client: FlaskClient, tmp_path: Path) -> None:
    url = write_model(tmp_path, "x", 0)
    load(client, "x", url)

    response = load(client, "x", url)
    assert response.status_code == 409
    assert response.get_json() == {
        "code": 409,
        "type": "ConflictStatusException",
        "message": "Model x is already registered.",
    }


def test_507_until_another_is_unloaded(client: FlaskClient, registry: ModelRegistry, tmp_path: Path) -> None:
    url = write_model(tmp_path, "x", 0)
    load(client, "first", url)
    registry.memory_bytes = registry.reserved_bytes + 10

    response = load(client, "second", url)
    assert response.status_code == 507
    assert response.get_json()["type"] == "InsufficientMemoryException"
    assert response.get_json()["message"].startswith("Model second takes 0.0 MiB of memory to load")
    registry.memory_bytes *= 2
    client.delete("/models/first")
    assert load(client, "second", url).status_code == 200


def test_507_when_an_invocation_runs_out_of_memory(
    client: FlaskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    load(client, "x", write_model(tmp_path, "x", 0))
    monkeypatch.setattr(Predictor, "answer_plain", fail)
    response = client.post("/models/x/invoke", data=INSTANCES)

    assert response.status_code == 507
    assert response.get_json()["message"].startswith("the memory left is too small for this request")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "the body is not valid JSON: "),
        (b"{", "the body is not valid JSON: "),
        (b"[]", "the body must be an object such as "),
        (b'{"model_name": "x"}', "the body must be an object such as "),
        (b'{"model_name": "", "url": "/x"}', "the body must be an object such as "),
        (b'{"model_name": 3, "url": "/x"}', "the body must be an object such as "),
        (b'{"model_name": "x", "url": "/no/such/model"}', "there is no model at /no/such/model"),
    ],
)
def test_loads_that_are_refused(client: FlaskClient, body: bytes, sentence: str) -> None:
    response = client.post("/models", data=body)

    assert response.status_code == 400
    assert response.text.startswith(sentence)
    assert client.get("/models").get_json() == {"models": []}


def test_a_request_that_cannot_be_scored(client: FlaskClient, tmp_path: Path) -> None:
    load(client, "x", write_model(tmp_path, "x", 0))

    response = client.post("/models/x/invoke", data=b'{"instances": [{"features": [1]}]}')
    assert response.status_code == 400
    assert response.text == "instance 0: features has 1 values, but the model has feature_dim 2"
    assert client.post("/models/x/invoke", data=b"a,b", content_type="text/csv").status_code == 415
    assert client.post("/models/x/invoke", data=b"").status_code == 204


def test_pages(client: FlaskClient, tmp_path: Path) -> None:
    url = write_model(tmp_path, "x", 0)
    names = [f"m{number:03}" for number in range(105)]
    for name in names:
        assert load(client, name, url).status_code == 200

    def pages(limit: str | None) -> list[list[str]]:
        found: list[list[str]] = []
        query = {} if limit is None else {"limit": limit}
        while True:
            answer = client.get("/models", query_string=query).get_json()
            found.append([model["modelName"] for model in answer["models"]])
            if "nextPageToken" not in answer:
                return found
            query["next_page_token"] = answer["nextPageToken"]

    assert pages(None) == [names[:100], names[100:]]
    assert pages("1000") == [names[:100], names[100:]]
    assert pages("35") == [names[:35], names[35:70], names[70:]]
    assert [name for page in pages("1") for name in page] == names


@pytest.mark.parametrize("limit", ["0", "-1", "ten", "1.5", ""])
def test_a_limit_that_is_none(client: FlaskClient, limit: str) -> None:
    response = client.get("/models", query_string={"limit": limit})

    assert response.status_code == 400
    assert response.text == f"limit must be a whole number of at least 1, but is '{limit}'"


def test_a_full_server_still_answers_what_is_quick(client: FlaskClient, gate: WorkGate, tmp_path: Path) -> None:
    url = write_model(tmp_path, "x", 0)
    load(client, "x", url)
    with gate.admit(), gate.admit():
        for response in (
            client.post("/models/x/invoke", data=INSTANCES),
            client.post("/invocations", data=INSTANCES, headers={TARGET: "x"}),
            load(client, "y", url),
            client.delete("/models/x"),
        ):
            assert response.status_code == 503
            assert response.headers["Retry-After"] == "1"
        assert client.get("/ping").status_code == 200
        assert client.get("/models").status_code == 200
        assert client.get("/models/x").status_code == 200
    assert client.post("/models/x/invoke", data=INSTANCES).status_code == 200


def test_invocations_with_a_target_model(client: FlaskClient, tmp_path: Path) -> None:
    write_model(tmp_path, "shop", 4)

    response = client.post("/invocations", data=INSTANCES, headers={TARGET: "shop"})
    assert json.loads(response.data) == {"predictions": [{"score": 4.0}]}
    assert client.get("/models/shop").status_code == 200
    response = client.post("/invocations", data=INSTANCES)
    assert response.status_code == 400
    assert response.text.startswith("this server has many models: name one by TargetModel")
