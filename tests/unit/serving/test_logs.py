from __future__ import annotations

import json
import logging
import sys

from flask import Flask

from openfm.serving.logs import JsonFormatter, TextFormatter


def record(message: str, *arguments: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("x", logging.WARNING, "file", 1, message, arguments, None)
    vars(made).update(extra)
    return made


def test_json_has_one_line_whatever_is_in_it() -> None:
    line = JsonFormatter().format(record("two\nlines of %s", "„text“"))

    assert "\n" not in line
    entry = json.loads(line)
    assert entry["message"] == "two\nlines of „text“"
    assert entry["level"] == "WARNING"


def test_json_has_the_traceback() -> None:
    try:
        raise ZeroDivisionError("a bug")
    except ZeroDivisionError:
        line = JsonFormatter().format(record("failed", exc_info=sys.exc_info()))

    assert json.loads(line)["traceback"].splitlines()[-1] == "ZeroDivisionError: a bug"


def test_fields_that_are_not_there_are_left_out() -> None:
    entry = json.loads(JsonFormatter().format(record("m", fields={"status": 200, "inference_id": None})))

    assert entry["status"] == 200
    assert "inference_id" not in entry


def test_lines_about_a_request_have_its_inference_id() -> None:
    app = Flask("test")
    with app.test_request_context(headers={"X-Amzn-SageMaker-Inference-Id": "order 7"}):
        text = TextFormatter().format(record("m"))
        entry = json.loads(JsonFormatter().format(record("m")))

    assert text.endswith("[WARNING] m (Inference-Id 'order 7')")
    assert entry["inference_id"] == "order 7"
    assert TextFormatter().format(record("m")).endswith("[WARNING] m")
