"""Explanations, rankings and thresholds, asked for by HTTP."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from openfm.artifact import Model
from openfm.fm.model import FactorizationMachine
from openfm.serving.app import create_app
from openfm.serving.predictor import MOST_EXPLAINED_FEATURES, Predictor
from openfm.serving.settings import ServingSettings

VERBOSE = {"Accept": "application/json; verbose=true"}
ROW = {"features": [1, 2, 4]}
USER = {"keys": [2], "values": [1]}


def sigmoid(raw: float) -> float:
    return float(np.float32(1 / (1 + np.exp(-raw))))


def serve(machine: FactorizationMachine, stored: float | None = None, **settings: Any) -> FlaskClient:
    return create_app(Predictor(machine, stored), ServingSettings(**settings)).test_client()


def ask(client: FlaskClient, *instances: object, accept: str = "application/json") -> list[dict[str, Any]]:
    response = client.post("/invocations", json={"instances": instances}, headers={"Accept": accept})
    assert response.status_code == 200, response.text
    predictions: list[dict[str, Any]] = json.loads(response.data)["predictions"]
    return predictions


def test_an_explained_prediction(client: FlaskClient) -> None:
    response = client.post("/invocations", json={"instances": [ROW, {"features": [0, 0, 0]}]}, headers=VERBOSE)

    assert response.headers["Content-Type"] == "application/json"
    assert json.loads(response.data) == {
        "predictions": [
            {
                "score": 11.75,
                "explanation": {
                    "raw_score": 11.75,
                    "bias": 0.25,
                    "linear": {"keys": [0, 1, 2], "values": [0.5, -2.0, 1.0]},
                    "pairs": {"keys": [[1, 2], [0, 2]], "values": [8.0, 4.0]},
                    "other_pairs": 0.0,
                },
            },
            {
                "score": 0.25,
                "explanation": {
                    "raw_score": 0.25,
                    "bias": 0.25,
                    "linear": {"keys": [], "values": []},
                    "pairs": {"keys": [], "values": []},
                    "other_pairs": 0.0,
                },
            },
        ]
    }


def test_an_explained_prediction_in_json_lines(classifier: FactorizationMachine) -> None:
    response = serve(classifier).post(
        "/invocations", json={"instances": [ROW]}, headers={"Accept": "application/jsonlines; verbose=true; pairs=1"}
    )

    assert response.headers["Content-Type"] == "application/jsonlines"
    (line,) = response.text.splitlines()
    prediction = json.loads(line)
    assert list(prediction) == ["score", "predicted_label", "explanation"]
    assert prediction["score"] == pytest.approx(sigmoid(11.75), rel=1e-6)
    assert prediction["explanation"]["pairs"] == {"keys": [[1, 2]], "values": [8.0]}
    assert prediction["explanation"]["other_pairs"] == 4.0
    assert prediction["explanation"]["raw_score"] == 11.75


def test_the_best_candidates(client: FlaskClient) -> None:
    query = {"k": 5, "fixed": USER, "candidates": {"range": [0, 2]}}
    ranked, one = ask(client, {"top_k": query}, {"top_k": query | {"exclude": [0]}})
    # 1/4 + 1/4 + (1/2 + 1) and 1/4 + 1/4 + (-1 + 1)
    assert ranked == {"top_k": [{"key": 0, "score": 2.0}, {"key": 1, "score": 0.5}]}
    assert one == {"top_k": [{"key": 1, "score": 0.5}]}


def test_the_best_candidates_in_json_lines(classifier: FactorizationMachine) -> None:
    instances = [{"features": [1, 0, 0]}, {"data": {"features": {"keys": [1], "values": [2]}}}]
    response = serve(classifier).post(
        "/invocations",
        data=json.dumps({"top_k": {"k": 1, "fixed": USER, "candidates": {"instances": instances}}}),
        content_type="application/jsonlines",
        headers={"Accept": "application/jsonlines; verbose=true"},
    )

    (line,) = response.text.splitlines()
    ((best,),) = json.loads(line).values()
    assert list(best) == ["key", "score", "predicted_label", "explanation"]
    assert (best["key"], best["predicted_label"]) == (0, 1.0)
    assert best["score"] == pytest.approx(sigmoid(2.0), rel=1e-6)
    assert best["explanation"]["linear"] == {"keys": [0, 2], "values": [0.5, 0.25]}
    assert best["explanation"]["pairs"] == {"keys": [[0, 2]], "values": [1.0]}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            {"k": 1, "fixed": USER, "candidates": {"range": [0, 3]}},
            "the candidates have the feature 2, which is a fixed",
        ),
        ({"k": 1, "fixed": USER, "candidates": {"keys": [3]}}, "the candidate 3 is no feature"),
        ({"k": 1, "fixed": {"keys": [2], "values": [3e38]}, "candidates": {"range": [0, 1]}}, "overflows float32"),
    ],
)
def test_candidates_that_are_refused(client: FlaskClient, query: object, message: str) -> None:
    response = client.post("/invocations", json={"instances": [{"top_k": query}]})

    assert response.status_code == 400
    assert response.text.startswith("instance 0: ")
    assert message in response.text


@pytest.mark.parametrize(
    ("accept", "message"),
    [
        ("application/json; verbose=yes", "accept has verbose=yes; it must be true or false"),
        ("application/json; verbose=true; pairs=-1", "accept has pairs=-1; it must be a whole number from 0 to 1000"),
        ("application/json; pairs=1001", "accept has pairs=1001; it must be a whole number from 0 to 1000"),
        ("application/json; pairs=00000000019999999", "accept has pairs=00000000019999999; it must be a whole number"),
        ("application/json; threshold=2", "accept has threshold=2; it must be stored, or a number from 0 to 1"),
        ("application/x-recordio-protobuf; verbose=true", "application/x-recordio-protobuf has no room for explan"),
    ],
)
def test_answers_that_nobody_can_give(client: FlaskClient, accept: str, message: str) -> None:
    response = client.post("/invocations", json={"instances": [ROW]}, headers={"Accept": accept})

    assert response.status_code == 406
    assert response.text.startswith(message)


def test_rankings_as_records(client: FlaskClient) -> None:
    query = {"k": 1, "fixed": USER, "candidates": {"range": [0, 2]}}
    headers = {"Accept": "application/x-recordio-protobuf"}
    response = client.post("/invocations", json={"instances": [{"top_k": query}]}, headers=headers)

    assert response.status_code == 406
    assert response.text.startswith("application/x-recordio-protobuf has no room for rankings")


def test_rows_that_are_too_wide_to_explain(regressor: FactorizationMachine) -> None:
    dim = MOST_EXPLAINED_FEATURES + 2
    wide = FactorizationMachine(0, np.zeros(dim), np.ones((dim, 1)), regressor.predictor_type)
    client = serve(wide)
    rows = [{"features": [0.0] * dim}, {"features": [1.0] * (dim - 1) + [0.0]}]
    response = client.post("/invocations", json={"instances": rows}, headers=VERBOSE)
    assert response.status_code == 400
    assert response.text == (
        "instance 1: it has 2049 non-zero features, and at most 2048 can be explained; leave verbose=true out"
    )
    keys = list(range(dim - 2))
    query = {"k": 1, "fixed": {"keys": keys, "values": [1] * len(keys)}, "candidates": {"keys": [dim - 1]}}
    response = client.post("/invocations", json={"instances": [{"top_k": query}]}, headers=VERBOSE)
    assert response.text.startswith("instance 0: with a candidate it has 2049 non-zero features")


def test_explanations_of_a_ranking_are_bounded(regressor: FactorizationMachine) -> None:
    dim = 2100
    client = serve(FactorizationMachine(0, np.zeros(dim), np.ones((dim, 1)), regressor.predictor_type))
    query = {
        "k": 100,
        "fixed": {"keys": list(range(2000)), "values": [1] * 2000},
        "candidates": {"range": [2000, 2100]},
    }

    response = client.post("/invocations", json={"instances": [{"top_k": query}]}, headers=VERBOSE)

    assert response.status_code == 400
    assert response.text.startswith("instance 0: explanations of 100 candidates with up to 2001 features each")


@pytest.mark.parametrize(
    ("settings", "accept", "stored", "labels"),
    [
        ({}, "application/json", 0.8, [1, 1, 0]),
        ({}, "application/json; threshold=stored", 0.8, [1, 0, 0]),
        ({}, "application/json; threshold=stored", None, [1, 1, 0]),
        ({}, "application/json; threshold=0.1", 0.8, [1, 1, 1]),
        ({"threshold": "stored"}, "application/json", 0.8, [1, 0, 0]),
        ({"threshold": "stored"}, "application/json; threshold=0.5", 0.8, [1, 1, 0]),
        ({"threshold": 0.1}, "application/json", 0.8, [1, 1, 1]),
        ({"threshold": 0.1}, "application/json; verbose=true", 0.8, [1, 1, 1]),
    ],
)
def test_thresholds(
    classifier: FactorizationMachine, settings: dict[str, Any], accept: str, stored: float | None, labels: list[int]
) -> None:
    """The probabilities are 0.99, 0.56 and 0.32."""
    client = serve(classifier, stored, **settings)
    predictions = ask(client, ROW, {"features": [0, 0, 0]}, {"features": [0, 1, 0]}, accept=accept)
    assert [prediction["predicted_label"] for prediction in predictions] == labels
    query = {"k": 9, "fixed": USER, "candidates": {"range": [0, 2]}}
    ((best, worst),) = (prediction["top_k"] for prediction in ask(client, {"top_k": query}, accept=accept))
    # 0.88 and 0.62
    assert (best["predicted_label"], worst["predicted_label"]) == (1.0, labels[1])


def test_a_threshold_from_the_environment() -> None:
    assert ServingSettings.from_environ({"OPENFM_THRESHOLD": "stored"}).threshold == "stored"
    assert ServingSettings.from_environ({"OPENFM_THRESHOLD": "0.25"}).threshold == 0.25
    with pytest.raises(ValueError, match=r"OPENFM_THRESHOLD is '1\.5', but it must be stored, or a number from 0 to 1"):
        ServingSettings.from_environ({"OPENFM_THRESHOLD": "1.5"})


def test_what_is_served_is_what_the_model_says(classifier: FactorizationMachine) -> None:
    """The server's explanations and rankings beside those of Python."""
    model = Model(classifier)
    (explanation,) = model.explain([[1, 2, 4]])
    (prediction,) = ask(serve(classifier), ROW, accept="application/json; verbose=true")
    assert prediction["explanation"]["raw_score"] == explanation.score
    ranking = model.top_k(2, fixed={2: 1}, candidates=range(2))
    query = {"k": 2, "fixed": USER, "candidates": {"keys": [1, 0]}}
    ((*ranked,),) = (prediction["top_k"] for prediction in ask(serve(classifier), {"top_k": query}))
    assert [candidate["key"] for candidate in ranked] == ranking.candidates.tolist()
    assert [candidate["score"] for candidate in ranked] == ranking.scores.tolist()
