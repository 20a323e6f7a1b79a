from __future__ import annotations

import json
import tracemalloc

import numpy as np
import orjson
import pytest

from openfm.codecs import json as codec
from openfm.codecs.predictions import Predictions
from openfm.errors import RequestError

MAX_FLOAT32 = np.finfo(np.float32).max


def test_the_largest_float32_is_read() -> None:
    rows = codec.decode(b'{"instances": [{"features": [3.4028235e38]}]}', 1).rows

    assert rows.values.tolist() == [float(MAX_FLOAT32)]


def test_many_sparse_instances_keep_their_order() -> None:
    instances = [
        {"data": {"features": {"keys": [number, 7], "values": [1.0, number + 1.0]}}} for number in range(8, 3008)
    ]
    rows = codec.decode(json.dumps({"instances": instances}).encode(), 4000).rows

    assert len(rows) == 3000
    assert rows.indptr.tolist() == list(range(0, 6001, 2))
    assert rows.indices.tolist() == [key for number in range(8, 3008) for key in (7, number)]
    assert rows.values.tolist() == [v for number in range(8, 3008) for v in (number + 1.0, 1.0)]


def test_the_last_of_many_instances_is_named() -> None:
    instances = [{"data": {"features": {"keys": [0], "values": [1.0]}}}] * 2999
    instances.append({"data": {"features": {"keys": [1, 784], "values": [1.0, 1.0]}}})

    with pytest.raises(RequestError) as caught:
        codec.decode(json.dumps({"instances": instances}).encode(), 784)

    assert caught.value.message == ("instance 2999: data.features.keys[1] is 784, but the model has feature_dim 784")


def test_sparse_rows_of_the_widest_model() -> None:
    body = (
        b'{"instances": [{"data": {"features": {"keys": [2147483646, 0], "values": [2, 1]}}},'
        b' {"data": {"features": {"keys": [2147483646, 5], "values": [4, 3]}}}]}'
    )
    rows = codec.decode(body, 2**31 - 1).rows

    assert rows.indices.tolist() == [0, 2**31 - 2, 5, 2**31 - 2]
    assert rows.values.tolist() == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    "instance",
    [
        '{"features": [%s]}',
        '{"data": {"features": {"keys": [%s], "values": [1]}}}',
        '{"data": {"features": {"shape": %s}}}',
    ],
)
@pytest.mark.parametrize("nested", ["[" * 1000 + "]" * 1000, '{"a":' * 1000 + "1" + "}" * 1000])
def test_values_nested_as_deep_as_json_may_be(instance: str, nested: str) -> None:
    with pytest.raises(RequestError, match=r"^instance 0: .* is an? (list|object)|^the body is not valid JSON: "):
        codec.decode(f'{{"instances": [{instance % nested}]}}'.encode(), 1)


def test_nan_where_nothing_reads_it_is_ignored() -> None:
    rows = codec.decode(b'{"instances": [{"features": [1], "configuration": {"a": NaN}}]}', 1).rows

    assert rows.values.tolist() == [1.0]


def test_text_that_is_broken_after_a_nan_is_refused_as_broken() -> None:
    with pytest.raises(RequestError, match=r"^the body is not valid JSON: "):
        codec.decode(b'{"instances": [{"features": [NaN', 1)


def test_classifier_answer() -> None:
    scores = np.array([0.5895045399665833, 0.0], dtype=np.float32)
    predictions = Predictions(scores, np.array([1, 0], dtype=np.float32))

    assert codec.encode(predictions) == (
        b'{"predictions":[{"score":0.5895045399665833,"predicted_label":1.0},{"score":0.0,"predicted_label":0.0}]}'
    )


def test_regressor_answer_has_no_label() -> None:
    predictions = Predictions(np.array([3.4399240016937256, -2], dtype=np.float32))

    assert codec.encode(predictions) == (b'{"predictions":[{"score":3.4399240016937256},{"score":-2.0}]}')


@pytest.mark.parametrize("rows", [10_000, 10_001, 25_000])
def test_long_answers(rows: int) -> None:
    scores = np.linspace(0, 1, rows, dtype=np.float32)
    predictions = Predictions(scores, np.float32(scores >= 0.5))
    expected = [
        {"score": score, "predicted_label": label}
        for score, label in zip(scores.tolist(), predictions.predicted_labels.tolist(), strict=True)
    ]

    assert codec.encode(predictions) == orjson.dumps({"predictions": expected})


def test_a_long_answer_takes_little_more_memory_than_its_bytes() -> None:
    predictions = Predictions(np.random.default_rng(0).random(300_000, dtype=np.float32))
    tracemalloc.start()
    try:
        answer = codec.encode(predictions)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 2 * len(answer) + 8 * 2**20


def test_answer_to_no_instances() -> None:
    assert codec.encode(Predictions(np.empty(0, dtype=np.float32))) == b'{"predictions":[]}'


@pytest.mark.parametrize("score", [0.1, 1e-30, 1e30, 1.1754944e-38, 3.4028235e38, 16777216])
def test_scores_are_widened_without_loss(score: float) -> None:
    answer = json.loads(codec.encode(Predictions(np.array([score], dtype=np.float32))))

    assert answer["predictions"][0]["score"] == float(np.float32(score))
