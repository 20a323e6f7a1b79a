from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from flask import Flask
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from openfm.serving.metrics import ServerMetrics, metrics_blueprint, route_of
from openfm.serving.shared_table import SharedTable


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/ping", "/ping"),
        ("/invocations", "/invocations"),
        ("/models", "/models"),
        ("/models/a/b", "/models/{name}"),
        ("/models/a/invoke", "/models/{name}/invoke"),
        ("/endpoints/x/invocations", "/endpoints/{name}/invocations"),
        ("/endpoints/x", "other"),
        ("/invocations/", "other"),
        ("/other", "other"),
        ("/wp-login.php", "other"),
    ],
)
def test_routes_are_few(path: str, route: str) -> None:
    assert route_of(path) == route


def families(metrics: ServerMetrics, accept: str = "") -> dict[str, Metric]:
    app = Flask("test")
    app.register_blueprint(metrics_blueprint(metrics))
    answer = app.test_client().get("/metrics", headers={"Accept": accept})
    assert answer.status_code == 200
    parsed: Iterator[Metric] = (parse_openmetrics if "openmetrics" in accept else parse_text)(answer.text)
    return {family.name: family for family in parsed}


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0"])
def test_what_was_recorded_is_told(accept: str) -> None:
    metrics = ServerMetrics()
    metrics.inform(version="1", sha256="abc")
    metrics.begin()
    metrics.record("/invocations", 200, 0.003, 7)
    metrics.record("/invocations", 200, 0.005, 1)
    metrics.record("/invocations", 200, 100.0, 0)
    metrics.record("/ping", 418, 0.1, 0)
    metrics.refuse_busy()

    found = families(metrics, accept)

    requests = {tuple(sample.labels.values()): sample.value for sample in found["openfm_requests"].samples}
    assert requests == {("/invocations", "200"): 3, ("/ping", "400"): 1}
    buckets = {
        sample.labels["le"]: sample.value
        for sample in found["openfm_request_duration_seconds"].samples
        if sample.name.endswith("_bucket") and sample.labels["route"] == "/invocations"
    }
    assert buckets["0.0025"] == 0
    assert buckets["0.005"] == 2  # a bound is within its bucket
    assert buckets["60.0"] == 2
    assert buckets["+Inf"] == 3
    (rows,) = found["openfm_rows_scored"].samples
    assert rows.value == 8
    (in_flight,) = found["openfm_requests_in_flight"].samples
    assert in_flight.value == 1
    refused = {sample.labels["reason"]: sample.value for sample in found["openfm_requests_refused"].samples}
    assert refused == {"busy": 1, "stopping": 0}
    samples = [sample for family in found.values() for sample in family.samples]
    assert {"version": "1", "sha256": "abc"} in [sample.labels for sample in samples]


def test_processes_write_rows_of_their_own() -> None:
    table = SharedTable(rows=3, columns=2)
    table.add((0, 1), (1, 0.5))
    child = os.fork()
    if child == 0:
        table.use_row(2)
        table.add((0, 10))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

    assert [table.total(0), table.total(1)] == [11, 0.5]
    table.clear(2, 0)
    assert table.total(0) == 1


def test_a_dead_process_has_nothing_in_flight_but_keeps_its_counts() -> None:
    metrics = ServerMetrics(processes=2)
    child = os.fork()
    if child == 0:
        metrics.table.use_row(1)
        metrics.begin()
        metrics.record("/invocations", 200, 0.1, 5)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert metrics.in_flight() == 1

    metrics.forget_process(1)

    assert metrics.in_flight() == 0
    (rows,) = families(metrics)["openfm_rows_scored"].samples
    assert rows.value == 5
