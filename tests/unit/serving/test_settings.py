from __future__ import annotations

from pathlib import Path

import pytest

from openfm.errors import CustomerError
from openfm.serving.settings import ServingSettings

MIB = 2**20


def settings(**environ: str) -> ServingSettings:
    return ServingSettings.from_environ(environ)


def test_defaults() -> None:
    found = settings(PATH="/bin", SAGEMAKER_REGION="us-east-1")

    assert found == ServingSettings()
    assert (found.host, found.port) == ("127.0.0.1", 8080)
    assert found.workers is None
    assert found.timeout == 60
    assert not found.batch
    assert found.default_answer_type == "application/json"
    assert found.max_body_bytes == 6 * MIB


def test_every_variable(tmp_path: Path) -> None:
    conf = tmp_path / "gunicorn.conf.py"
    conf.touch()
    found = settings(
        OPENFM_BIND="0.0.0.0",
        OPENFM_GUNICORN_CONF=str(conf),
        SAGEMAKER_BIND_TO_PORT=" 9000 ",
        SAGEMAKER_MODEL_SERVER_WORKERS="3",
        SAGEMAKER_MODEL_SERVER_TIMEOUT="120",
        OPENFM_QUEUE_SIZE="7",
        OPENFM_GRACEFUL_TIMEOUT="0",
        OPENFM_ACCESS_LOG="1",
        OPENFM_LOG_FORMAT="JSON",
        SAGEMAKER_BATCH="true",
        SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT="application/X-recordio-protobuf",
        SAGEMAKER_MAX_PAYLOAD_IN_MB="7",
        MAX_CONTENT_LENGTH="1000",
        SAGEMAKER_MULTI_MODEL="True",
        OPENFM_MODEL_MEMORY_IN_MB="512",
    )
    assert found == ServingSettings(
        host="0.0.0.0",
        port=9000,
        workers=3,
        timeout=120,
        queue_size=7,
        graceful_timeout=0,
        access_log=True,
        log_format="json",
        batch=True,
        accept="application/x-recordio-protobuf",
        max_content_length=1000,
        max_payload_mib=7,
        multi_model=True,
        model_memory_mib=512,
        gunicorn_conf=str(conf),
    )


def test_empty_variables_count_as_unset() -> None:
    assert settings(SAGEMAKER_BIND_TO_PORT="", SAGEMAKER_BATCH=" ") == ServingSettings()


def test_the_first_of_several_names_wins() -> None:
    assert settings(NUM_WORKERS="2").workers == 2
    assert settings(MODEL_SERVER_WORKERS="3", NUM_WORKERS="2").workers == 3
    assert settings(SAGEMAKER_MODEL_SERVER_WORKERS="4", MODEL_SERVER_WORKERS="3").workers == 4
    assert settings(MODEL_SERVER_TIMEOUT="9").timeout == 9
    assert settings(SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS="8", MODEL_SERVER_TIMEOUT="9").timeout == 8
    assert settings(SAGEMAKER_MODEL_JOB_QUEUE_SIZE="5").queue_size == 5
    assert settings(SAGEMAKER_MAX_REQUEST_SIZE="77").max_body_bytes == 77


@pytest.mark.parametrize(
    ("name", "value", "requirement"),
    [
        ("SAGEMAKER_BIND_TO_PORT", "http", "a whole number from 1 to 65535"),
        ("SAGEMAKER_BIND_TO_PORT", "0", "a whole number from 1 to 65535"),
        ("SAGEMAKER_BIND_TO_PORT", "65536", "a whole number from 1 to 65535"),
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "0", "a whole number at least 1"),
        ("NUM_WORKERS", "two", "a whole number at least 1"),
        ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "1.5", "a whole number at least 1"),
        ("SAGEMAKER_BATCH", "perhaps", "true or false"),
        (
            "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT",
            "text/csv",
            "one of application/json, application/jsonlines, application/x-recordio-protobuf",
        ),
        ("OPENFM_QUEUE_SIZE", "-1", "a whole number from 0 to 10000"),
        ("OPENFM_GRACEFUL_TIMEOUT", "1.5", "a whole number at least 0"),
        ("OPENFM_LOG_FORMAT", "xml", "one of text, json"),
        ("MAX_CONTENT_LENGTH", "-1", "a whole number at least 1"),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "-1", "a whole number at least 0"),
        ("OPENFM_GUNICORN_CONF", "/nowhere/at/all", "an existing file"),
    ],
)
def test_a_bad_value_is_named(name: str, value: str, requirement: str) -> None:
    with pytest.raises(CustomerError) as caught:
        settings(**{name: value})
    assert caught.value.message == (f"The environment variable {name} is '{value}', but it must be {requirement}.")


@pytest.mark.parametrize("value", ["true", "True", "TRUE", "1"])
def test_batch_transform_answers_in_json_lines(value: str) -> None:
    assert settings(SAGEMAKER_BATCH=value).default_answer_type == "application/jsonlines"
    chosen = settings(SAGEMAKER_BATCH=value, SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT="application/json")
    assert chosen.default_answer_type == "application/json"


@pytest.mark.parametrize(
    ("environ", "limit"),
    [
        ({"MAX_CONTENT_LENGTH": "123"}, 123),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "20"}, 20 * MIB),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"}, None),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "20", "MAX_CONTENT_LENGTH": "123"}, 123),
        ({"SAGEMAKER_BATCH": "true"}, 100 * MIB),
        ({"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "6"}, 100 * MIB),
        ({"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "200"}, 200 * MIB),
        ({"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"}, None),
        ({"SAGEMAKER_BATCH": "true", "MAX_CONTENT_LENGTH": "123"}, 123),
    ],
)
def test_body_limit(environ: dict[str, str], limit: int | None) -> None:
    assert ServingSettings.from_environ(environ).max_body_bytes == limit
