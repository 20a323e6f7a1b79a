from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from werkzeug.test import Client

from openfm.serving.metrics import ServerMetrics
from openfm.serving.observer import ROWS_KEY, Observer, StopFlag


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/fail":
        raise ZeroDivisionError("a bug")
    environ[ROWS_KEY] = 3
    start_response("200 OK", [])
    return [b"answer"]


def observed(metrics: ServerMetrics, stopping: StopFlag) -> Client:
    return Client(Observer(application, metrics, stopping, log_requests=True))


def test_it_counts_until_the_answer_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    metrics = ServerMetrics()
    answer = observed(metrics, StopFlag()).post("/invocations")

    assert answer.data == b"answer"
    assert metrics.in_flight() == 1
    with caplog.at_level("INFO", logger="openfm.access"):
        answer.close()
    assert metrics.in_flight() == 0
    (line,) = caplog.records
    assert line.getMessage().startswith("POST '/invocations': 200 in ")
    assert vars(line)["fields"]["rows"] == 3


def test_a_failure_is_not_in_flight_for_ever() -> None:
    metrics = ServerMetrics()
    with pytest.raises(ZeroDivisionError):
        observed(metrics, StopFlag()).get("/fail")

    assert metrics.in_flight() == 0


def test_while_stopping_all_is_refused_and_nothing_waited_for() -> None:
    metrics, stopping = ServerMetrics(), StopFlag()
    stopping.set()

    answer = observed(metrics, stopping).get("/ping")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert b"stopping" in answer.data
    assert metrics.in_flight() == 0
    answer.close()
