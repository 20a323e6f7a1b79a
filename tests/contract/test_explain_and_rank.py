"""Explanations, rankings and stored thresholds of the real server, with one model and with many."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openfm.artifact import Model, load_model
from openfm.fm.model import FactorizationMachine, PredictorType
from support.servers import Server

DIM, FACTORS = 3000, 8
THRESHOLD = 0.8


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier with a threshold, as the only model and as one of many."""
    folder = tmp_path_factory.mktemp("opt-ml")
    rng = np.random.default_rng(3)
    factors = rng.normal(0, 0.5, (DIM, FACTORS))
    machine = FactorizationMachine(0.1, rng.normal(size=DIM), factors, PredictorType.BINARY_CLASSIFIER)
    for path in (folder / "model", folder / "models" / "clicks"):
        path.mkdir(parents=True)
        Model(machine).with_threshold(THRESHOLD).save(path)
    return folder


@pytest.fixture(scope="module")
def model(base: Path) -> Model:
    return load_model(base / "model")


@pytest.fixture(scope="module", params=["one", "many"])
def ask(base: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Sends instances and returns predictions."""
    many = request.param == "many"
    environ = {"SAGEMAKER_MULTI_MODEL": "true"} if many else {}
    with Server.running(base, OPENFM_THRESHOLD="stored", SAGEMAKER_MODEL_SERVER_WORKERS="2", **environ) as server:
        path = "/invocations"
        if many:
            body = json.dumps({"model_name": "clicks", "url": str(base / "models" / "clicks")})
            assert server.request("POST", "/models", body)[0] == 200
            path = "/models/clicks/invoke"

        def ask(*instances: object, accept: str = "application/json") -> list[dict[str, Any]]:
            status, _, answer = server.request("POST", path, json.dumps({"instances": instances}), Accept=accept)
            assert status == 200, answer
            predictions: list[dict[str, Any]] = json.loads(answer)["predictions"]
            return predictions

        yield ask


def sparse_instance(row: np.ndarray) -> dict[str, Any]:
    keys = np.flatnonzero(row)
    return {"data": {"features": {"keys": keys.tolist(), "shape": [DIM], "values": row[keys].tolist()}}}


def rows() -> np.ndarray:
    rng = np.random.default_rng(5)
    dense = np.zeros((20, DIM), dtype=np.float32)
    for row in dense:
        row[rng.choice(DIM, 6, replace=False)] = rng.normal(0, 1, 6).astype(np.float32)
    return dense


def test_explanations(ask: Any, model: Model) -> None:
    X = rows()
    predictions = ask(*map(sparse_instance, X), accept="application/json; verbose=true; pairs=5")
    for prediction, score, expected in zip(predictions, model.predict(X), model.explain(X, pairs=5), strict=True):
        explanation = prediction["explanation"]
        listed = sum(explanation["linear"]["values"]) + sum(explanation["pairs"]["values"])
        total = explanation["bias"] + listed + explanation["other_pairs"]
        assert total == pytest.approx(explanation["raw_score"], rel=1e-12)
        assert 1 / (1 + np.exp(-total)) == pytest.approx(score, rel=1e-5)
        assert prediction["score"] == score
        assert explanation["pairs"]["keys"] == expected.pairs.tolist()


def test_the_stored_threshold(ask: Any, model: Model) -> None:
    X = rows()
    scores = model.predict(X)
    assert len({*(scores >= 0.5)}) == len({*(scores >= THRESHOLD)}) == 2
    for accept, threshold in (("application/json", THRESHOLD), ("application/json; threshold=0.5", 0.5)):
        predictions = ask(*map(sparse_instance, X), accept=accept)
        assert [prediction["predicted_label"] for prediction in predictions] == (scores >= threshold).tolist()


def test_rankings(ask: Any, model: Model) -> None:
    users = [0, 7, 99]
    queries = [
        {
            "k": 20,
            "fixed": {"keys": [user], "values": [1]},
            "candidates": {"range": [100, DIM]},
            "exclude": [100 + user],
        }
        for user in users
    ]
    for user, prediction in zip(users, ask(*({"top_k": query} for query in queries)), strict=True):
        candidates = np.delete(np.arange(100, DIM), user)
        joined = np.zeros((len(candidates), DIM), dtype=np.float32)
        joined[:, user] = 1
        joined[np.arange(len(candidates)), candidates] = 1
        scores = model.predict(joined)
        best = candidates[np.argsort(-scores, kind="stable")][:20]
        assert [answer["key"] for answer in prediction["top_k"]] == best.tolist()
        found = [answer["score"] for answer in prediction["top_k"]]
        np.testing.assert_allclose(found, np.sort(scores)[::-1][:20], rtol=1e-5)
        assert [answer["predicted_label"] for answer in prediction["top_k"]] == [score >= THRESHOLD for score in found]
