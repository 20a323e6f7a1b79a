from __future__ import annotations

import io
import json
import logging

import pytest
from flask import Flask
from flask.testing import FlaskClient

from openfm.fm.model import FactorizationMachine
from openfm.serving.app import create_app
from openfm.serving.predictor import Predictor
from openfm.serving.settings import ServingSettings

INSTANCES = b'{"instances": [{"features": [1, 2, 4]}, {"features": [0, 0, 0]}]}'
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"


def test_ping(client: FlaskClient) -> None:
    response = client.get("/ping")

    assert (response.status_code, response.data) == (200, b"")


def test_json_in_and_out(client: FlaskClient) -> None:
    response = client.post("/invocations", data=INSTANCES)

    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.data == b'{"predictions":[{"score":11.75},{"score":0.25}]}'


def test_classifier_answers_score_then_label(classifier: FactorizationMachine) -> None:
    client = create_app(Predictor(classifier), ServingSettings()).test_client()
    response = client.post("/invocations", data=INSTANCES)

    first = json.loads(response.data)["predictions"][0]
    assert list(first) == ["score", "predicted_label"]
    assert first["predicted_label"] == 1.0


def test_answer_in_json_lines(client: FlaskClient) -> None:
    response = client.post("/invocations", data=INSTANCES, headers={"Accept": "application/jsonlines"})

    assert response.headers["Content-Type"] == "application/jsonlines"
    assert response.data == b'{"score":11.75}\n{"score":0.25}\n'


def test_batch_transform_answers_json_lines_by_default(regressor: FactorizationMachine) -> None:
    client = create_app(Predictor(regressor), ServingSettings(batch=True)).test_client()

    response = client.post("/invocations", data=INSTANCES)
    assert response.headers["Content-Type"] == "application/jsonlines"
    response = client.post("/invocations", data=INSTANCES, headers={"Accept": "application/json"})
    assert response.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("content_type", ["application/json", "text/csv", None])
def test_an_empty_body_gets_an_empty_answer(client: FlaskClient, content_type: str | None) -> None:
    response = client.post("/invocations", data=b"", content_type=content_type)

    assert (response.status_code, response.data) == (204, b"")


def test_custom_attributes_are_echoed(client: FlaskClient) -> None:
    headers = {ATTRIBUTES: "trace=7; c000b4f9"}
    assert client.post("/invocations", data=INSTANCES, headers=headers).headers[ATTRIBUTES] == ("trace=7; c000b4f9")
    assert client.post("/invocations", data=b"[", headers=headers).headers[ATTRIBUTES] == ("trace=7; c000b4f9")
    assert ATTRIBUTES not in client.post("/invocations", data=INSTANCES).headers


def test_a_body_over_the_limit(regressor: FactorizationMachine) -> None:
    settings = ServingSettings(max_content_length=len(INSTANCES))
    client = create_app(Predictor(regressor), settings).test_client()
    assert client.post("/invocations", data=INSTANCES).status_code == 200

    response = client.post("/invocations", data=INSTANCES + b" ")

    assert response.status_code == 413
    assert response.text == (
        f"the request's body is larger than {len(INSTANCES)} bytes; send fewer instances at once, "
        "or set MAX_CONTENT_LENGTH (bytes) or SAGEMAKER_MAX_PAYLOAD_IN_MB (MiB) for the server"
    )


@pytest.mark.parametrize(("extra", "status"), [(b"", 200), (b" ", 413)])
def test_a_chunked_body_has_the_same_limit(regressor: FactorizationMachine, extra: bytes, status: int) -> None:
    settings = ServingSettings(max_content_length=len(INSTANCES))
    client = create_app(Predictor(regressor), settings).test_client()

    response = client.post("/invocations", environ_overrides=_chunked(io.BytesIO(INSTANCES + extra)))
    assert response.status_code == status


def test_a_body_shorter_than_announced(client: FlaskClient) -> None:
    response = client.post(
        "/invocations",
        environ_overrides={**_chunked(io.BytesIO(INSTANCES)), "HTTP_TRANSFER_ENCODING": ""}
        | {"CONTENT_LENGTH": "1000"},
    )

    assert response.status_code == 400
    assert response.text == f"the request's body is cut short at {len(INSTANCES)} of 1000 bytes"


def test_no_limit(regressor: FactorizationMachine) -> None:
    client = create_app(Predictor(regressor), ServingSettings(max_payload_mib=0)).test_client()

    body = INSTANCES + b" " * 7_000_000
    assert client.post("/invocations", data=body).status_code == 200
    response = client.post("/invocations", environ_overrides=_chunked(io.BytesIO(body)))
    assert response.status_code == 200


@pytest.mark.parametrize("settings", [ServingSettings(), ServingSettings(max_payload_mib=0)])
def test_a_body_that_breaks_off(regressor: FactorizationMachine, settings: ServingSettings) -> None:
    class BrokenOff:
        def read(self, size: int = -1) -> bytes:
            raise OSError("no more data")

    client = create_app(Predictor(regressor), settings).test_client()
    response = client.post("/invocations", environ_overrides=_chunked(BrokenOff()))

    assert response.status_code == 400
    assert response.text == "the request's body is cut short or its chunks are malformed"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/ping/", 404),
        ("POST", "/ping", 405),
        ("GET", "/invocations", 405),
    ],
)
def test_other_paths_and_methods(client: FlaskClient, method: str, path: str, status: int) -> None:
    response = client.open(path, method=method)

    assert response.status_code == status
    assert response.mimetype == "text/plain"
    assert response.text == (
        "this server answers GET /execution-parameters, GET /ping, POST /endpoints/<endpoint>/invocations, "
        "POST /invocations, and nothing else"
    )
    assert ("Allow" in response.headers) == (status == 405)


def test_a_refused_request_is_logged(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    client.post("/invocations", data=b'{"instances": [{"features": [1]}]}')

    assert [record.getMessage() for record in caplog.records] == [
        "POST '/invocations': 400 instance 0: features has 1 values, but the model has feature_dim 3"
    ]


def test_an_unexpected_error_is_logged_and_hidden(
    app: Flask, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("the secret")

    client = app.test_client()
    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "answer_plain", fail)
        response = client.post("/invocations", data=INSTANCES)

    assert (response.status_code, response.data) == (500, b"Internal Server Error")
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert "the secret" in str(record.exc_info[1])
    assert client.post("/invocations", data=INSTANCES).status_code == 200


def test_out_of_memory(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Predictor, "answer_plain", fail)
    response = client.post("/invocations", data=INSTANCES)

    assert response.status_code == 507
    assert response.text.startswith("the memory left is too small for this request: send fewer instances at once")


def _chunked(body: object) -> dict[str, object]:
    """What a server makes of a chunked body: a stream with an end, but no length."""
    return {
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "HTTP_TRANSFER_ENCODING": "chunked",
        "CONTENT_LENGTH": "",
    }
