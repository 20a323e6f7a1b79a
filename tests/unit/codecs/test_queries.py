from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest

from openfm.codecs import json, jsonlines
from openfm.codecs.requests import RankingRequest, Request
from openfm.errors import RequestError
from openfm.fm.rows import SparseRows

QUERY: dict[str, Any] = {"k": 2, "fixed": {"keys": [1], "values": [0.5]}, "candidates": {"range": [2, 6]}}


def decoded(*queries: object) -> RankingRequest:
    body = orjson.dumps({"instances": [{"top_k": query} for query in queries]})
    request = json.decode(body, 6)
    assert isinstance(request, RankingRequest)
    return request


@pytest.mark.parametrize("lines", [False, True])
def test_queries(lines: bool) -> None:
    instances = [{"top_k": QUERY}, {"top_k": QUERY | {"k": 7, "exclude": [3, 9]}}]
    if lines:
        request = jsonlines.decode(b"\n".join(map(orjson.dumps, instances)), 6)
    else:
        request = json.decode(orjson.dumps({"instances": instances}), 6)
    assert isinstance(request, RankingRequest)
    assert len(request) == 2
    first, second = request.queries
    assert (first.k, first.candidates, first.exclude) == (2, range(2, 6), None)
    np.testing.assert_array_equal(first.fixed.to_scipy().toarray(), [[0, 0.5, 0, 0, 0, 0]])
    assert second.k == 7
    np.testing.assert_array_equal(second.exclude, [3, 9])


@pytest.mark.parametrize(
    "fixed",
    [
        {"keys": [1], "values": [0.5]},
        {"values": [0, 0.5, 0, 0, 0, 0]},
        {"features": [0, 0.5, 0, 0, 0, 0]},
        {"data": {"features": {"keys": [1], "shape": [6], "values": [0.5]}}},
    ],
)
def test_fixed_features_in_every_form(fixed: dict[str, Any]) -> None:
    (query,) = decoded(QUERY | {"fixed": fixed}).queries
    np.testing.assert_array_equal(query.fixed.to_scipy().toarray(), [[0, 0.5, 0, 0, 0, 0]])


def test_candidates_in_every_form() -> None:
    (query,) = decoded(QUERY | {"candidates": {"keys": [5, 2]}}).queries
    np.testing.assert_array_equal(query.candidates, [5, 2])
    instances = [{"features": [0, 0, 0, 1, 0, 0]}, {"data": {"features": {"keys": [5], "values": [2]}}}]
    (query,) = decoded(QUERY | {"candidates": {"instances": instances}}).queries
    assert isinstance(query.candidates, SparseRows)
    np.testing.assert_array_equal(query.candidates.to_scipy().toarray(), [[0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 2]])


def test_a_plain_instance_may_have_other_members() -> None:
    body = orjson.dumps({"instances": [{"features": [1, 0, 0], "top_k": {}}]})
    assert isinstance(json.decode(body, 3), Request)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ([], "top_k must be an object with k, fixed and candidates"),
        (QUERY | {"limit": 3}, "top_k has the member 'limit'; it may have candidates, exclude, fixed, k"),
        (QUERY | {"k": 0}, "top_k.k must be a whole number of at least 1"),
        (QUERY | {"k": True}, "top_k.k must be a whole number of at least 1"),
        (QUERY | {"k": 2.0}, "top_k.k must be a whole number of at least 1"),
        ({"fixed": {}, "candidates": {}}, "top_k.k must be a whole number of at least 1"),
        (QUERY | {"fixed": [1]}, 'top_k.fixed must be an object such as {"keys": [17], "values": [1]}'),
        (
            QUERY | {"fixed": {"keys": [9], "values": [1]}},
            "top_k.fixed: instance 0: data.features.keys[0] is 9, but the model has feature_dim 6",
        ),
        (
            QUERY | {"candidates": {}},
            "top_k.candidates must be an object with one of range, keys, instances, column, such as "
            '{"range": [100, 200]}',
        ),
        (
            QUERY | {"candidates": {"keys": [], "range": [0, 1]}},
            "top_k.candidates must be an object with one of range, keys, instances, column, such as "
            '{"range": [100, 200]}',
        ),
        (
            QUERY | {"candidates": {"range": [2, 7]}},
            "top_k.candidates.range must be the first key and the one after the last, from 0 to the model's "
            "feature_dim 6",
        ),
        (
            QUERY | {"candidates": {"range": [2]}},
            "top_k.candidates.range must be the first key and the one after the last, from 0 to the model's "
            "feature_dim 6",
        ),
        (QUERY | {"candidates": {"keys": [2, 2.5]}}, "top_k.candidates.keys[1] must be a whole number"),
        (QUERY | {"candidates": {"keys": "2"}}, "top_k.candidates.keys must be a list of whole numbers"),
        (QUERY | {"candidates": {"instances": {}}}, "top_k.candidates.instances must be a list of instances"),
        (
            QUERY | {"candidates": {"instances": [{"features": [1]}]}},
            "top_k.candidates.instances: instance 0: features has 1 values, but the model has feature_dim 6",
        ),
        (QUERY | {"exclude": [2**63]}, "top_k.exclude[0] must be a whole number"),
        (QUERY | {"exclude": 2}, "top_k.exclude must be a list of whole numbers"),
    ],
)
def test_queries_that_are_refused(query: object, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        decoded(QUERY, query)
    assert caught.value.message == f"instance 1: {message}"


def test_queries_and_rows_do_not_mix() -> None:
    body = orjson.dumps({"instances": [{"top_k": QUERY}, {"features": [0] * 6}]})
    with pytest.raises(RequestError, match=r"^instance 1: has no top_k, but instance 0 has"):
        json.decode(body, 6)
    body = orjson.dumps({"instances": [{"features": [0] * 6}, {"top_k": QUERY}]})
    with pytest.raises(RequestError, match=r"^instance 1: has neither"):
        json.decode(body, 6)


def test_answers_are_bounded() -> None:
    with pytest.raises(RequestError, match=r"^instance 1: with it the request asks for more than 100000 candidates"):
        decoded(QUERY | {"k": 60_000}, QUERY | {"k": 40_001})


def test_the_work_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openfm.codecs.queries.MOST_CANDIDATES", 7)

    assert len(decoded(QUERY)) == 1
    with pytest.raises(RequestError, match=r"^instance 1: with it the request has more than 7 candidates"):
        decoded(QUERY, QUERY)
