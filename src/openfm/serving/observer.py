"""Around the application: counts requests, logs them if asked to, and turns them away while the server stops."""

from __future__ import annotations

import logging
import mmap
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]

from openfm.serving.answers import RETRY_AFTER_SECONDS
from openfm.serving.metrics import ServerMetrics, route_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["INFERENCE_ID", "ROWS_KEY", "UNSEEN_KEY", "Observer", "StopFlag"]

ROWS_KEY = "openfm.rows"
"""Where an application leaves, in the WSGI environment, how many rows it scored."""

UNSEEN_KEY = "openfm.unseen"
"""Likewise, how many raw values of each column are such as the model's encoder does not know."""

INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"
"""The header by which SageMaker's callers tell their requests apart."""

_BLOCK = 2**16
_DISCARDED_BYTES = 2**27
_DISCARDED_SECONDS = 1.0

_STOPPING = b"the server is stopping; send the request again"

_ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]

access_log = logging.getLogger("openfm.access")


def _discard_body(environ: WSGIEnvironment) -> None:
    """Read what a refused request still sends, within bounds.

    A client that is still sending when its answer comes and the connection closes sees a broken connection, and not
    the answer.
    """
    connection: socket.socket | None = environ.get("gunicorn.socket")
    if connection is None:
        return
    deadline = time.monotonic() + _DISCARDED_SECONDS
    left = _DISCARDED_BYTES
    connection.settimeout(_DISCARDED_SECONDS)
    try:
        while left > 0 and time.monotonic() < deadline and (block := environ["wsgi.input"].read(_BLOCK)):
            left -= len(block)
    except (OSError, ParseException):  # It is slow, gone or malformed; the answer is sent all the same.
        pass
    finally:
        connection.settimeout(None)


class StopFlag:
    """Raised once, seen by every process that was forked after it was made."""

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)

    def set(self) -> None:
        """Raise it."""
        self._byte[0] = 1

    def is_set(self) -> bool:
        """Whether it is raised."""
        return self._byte[0] == 1


class _Answer:
    """An answer's body. The server closes it when it has sent all of it, or has failed to."""

    def __init__(self, body: Iterable[bytes], end: Callable[[], None]) -> None:
        self._body = body
        self._end = end

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        """Close the application's answer, if that wants to be closed, and note the end."""
        try:
            if hasattr(self._body, "close"):
                self._body.close()
        finally:
            self._end()


class Observer:
    """WSGI middleware.

    Args:
        application: what answers the requests.
        metrics: counts them.
        stopping: once this is set, every request is answered by 503.
        log_requests: whether each request but those to ``/ping`` gets a line in the log.
    """

    def __init__(
        self, application: WSGIApplication, metrics: ServerMetrics, stopping: StopFlag, *, log_requests: bool = False
    ) -> None:
        self._application = application
        self._metrics = metrics
        self._stopping = stopping
        self._log_requests = log_requests

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        start = time.perf_counter()
        status = 500
        # What is refused does not count as in flight: the server need not wait for it.
        refused = self._stopping.is_set()

        def start_and_note(line: str, headers: list[tuple[str, str]], exc_info: _ExcInfo | None = None) -> Any:
            nonlocal status
            status = int(line[:3])
            return start_response(line, headers, exc_info)

        def end() -> None:
            self._record(environ, status, time.perf_counter() - start, was_in_flight=not refused)

        if not refused:
            self._metrics.begin()
        try:
            answer = self._refuse(start_and_note) if refused else self._application(environ, start_and_note)
            if status >= 400:
                _discard_body(environ)
        except BaseException:
            end()
            raise
        return _Answer(answer, end)

    def _refuse(self, start_response: StartResponse) -> Iterable[bytes]:
        self._metrics.refuse_stopping()
        headers = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(_STOPPING))),
            ("Retry-After", str(RETRY_AFTER_SECONDS)),
        ]
        start_response("503 Service Unavailable", headers)
        return [_STOPPING]

    def _record(self, environ: WSGIEnvironment, status: int, seconds: float, *, was_in_flight: bool) -> None:
        path = environ.get("PATH_INFO", "")
        rows = environ.get(ROWS_KEY, 0)
        if UNSEEN_KEY in environ:
            self._metrics.count_unseen(environ[UNSEEN_KEY])
        if self._log_requests and path != "/ping":
            method = environ.get("REQUEST_METHOD", "")
            fields = {
                "method": method,
                "path": path,
                "status": status,
                "duration_ms": round(1000 * seconds, 3),
                "rows": rows,
                "inference_id": environ.get("HTTP_" + INFERENCE_ID.upper().replace("-", "_")),
            }
            access_log.info("%s %r: %d in %.1f ms", method, path, status, 1000 * seconds, extra={"fields": fields})
        # Last, since a server that stops waits for what is in flight, and the line above must not be lost.
        self._metrics.record(route_of(path), status, seconds, rows, was_in_flight=was_in_flight)
