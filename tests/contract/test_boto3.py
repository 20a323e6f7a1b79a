"""Real boto3, pointed at the server by the environment variable that AWS's SDKs have for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from openfm.artifact import Model, save_model
from openfm.fm.model import FactorizationMachine, PredictorType
from support.ports import free_port
from support.servers import Server

INSTANCES = json.dumps({"instances": [{"features": [0, 0]}]})
JSON = "application/json"


def write_model(path: Path, bias: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    machine = FactorizationMachine(bias, [0, 0], [[0], [0]], PredictorType.REGRESSOR)
    save_model(Model(machine), path)


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    base = tmp_path_factory.mktemp("single")
    write_model(base / "model" / "model_algo-1", 2.5)
    with Server.running(base, NUM_WORKERS="1") as server:
        yield server


@pytest.fixture(scope="module")
def multi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    base = tmp_path_factory.mktemp("multi")
    for bias in (1, 2):
        write_model(base / "models" / f"shop-{bias}.tar.gz", bias)
    (base / "models" / "broken.tar.gz").write_bytes(b"\x1f\x8b and no more of it")
    with Server.running(base, SAGEMAKER_MULTI_MODEL="true") as server:
        yield server


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Server], Any]:
    """Makes a client as a user's unchanged code would."""

    def make(server: Server) -> Any:
        for name, value in {
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": f"http://127.0.0.1:{server.port}",
            "AWS_ACCESS_KEY_ID": "none",
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": str(tmp_path / "none"),
            "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        }.items():
            monkeypatch.setenv(name, value)
        return boto3.client("sagemaker-runtime")

    return make


def test_invoke_endpoint(single: Server, client: Callable[[Server], Any]) -> None:
    answer = client(single).invoke_endpoint(
        EndpointName="my-endpoint", ContentType=JSON, Accept=JSON, CustomAttributes="trace=7", Body=INSTANCES
    )

    assert json.loads(answer["Body"].read()) == {"predictions": [{"score": 2.5}]}
    assert answer["ContentType"] == JSON
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert answer["CustomAttributes"] == "trace=7"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert len(answer["ResponseMetadata"]["RequestId"]) == 36


def test_a_variant_that_is_asked_for(single: Server, client: Callable[[Server], Any]) -> None:
    answer = client(single).invoke_endpoint(
        EndpointName="e", ContentType=JSON, Body=INSTANCES, TargetVariant="blue", InferenceId="1"
    )

    assert answer["InvokedProductionVariant"] == "blue"


@pytest.mark.parametrize(
    ("content_type", "accept", "body", "status", "sentence"),
    [
        (JSON, JSON, "{", 400, "the body is not valid JSON: "),
        (JSON, JSON, '{"instances": [{"features": [1]}]}', 400, "instance 0: features has 1 values, but the model"),
        ("text/csv", JSON, "0,0", 415, "content-type text/csv not supported"),
        (JSON, "text/csv", INSTANCES, 406, "accept text/csv not supported; ask for "),
        (JSON, JSON, " " * (6 * 2**20 + 1), 413, "the request's body is larger than 6291456 bytes"),
    ],
)
def test_a_refusal_is_a_model_error(
    single: Server,
    client: Callable[[Server], Any],
    content_type: str,
    accept: str,
    body: str,
    status: int,
    sentence: str,
) -> None:
    runtime = client(single)
    with pytest.raises(runtime.exceptions.ModelError) as caught:
        runtime.invoke_endpoint(EndpointName="e", ContentType=content_type, Accept=accept, Body=body)

    response = caught.value.response
    assert response["Error"]["Code"] == "ModelError"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["OriginalStatusCode"] == status
    assert response["OriginalMessage"].startswith(sentence)
    assert response["LogStreamArn"] == ""
    assert response["Error"]["Message"] == (
        f'Received client error ({status}) from model with message "{response["OriginalMessage"]}".'
    )


def test_target_models_are_loaded_when_they_are_asked_for(multi: Server, client: Callable[[Server], Any]) -> None:
    runtime = client(multi)
    for bias in (2, 1, 2):
        answer = runtime.invoke_endpoint(
            EndpointName="e", ContentType=JSON, TargetModel=f"shop-{bias}.tar.gz", Body=INSTANCES
        )
        assert json.loads(answer["Body"].read()) == {"predictions": [{"score": float(bias)}]}

    _, _, body = multi.request("GET", "/models")
    assert [model["modelName"] for model in json.loads(body)["models"]] == ["shop-1.tar.gz", "shop-2.tar.gz"]


def test_a_target_model_that_is_broken(multi: Server, client: Callable[[Server], Any]) -> None:
    runtime = client(multi)
    with pytest.raises(runtime.exceptions.ModelError) as caught:
        runtime.invoke_endpoint(EndpointName="e", ContentType=JSON, TargetModel="broken.tar.gz", Body=INSTANCES)

    assert caught.value.response["OriginalStatusCode"] == 400
    assert "broken.tar.gz" in caught.value.response["OriginalMessage"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"TargetModel": "missing.tar.gz"}, "there is no model 'missing.tar.gz'"),
        ({}, "this server has many models: name one by TargetModel"),
    ],
)
def test_what_sagemaker_itself_refuses(
    multi: Server, client: Callable[[Server], Any], arguments: dict[str, str], sentence: str
) -> None:
    refuse(client(multi), arguments, sentence)


def test_a_target_model_where_there_is_one_model(single: Server, client: Callable[[Server], Any]) -> None:
    refuse(client(single), {"TargetModel": "a.tar.gz"}, "TargetModel names a model of a multi-model endpoint")


def refuse(runtime: Any, arguments: dict[str, str], sentence: str) -> None:
    with pytest.raises(ClientError) as caught:
        runtime.invoke_endpoint(EndpointName="e", ContentType=JSON, Body=INSTANCES, **arguments)

    assert caught.value.response["Error"]["Code"] == "ValidationError"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert caught.value.response["Error"]["Message"].startswith(sentence)


def test_nobody_listens(client: Callable[[Any], Any]) -> None:
    """The variable is what makes boto3 come here: without a server there is no answer, from anywhere."""
    from botocore.exceptions import EndpointConnectionError

    class Nobody:
        port = free_port()

    runtime = client(Nobody())
    with pytest.raises(EndpointConnectionError):
        runtime.invoke_endpoint(EndpointName="e", ContentType=JSON, Body=INSTANCES)
