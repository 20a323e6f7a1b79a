from __future__ import annotations

import json
import time

import numpy as np
import pytest

from openfm.codecs import jsonlines as codec
from openfm.codecs.predictions import Predictions


def test_classifier_answer_is_one_object_per_line() -> None:
    predictions = Predictions(
        np.array([0.5895045399665833, 0.25], dtype=np.float32), np.array([1, 0], dtype=np.float32)
    )

    assert codec.encode(predictions) == (
        b'{"score":0.5895045399665833,"predicted_label":1.0}\n{"score":0.25,"predicted_label":0.0}\n'
    )


def test_regressor_answer_has_no_label() -> None:
    assert codec.encode(Predictions(np.array([2], dtype=np.float32))) == b'{"score":2.0}\n'


def test_answer_to_no_lines_is_empty() -> None:
    assert codec.encode(Predictions(np.empty(0, dtype=np.float32))) == b""


@pytest.mark.parametrize("blank", [b"\n", b"\r\n", b" \n", b"\t\x0b\x0c\n"])
@pytest.mark.parametrize("last", [b"", b"\n", b" "])
def test_blank_lines_are_skipped(blank: bytes, last: bytes) -> None:
    line = b'{"features": [1]}'
    body = blank * 3 + line + b"\n" + blank * 3 + b"  " + line + b" \r\n" + line + last

    assert codec.decode(body, 1).rows.values.tolist() == [1, 1, 1]
    assert codec.decode(bytearray(body), 1).rows.values.tolist() == [1, 1, 1]


def test_millions_of_blank_lines_take_no_time() -> None:
    start = time.perf_counter()
    assert len(codec.decode(b"\n" * 6_000_000, 1).rows) == 0
    assert time.perf_counter() - start < 30


def test_many_lines_keep_their_order() -> None:
    body = b"".join(
        json.dumps({"data": {"features": {"keys": [number], "values": [number + 1]}}}).encode() + b"\n"
        for number in range(500)
    )
    rows = codec.decode(body, 500).rows

    np.testing.assert_array_equal(rows.to_scipy().toarray(), np.diag(np.arange(1.0, 501.0)))
