from __future__ import annotations

import pytest

from openfm.codecs import json, jsonlines, recordio_protobuf
from openfm.errors import NotAcceptableError, UnsupportedContentTypeError
from openfm.serving.negotiation import AnswerForm, choose_answer_form, choose_decoder

JSON = "application/json"
LINES = "application/jsonlines"
RECORDS = "application/x-recordio-protobuf"


@pytest.mark.parametrize(
    ("accept", "answer_type"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (LINES, LINES),
        (RECORDS, RECORDS),
        ("Application/JSON", JSON),
        ("application/jsonlines; verbose=true", LINES),
        ("application/json; charset=utf-8", JSON),
        ("text/html, application/jsonlines;q=0.9, */*;q=0.8", LINES),
        ("application/json;q=0.2, application/jsonlines;q=0.7", LINES),
        ("application/json;q=0, */*", LINES),
        ("application/x-recordio-protobuf, application/json", JSON),
        ("application/json;q=7", JSON),
    ],
)
def test_answer_type(accept: str | None, answer_type: str) -> None:
    assert choose_answer_form(accept, JSON).content_type == answer_type


@pytest.mark.parametrize("accept", [None, "*/*", "application/*", "application/json, */*;q=1"])
def test_default_answer_type(accept: str | None) -> None:
    expected = JSON if accept and accept.startswith(JSON) else LINES
    assert choose_answer_form(accept, LINES).content_type == expected


@pytest.mark.parametrize("accept", ["text/csv", "garbage", "*/*;q=0", "text/*, image/png"])
def test_unacceptable(accept: str) -> None:
    with pytest.raises(NotAcceptableError) as caught:
        choose_answer_form(accept, JSON)
    assert caught.value.message == f"accept {accept} not supported; ask for {JSON}, {LINES}, {RECORDS}"


def test_decoders() -> None:
    assert choose_decoder("", b"{}") is json.decode
    assert choose_decoder(JSON, b"{}") is json.decode
    assert choose_decoder(LINES, b"{}") is jsonlines.decode
    assert choose_decoder(RECORDS, b"{}") is recordio_protobuf.decode


def test_octet_stream_is_known_by_the_magic_number() -> None:
    magic = b"\x0a\x23\xd7\xce"
    assert choose_decoder("application/octet-stream", magic + bytes(4)) is recordio_protobuf.decode
    with pytest.raises(UnsupportedContentTypeError, match="application/octet-stream not supported"):
        choose_decoder("application/octet-stream", b'{"instances": []}')


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, AnswerForm(JSON)),
        ("application/jsonlines; verbose=true", AnswerForm(LINES, verbose=True)),
        ("application/jsonlines;verbose=True;pairs=7", AnswerForm(LINES, verbose=True, pairs=7)),
        ("application/json; threshold=stored", AnswerForm(JSON, threshold="stored")),
        ("application/json; q=0.5; verbose=true, application/jsonlines; q=0.2", AnswerForm(JSON, verbose=True)),
        ("text/html; verbose=true, application/json", AnswerForm(JSON)),
        ("*/*; verbose=true", AnswerForm(JSON, verbose=True)),
    ],
)
def test_parameters(accept: str | None, form: AnswerForm) -> None:
    assert choose_answer_form(accept, JSON) == form
