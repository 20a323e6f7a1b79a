from __future__ import annotations

import pytest

from openfm.fm.model import FactorizationMachine
from openfm.serving.app import create_app
from openfm.serving.batch import execution_parameters
from openfm.serving.predictor import Predictor
from openfm.serving.settings import ServingSettings


def parameters(**environ: str) -> dict[str, object]:
    return execution_parameters(ServingSettings.from_environ({"NUM_WORKERS": "4", **environ}))


def test_execution_parameters_over_http(regressor: FactorizationMachine) -> None:
    client = create_app(Predictor(regressor), ServingSettings(workers=4, batch=True)).test_client()

    response = client.get("/execution-parameters")

    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.get_json() == {
        "MaxConcurrentTransforms": 4,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": 6,
    }


def test_the_strategy_is_left_to_the_sdks_local_mode() -> None:
    assert parameters(SAGEMAKER_BATCH="true")["BatchStrategy"] == "MULTI_RECORD"
    assert "BatchStrategy" not in parameters(SAGEMAKER_BATCH="True")


@pytest.mark.parametrize(
    ("environ", "concurrent", "payload"),
    [
        ({}, 4, 6),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "20"}, 4, 20),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "50"}, 2, 50),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "100"}, 1, 100),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"}, 4, 0),
        ({"MAX_CONTENT_LENGTH": str(3 * 2**20 + 1)}, 4, 3),
        ({"MAX_CONTENT_LENGTH": "1000"}, 4, 1),
        ({"NUM_WORKERS": "64"}, 16, 6),
    ],
)
def test_no_more_is_in_flight_than_the_platform_allows(environ: dict[str, str], concurrent: int, payload: int) -> None:
    found = parameters(**environ)

    assert (found["MaxConcurrentTransforms"], found["MaxPayloadInMB"]) == (concurrent, payload)
    assert concurrent * payload <= 100
