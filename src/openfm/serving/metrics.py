"""What ``GET /metrics`` tells, in Prometheus' format: the sums over all worker processes.

prometheus_client's own way to add up processes keeps files for each of them in a folder. Here the numbers are in shared
memory, which needs no folder that can be written to and leaves nothing behind; prometheus_client writes them out.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from flask import Blueprint, Response, request

from openfm.serving.shared_table import SharedTable

if TYPE_CHECKING:  # imported when somebody asks, since a server that nobody scrapes should start fast
    from prometheus_client.metrics_core import Metric

__all__ = ["ServerMetrics", "metrics_blueprint", "route_of"]

ROUTES = (
    "/ping",
    "/invocations",
    "/endpoints/{name}/invocations",
    "/execution-parameters",
    "/metrics",
    "/models",
    "/models/{name}",
    "/models/{name}/invoke",
    "other",
)

STATUSES = (200, 204, 400, 404, 405, 406, 409, 413, 415, 424, 500, 503, 507)
"""Others, such as 505, are counted as their class, 500."""

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, float("inf"))
"""Upper bounds of the latency histogram in seconds."""

# Columns of the table: four numbers, then for each route its statuses, its buckets and its sum of seconds.
_IN_FLIGHT, _ROWS, _REFUSED_BUSY, _REFUSED_STOPPING = range(4)
_ROUTE_START = 4
_ROUTE_COLUMNS = len(STATUSES) + len(BUCKETS) + 1
_COLUMNS = _ROUTE_START + len(ROUTES) * _ROUTE_COLUMNS

_STATUS_COLUMN = {status: number for number, status in enumerate(STATUSES)}
_ROUTE_NUMBER = {route: number for number, route in enumerate(ROUTES)}


def route_of(path: str) -> str:
    """The one of :data:`ROUTES` that a path belongs to; names in paths would make series without end."""
    if path in _ROUTE_NUMBER:
        return path
    if path.startswith("/models/"):
        return "/models/{name}/invoke" if path.endswith("/invoke") else "/models/{name}"
    if path.startswith("/endpoints/") and path.endswith("/invocations"):
        return "/endpoints/{name}/invocations"
    return "other"


class ServerMetrics:
    """Counts requests, for all processes of a server together.

    Args:
        processes: how many processes may count at the same time.
    """

    def __init__(self, processes: int = 1) -> None:
        self.table = SharedTable(processes, _COLUMNS)
        self._information: dict[str, str | Callable[[], str]] = {}
        self._unseen: SharedTable | None = None
        self._unseen_columns: dict[str, int] = {}

    def watch_columns(self, columns: Sequence[str]) -> None:
        """Count unseen values of these columns one by one, and all of others together; before processes are forked."""
        self._unseen_columns = {name: number for number, name in enumerate(columns)}
        self._unseen = SharedTable(self.table.rows, len(columns) + 1)

    def use_row(self, row: int) -> None:
        """Let this process count in this row of the tables from now on."""
        self.table.use_row(row)
        if self._unseen is not None:
            self._unseen.use_row(row)

    def inform(self, **information: str | Callable[[], str]) -> None:
        """Set the labels of ``openfm_model_info``; what takes long is a function, called by whoever asks for them."""
        self._information = information

    def begin(self) -> None:
        """A request is in flight."""
        self.table.add((_IN_FLIGHT, 1))

    def record(self, route: str, status: int, seconds: float, rows: int, *, was_in_flight: bool = False) -> None:
        """Count a request whose answer has been sent, or cannot be.

        Args:
            route: one of :data:`ROUTES`.
            status: of the answer.
            seconds: that it took.
            rows: how many it had scored.
            was_in_flight: whether it was counted by :meth:`begin`, and no longer is.
        """
        start = _ROUTE_START + _ROUTE_NUMBER[route] * _ROUTE_COLUMNS
        buckets = start + len(STATUSES)
        status_column = _STATUS_COLUMN.get(status)
        if status_column is None:
            status_column = _STATUS_COLUMN.get(status // 100 * 100, _STATUS_COLUMN[500])
        self.table.add(
            (_IN_FLIGHT, -1 if was_in_flight else 0),
            (_ROWS, rows),
            (start + status_column, 1),
            (buckets + bisect.bisect_left(BUCKETS, seconds), 1),
            (buckets + len(BUCKETS), seconds),
        )

    def count_unseen(self, values: Mapping[str, int]) -> None:
        """Add how many values of each column were such as the encoder does not know."""
        if self._unseen is not None:
            others = len(self._unseen_columns)
            self._unseen.add(*((self._unseen_columns.get(name, others), count) for name, count in values.items()))

    def refuse_busy(self) -> None:
        """A request was turned away because too many wait."""
        self.table.add((_REFUSED_BUSY, 1))

    def refuse_stopping(self) -> None:
        """A request was turned away because the server stops."""
        self.table.add((_REFUSED_STOPPING, 1))

    def in_flight(self) -> int:
        """How many requests are between :meth:`begin` and :meth:`record`."""
        return int(self.table.total(_IN_FLIGHT))

    def forget_process(self, row: int) -> None:
        """The process of this row has ended, and what it had in flight with it."""
        self.table.clear(row, _IN_FLIGHT)

    def collect(self) -> Iterator[Metric]:
        """The metrics, as prometheus_client's registries ask for them."""
        from prometheus_client.metrics_core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
            InfoMetricFamily,
        )

        total = self.table.total
        information = {name: value if isinstance(value, str) else value() for name, value in self._information.items()}
        yield InfoMetricFamily("openfm_model", "The server and the model that it serves.", information)
        yield GaugeMetricFamily("openfm_requests_in_flight", "Requests being answered now.", self.in_flight())
        yield CounterMetricFamily("openfm_rows_scored", "Instances scored.", total(_ROWS))
        refused = CounterMetricFamily("openfm_requests_refused", "Requests answered by 503.", labels=["reason"])
        refused.add_metric(["busy"], total(_REFUSED_BUSY))
        refused.add_metric(["stopping"], total(_REFUSED_STOPPING))
        yield refused

        if self._unseen is not None:
            unseen = CounterMetricFamily(
                "openfm_unseen_values", "Raw values that the model's encoder does not know.", labels=["column"]
            )
            others = self._unseen.total(len(self._unseen_columns))
            for name, number in self._unseen_columns.items():
                unseen.add_metric([name], self._unseen.total(number))
            if others or not self._unseen_columns:
                unseen.add_metric([""], others)
            yield unseen

        requests = CounterMetricFamily("openfm_requests", "Requests answered.", labels=["route", "status"])
        seconds = HistogramMetricFamily(
            "openfm_request_duration_seconds", "From a request's head to the end of its answer.", labels=["route"]
        )
        for number, route in enumerate(ROUTES):
            start = _ROUTE_START + number * _ROUTE_COLUMNS
            counts = {status: total(start + column) for status, column in _STATUS_COLUMN.items()}
            for status, count in counts.items():
                if count or (route, status) == ("/invocations", 200):
                    requests.add_metric([route, str(status)], count)
            if any(counts.values()):
                buckets = start + len(STATUSES)
                seconds.add_metric([route], self._cumulative_buckets(buckets), sum_value=total(buckets + len(BUCKETS)))
        yield requests
        yield seconds

    def _cumulative_buckets(self, start: int) -> list[tuple[str, float]]:
        pairs = []
        count = 0.0
        for number, bound in enumerate(BUCKETS):
            count += self.table.total(start + number)
            pairs.append((str(bound) if math.isfinite(bound) else "+Inf", count))
        return pairs


def metrics_blueprint(metrics: ServerMetrics) -> Blueprint:
    """``GET /metrics``, as Prometheus' text or as OpenMetrics, whichever the scraper prefers."""
    blueprint = Blueprint("metrics", __name__)

    @blueprint.get("/metrics")
    def exposition() -> Response:
        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import choose_encoder

        registry = CollectorRegistry()
        registry.register(metrics)
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return Response(encode(registry), content_type=content_type)

    return blueprint
