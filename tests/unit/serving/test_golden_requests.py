"""Every request of the golden corpus: what it decodes to, or the status and sentence of its answer.

A request lies in ``tests/golden/{valid,invalid}/requests`` with ``<name>.expected.json`` beside it.
The model has three features.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from werkzeug.http import parse_options_header

from openfm.serving.negotiation import choose_decoder

GOLDEN = Path(__file__).parents[2] / "golden"
VALID = sorted((GOLDEN / "valid" / "requests").glob("*.expected.json"))
INVALID = sorted((GOLDEN / "invalid" / "requests").glob("*.expected.json"))


def test_the_corpus_is_there() -> None:
    assert VALID
    assert INVALID


def test_every_request_has_an_expectation() -> None:
    for expectations in (VALID, INVALID):
        bodies = {path.name for path in expectations[0].parent.iterdir()} - {path.name for path in expectations}
        assert bodies == {json.loads(path.read_bytes())["request"] for path in expectations}


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.name.split(".")[0])
def test_valid_request(path: Path) -> None:
    expected = json.loads(path.read_bytes())
    body = (path.parent / expected["request"]).read_bytes()

    content_type = parse_options_header(expected["content_type"])[0].lower()
    rows = choose_decoder(content_type, body)(body, 3).rows
    wanted = np.array(expected["rows"], dtype=np.float32).reshape(-1, 3)
    np.testing.assert_array_equal(rows.to_scipy().toarray(), wanted)
    assert rows.indptr.dtype == np.int64
    assert rows.indices.dtype == np.int32
    assert rows.values.dtype == np.float32
    assert np.all(rows.values != 0)
    for start, end in zip(rows.indptr[:-1], rows.indptr[1:], strict=True):
        assert np.all(np.diff(rows.indices[start:end]) > 0)


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.name.split(".")[0])
def test_valid_request_is_answered(path: Path, client: FlaskClient) -> None:
    expected = json.loads(path.read_bytes())
    body = (path.parent / expected["request"]).read_bytes()

    response = client.post("/invocations", data=body, headers=_headers(expected))

    assert response.status_code == 200
    assert len(response.get_json()["predictions"]) == len(expected["rows"])


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.name.split(".")[0])
def test_invalid_request(path: Path, client: FlaskClient) -> None:
    expected = json.loads(path.read_bytes())
    body = (path.parent / expected["request"]).read_bytes()

    response = client.post("/invocations", data=body, headers=_headers(expected))

    assert response.status_code == expected["status"]
    assert response.mimetype == "text/plain"
    if expected.get("match") == "start":
        assert response.text.startswith(expected["sentence"])
        assert len(response.text) < 200
    else:
        assert response.text == expected["sentence"]
    assert client.get("/ping").status_code == 200


def _headers(expected: dict[str, Any]) -> dict[str, str]:
    headers = {"Content-Type": expected["content_type"], "Accept": expected.get("accept")}
    return {name: value for name, value in headers.items() if value is not None}
