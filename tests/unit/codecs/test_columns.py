"""Requests with raw values: {"columns": {...}}, and rankings by ids."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
import orjson
import pytest

from openfm.codecs import columns as column_codec
from openfm.codecs import json, jsonlines, recordio_protobuf
from openfm.codecs.columns import decode_columns
from openfm.codecs.requests import RankingRequest, Request
from openfm.encoding import ColumnEncoder
from openfm.errors import RequestError
from support.tables import RATINGS, block_of, categories

ENCODER = ColumnEncoder.fit([block_of(RATINGS)], target="rating")
WITH_IGNORED = ColumnEncoder.fit([block_of(RATINGS)], target="rating", ignored=["item"])
USER_AND_ITEM = {"user": "u1", "item": "i8"}
QUERY = {"k": 2, "fixed": {"columns": {"user": "u1"}}, "candidates": {"column": "item"}}


def decode(*instances: Any, encoder: ColumnEncoder | None = ENCODER, lines: bool = False) -> Request | RankingRequest:
    if lines:
        return jsonlines.decode(b"\n".join(map(orjson.dumps, instances)), 6, encoder)
    return json.decode(orjson.dumps({"instances": instances}), 6, encoder)


def rows(*columns: dict[str, Any], **options: Any) -> Any:
    request = decode(*({"columns": values} for values in columns), **options)
    assert isinstance(request, Request)
    return request.rows.to_scipy().toarray()


@pytest.mark.parametrize("lines", [False, True])
def test_rows_are_those_of_the_table(lines: bool) -> None:
    columns = [{name: values[i] for name, values in RATINGS.items()} for i in range(4)]
    expected = ENCODER.encode(block_of(RATINGS)).rows.to_scipy().toarray()
    np.testing.assert_array_equal(rows(*columns, lines=lines), expected)


def test_what_is_left_out_is_missing() -> None:
    np.testing.assert_array_equal(rows({}, {"user": None, "price": None}), np.zeros((2, 6)))
    assert rows(USER_AND_ITEM).tolist() == [[1, 0, 0, 0, 1, 0]]


def test_an_empty_text_is_missing_as_an_empty_field_of_csv_is() -> None:
    encoder = ColumnEncoder.fit([block_of({"user": ["u1", "u2"], "agent": ["a", "b"]})], hashed={"agent": 4})
    request = decode({"columns": {"user": "", "agent": ""}}, encoder=encoder)
    assert (request.rows.nnz, request.unseen) == (0, {})


def test_unseen_values_are_counted() -> None:
    request = decode({"columns": {"user": "new", "item": "i7"}}, {"columns": {"user": "u"}})
    assert request.unseen == {"user": 2}
    assert decode({"columns": USER_AND_ITEM}).unseen == {}


def test_whole_numbers_are_ids_and_booleans_are_numbers() -> None:
    encoder = ColumnEncoder.fit([block_of({"id": ["7", "8"], "flag": [-1.0, 1.0]})])
    assert rows({"id": 8, "flag": True}, {"id": "8", "flag": 1}, encoder=encoder).tolist() == [[0, 1, 1], [0, 1, 1]]


def test_a_text_that_utf8_cannot_hold_is_unseen() -> None:
    # Only where a number is none JSON is read by the parser that lets such text pass.
    request = json.decode(b'{"instances": [{"columns": {"user": "\\ud800"}, "other": NaN}]}', 6, ENCODER)
    assert request.unseen == {"user": 1}


def test_columns_that_training_ignored_may_be_there() -> None:
    assert rows({"user": "u1", "item": [], "rating": "?"}, encoder=WITH_IGNORED).tolist() == [[1, 0, 0]]


@pytest.mark.parametrize(
    ("instances", "message"),
    [
        ([{"columns": []}], 'instance 0: columns must be an object such as {"user": "u42", "price": 3.5}'),
        ([{"columns": {}}, {"columns": {"usr": "u1"}}], "instance 1: columns has 'usr', which the model does not know"),
        ([{"columns": {"usr": "u1"}}], "it knows 'user', 'item', 'price'"),
        ([{"columns": {"user": 1.5}}], "instance 0: columns.user must be text, or a whole number, but is 1.5"),
        ([{"columns": {"user": True}}], "columns.user must be text, or a whole number, but is true"),
        ([{"columns": {"user": ["u1"]}}], "columns.user must be text, or a whole number, but is a list"),
        ([{"columns": {"price": "1"}}], "instance 0: columns.price must be a number, but is '1'"),
        ([{"columns": {"price": {}}}], "columns.price must be a number, but is an object"),
        ([{"columns": {}}, {"columns": {"price": 1e300}}], "instance 1: holds 1e+300 in column 'price', far beyond"),
        ([{"columns": {}}, {"features": [0] * 6}], 'instance 1: has no "columns", but instance 0 has'),
        ([{"columns": {}}, 3], 'instance 1: has no "columns", but instance 0 has'),
        ([{"features": [0] * 6}, {"columns": {}}], 'instance 1: has "columns", but instance 0 has not'),
        ([{"columns": {}, "features": [0] * 6}], 'instance 0: has both "features" and "columns"'),
        ([{"features": [0] * 6}, {"columns": {}, "features": [0] * 6}], 'instance 1: has "columns" beside "features"'),
        ([{"columns": {}}, {"top_k": QUERY}], 'instance 1: has no "columns"'),
        ([{"top_k": QUERY}, {"columns": {}}], "instance 1: has no top_k, but instance 0 has"),
    ],
)
def test_refused(instances: list[Any], message: str) -> None:
    with pytest.raises(RequestError, match=re.escape(message)):
        decode(*instances)
    with pytest.raises(RequestError, match=re.escape(message)):
        decode(*instances, lines=True)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_numbers_that_are_none(number: str) -> None:
    body = b'{"instances": [{"columns": {"price": %s}}]}' % number.encode()
    with pytest.raises(RequestError, match=r"instance 0: columns.price is not a finite number"):
        json.decode(body, 6, ENCODER)


def test_a_model_without_encoder() -> None:
    for instance in ({"columns": {}}, {"top_k": QUERY}, {"top_k": {**QUERY, "fixed": {"keys": [], "values": []}}}):
        with pytest.raises(RequestError, match=r"instance 0: .*the model has no encoder"):
            decode(instance, encoder=None)


def test_records_need_no_encoder() -> None:
    with pytest.raises(RequestError):
        recordio_protobuf.decode(b"no record", 6, ENCODER)


def query(**changes: Any) -> Any:
    request = decode({"top_k": QUERY | changes})
    assert isinstance(request, RankingRequest)
    return request.queries[0]


def test_candidates_of_a_column() -> None:
    found = query()
    assert (found.k, found.candidates, found.exclude, found.column) == (2, range(2, 5), None, "item")
    assert found.fixed.to_scipy().toarray().tolist() == [[1, 0, 0, 0, 0, 0]]
    assert query(exclude=["i9", "none"]).exclude.tolist() == [3]


def test_candidates_by_value() -> None:
    request = decode({"top_k": QUERY | {"candidates": {"column": "item", "values": ["i8", "none", "i7"]}}})
    assert isinstance(request, RankingRequest)
    assert request.queries[0].candidates.tolist() == [4, 2]
    assert request.unseen == {"item": 1}


def test_unseen_fixed_values_are_counted() -> None:
    request = decode({"top_k": QUERY | {"fixed": {"columns": {"user": "new"}}}}, {"top_k": QUERY})
    assert request.unseen == {"user": 1}


def test_candidates_of_several_columns() -> None:
    instances = [{"columns": {"item": "i7", "price": 1}}, {"columns": {"item": "new"}}]
    request = decode({"top_k": QUERY | {"candidates": {"instances": instances}, "exclude": [1]}})
    assert isinstance(request, RankingRequest)
    assert request.queries[0].candidates.to_scipy().shape == (2, 6)
    assert (request.queries[0].column, request.unseen) == (None, {"item": 1})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"candidates": {"column": "rating"}},
            "top_k.candidates.column: there is no column 'rating' among the features",
        ),
        ({"candidates": {"column": "price"}}, "top_k.candidates.column: 'price' has no values to rank"),
        ({"candidates": {"column": 3}}, "top_k.candidates.column must be the name of a column"),
        ({"candidates": {"column": "item", "values": "i7"}}, "top_k.candidates.values must be a list of values of"),
        ({"candidates": {"column": "item", "values": [0.5]}}, "top_k.candidates.values[0] must be text, or a whole"),
        ({"exclude": "i7"}, "top_k.exclude must be a list of values of the column 'item'"),
        ({"fixed": {"columns": {"usr": "u1"}}}, "top_k.fixed: instance 0: columns has 'usr'"),
        (
            {"candidates": {"instances": [{"columns": {}}, {"features": []}]}},
            "top_k.candidates.instances: instance 1: has no",
        ),
    ],
)
def test_queries_that_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=re.escape(f"instance 0: {message}")):
        query(**changes)


def test_ids_that_are_whole_numbers() -> None:
    block = block_of({"item": [1.0, 2.0]})
    block.columns["item"] = categories(["1", "2"])
    encoder = ColumnEncoder.fit([block], categorical=["item"])
    body = {"k": 1, "fixed": {"columns": {}}, "candidates": {"column": "item"}, "exclude": [2]}
    request = json.decode(orjson.dumps({"instances": [{"top_k": body}]}), 2, encoder)
    assert isinstance(request, RankingRequest)
    assert request.queries[0].exclude is not None
    assert request.queries[0].exclude.tolist() == [1]


def test_instances_are_encoded_in_pieces_like_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    values = [{"user": "u1"}, {}, {"price": 7}, {"item": "i9", "price": 3}, {"user": "new"}, {}, {"user": "neu"}] * 3
    whole = decode(*({"columns": each} for each in values))
    monkeypatch.setattr(column_codec, "_CELLS_AT_ONCE", 4)
    pieces = decode(*({"columns": each} for each in values))
    assert isinstance(whole, Request)
    assert isinstance(pieces, Request)
    np.testing.assert_array_equal(pieces.rows.to_scipy().toarray(), whole.rows.to_scipy().toarray())
    assert pieces.unseen == whole.unseen == {"user": 6}
    with pytest.raises(RequestError, match=r"^instance 5: holds 1e\+300 in column 'price'"):
        decode(*({"columns": {"price": 1e300 if number == 5 else 1}} for number in range(9)))


def test_short_instances_of_many_columns_take_little_memory() -> None:
    names = [f"n{number}" for number in range(100)]
    encoder = ColumnEncoder.fit([block_of({name: [0.0, 1.0] for name in names})])

    def instances() -> Iterator[object]:
        yield {"columns": dict.fromkeys(names, 3)}
        for _ in range(100_000):
            yield {"columns": {}}

    tracemalloc.start()
    try:
        request = decode_columns(instances(), encoder)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (len(request), request.rows.nnz) == (100_001, 100)
    assert peak < 50e6  # each row has 100 columns: at once they would take more than 200 MB


def test_the_rows_of_all_queries_are_encoded_at_once() -> None:
    by_instances = {"instances": [{"columns": {"item": "i9"}}, {"columns": {"item": "new"}}]}
    every = [{"top_k": QUERY}, {"top_k": QUERY | {"candidates": by_instances, "fixed": {"columns": {"user": "u2"}}}}]
    with mock.patch.object(ColumnEncoder, "encode", autospec=True, side_effect=ColumnEncoder.encode) as encode:
        request = decode(*(every * 50))
    assert encode.call_count == 1
    assert isinstance(request, RankingRequest)
    assert request.unseen == {"item": 50}
    for first, second in zip(request.queries[::2], request.queries[1::2], strict=True):
        assert first.fixed.to_scipy().toarray().tolist() == [[1, 0, 0, 0, 0, 0]]
        assert second.fixed.to_scipy().toarray().tolist() == [[0, 1, 0, 0, 0, 0]]
        assert second.candidates.to_scipy().toarray().tolist() == [[0, 0, 0, 1, 0, 0], [0] * 6]


def test_a_number_beyond_all_in_a_query_is_placed() -> None:
    far = {"instances": [{"columns": {}}, {"columns": {"price": 1e300}}]}
    with pytest.raises(RequestError, match=r"^instance 1: top_k\.candidates\.instances: instance 1: holds 1e\+300 in"):
        decode({"top_k": QUERY}, {"top_k": QUERY | {"candidates": far}}, {"top_k": QUERY})
