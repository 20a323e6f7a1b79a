"""The real server with a model that has an encoder: raw ids in, ids out, unseen ones counted over all workers."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openfm import Model
from support.servers import Server
from support.tables import RATINGS, block_of, model_of_ratings

ROWS: list[dict[str, Any]] = [{name: values[i] for name, values in RATINGS.items()} for i in range(4)]
INSTANCES = [{"columns": row} for row in ROWS]


@pytest.fixture(scope="module")
def model() -> Model:
    return model_of_ratings()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, model: Model) -> Path:
    folder = tmp_path_factory.mktemp("opt-ml")
    for path, saved in (("model", model), ("models/ratings", model), ("models/plain", model.with_encoder(None))):
        (folder / path).mkdir(parents=True)
        saved.save(folder / path)
    return folder


@pytest.fixture(scope="module")
def server(base: Path) -> Iterator[Server]:
    with Server.running(base, SAGEMAKER_MODEL_SERVER_WORKERS="2") as running:
        yield running


def expected_scores(model: Model) -> np.ndarray:
    assert model.encoder is not None
    return model.predict(model.encoder.encode(block_of(RATINGS)).rows)


def ask(server: Server, *instances: object, accept: str = "application/json") -> list[dict[str, Any]]:
    body = json.dumps({"instances": instances})
    status, _, answer = server.request("POST", "/invocations", body, Accept=accept)
    assert status == 200, answer
    predictions: list[dict[str, Any]] = json.loads(answer)["predictions"]
    return predictions


def test_scores(server: Server, model: Model) -> None:
    scores = [prediction["score"] for prediction in ask(server, *INSTANCES)]
    np.testing.assert_allclose(scores, expected_scores(model), rtol=1e-6)


def test_scores_of_lines(server: Server, model: Model) -> None:
    body = "\n".join(map(json.dumps, INSTANCES))
    headers = {"Content_Type": "application/jsonlines", "Accept": "application/jsonlines"}
    status, kind, answer = server.request("POST", "/invocations", body, **headers)
    assert (status, kind) == (200, "application/jsonlines")
    scores = [json.loads(line)["score"] for line in answer.splitlines()]
    np.testing.assert_allclose(scores, expected_scores(model), rtol=1e-6)


def test_explanations_tell_names(server: Server) -> None:
    (prediction, *_) = ask(server, *INSTANCES, accept="application/json; verbose=true")
    explanation = prediction["explanation"]
    assert explanation["linear"]["names"] == ["user=u1", "item=i7", "price"]
    assert [sorted(pair) for pair in explanation["pairs"]["names"]] == [
        sorted(["user=u1", "item=i7", "price"][[0, 2, 5].index(key)] for key in pair)
        for pair in explanation["pairs"]["keys"]
    ]


def test_rankings_tell_ids(server: Server, model: Model) -> None:
    assert model.encoder is not None
    query = {"k": 3, "fixed": {"columns": {"user": "u1"}}, "candidates": {"column": "item"}}
    all_of_them, without = ask(server, {"top_k": query}, {"top_k": {**query, "exclude": ["i8", "never seen"]}})
    ranking = model.top_k(3, fixed={0: 1.0}, candidates=range(2, 5))
    ids = [model.encoder.value(int(key)) for key in ranking.candidates]
    assert [(best["key"], best["id"]) for best in all_of_them["top_k"]] == [
        (int(key), id) for key, id in zip(ranking.candidates, ids, strict=True)
    ]
    assert [best["id"] for best in without["top_k"]] == [id for id in ids if id != "i8"]
    (explained,) = ask(server, {"top_k": query}, accept="application/json; verbose=true")
    for best in explained["top_k"]:
        assert best["explanation"]["linear"]["names"] == ["user=u1", f"item={best['id']}"]


def unseen(server: Server) -> dict[str, float]:
    status, _, text = server.request("GET", "/metrics")
    assert status == 200
    found = re.findall(r'^openfm_unseen_values_total\{column="(.*)"\} (.*)$', text.decode(), re.MULTILINE)
    return {column: float(count) for column, count in found}


def wait_for(server: Server, expected: dict[str, float]) -> None:
    """A request is counted after it is answered."""
    deadline = time.monotonic() + 30
    while unseen(server) != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    assert unseen(server) == expected


def test_unseen_values_are_counted_over_all_workers(base: Path, model: Model) -> None:
    with Server.running(base, SAGEMAKER_MODEL_SERVER_WORKERS="2") as server:
        assert unseen(server) == {"user": 0, "item": 0}
        rows = [{"columns": {"user": "new", "item": "i7"}}, {"columns": {"user": "newer", "item": "new"}}]
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: ask(server, *rows), range(20)))
        only_item = float(model.predict(np.eye(6, dtype=np.float32)[2:3])[0])
        assert [answer[0]["score"] for answer in answers] == [pytest.approx(only_item, rel=1e-6)] * 20
        wait_for(server, {"user": 40, "item": 20})
        query = {"k": 1, "fixed": {"columns": {"user": "new"}}, "candidates": {"column": "item", "values": ["i7", "x"]}}
        assert ask(server, {"top_k": query})[0]["top_k"][0]["id"] == "i7"
        wait_for(server, {"user": 41, "item": 21})


@pytest.mark.parametrize(
    ("instance", "sentence"),
    [
        ({"columns": {"usr": "u1"}}, "instance 0: columns has 'usr', which the model does not know; it knows 'user', "),
        ({"columns": {"price": "1"}}, "instance 0: columns.price must be a number, but is '1'"),
        ({"columns": 1}, "instance 0: columns must be an object"),
    ],
)
def test_refused(server: Server, instance: object, sentence: str) -> None:
    status, _, answer = server.request("POST", "/invocations", json.dumps({"instances": [instance]}))
    assert status == 400
    assert answer.decode().startswith(sentence)


def test_many_models(base: Path, model: Model) -> None:
    with Server.running(base, SAGEMAKER_MULTI_MODEL="true") as server:
        for name in ("ratings", "plain"):
            body = json.dumps({"model_name": name, "url": str(base / "models" / name)})
            assert server.request("POST", "/models", body)[0] == 200
        body = json.dumps({"instances": [*INSTANCES, {"columns": {"user": "new"}}]})
        status, _, answer = server.request("POST", "/models/ratings/invoke", body)
        assert status == 200
        scores = [prediction["score"] for prediction in json.loads(answer)["predictions"]]
        np.testing.assert_allclose(scores[:4], expected_scores(model), rtol=1e-6)
        assert scores[4] == pytest.approx(model.bias)
        wait_for(server, {"": 1})
        status, _, answer = server.request("POST", "/models/plain/invoke", body)
        assert status == 400
        assert answer.decode() == (
            'instance 0: has "columns", but the model has no encoder that makes features of columns; send '
            '{"features": [...]} or {"data": {...}}'
        )
