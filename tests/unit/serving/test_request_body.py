"""Bodies as they come over a connection, through gunicorn's own reader of them."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Iterator

import pytest
from flask import Flask
from gunicorn.http.body import Body as Stream
from gunicorn.http.body import LengthReader
from gunicorn.http.unreader import SocketUnreader

from openfm.errors import PayloadTooLargeError, RequestError
from openfm.serving.request_body import read_body

LARGE = random.Random(0).randbytes(300_000)
SIZES = [1, 16_383, 16_384, 16_385, 300_000]


class Arriving:
    """A request whose head has been read: ``begin`` of what follows came along with it, and ``rest`` is on its way."""

    def __init__(self, begin: bytes, rest: bytes, length: int) -> None:
        self.here, there = socket.socketpair()
        self.unreader = SocketUnreader(self.here)
        self.unreader.unread(begin)
        self.stream = Stream(LengthReader(self.unreader, length))
        self.length = length
        self._sender = threading.Thread(target=self._send, args=(there, rest))
        self._sender.start()

    @staticmethod
    def _send(there: socket.socket, rest: bytes) -> None:
        with there, contextlib.suppress(BrokenPipeError):  # the reader may have enough
            there.sendall(rest)

    def read(self, limit: int | None = None) -> bytes | bytearray:
        environ = {
            "CONTENT_LENGTH": str(self.length),
            "wsgi.input": self.stream,
            "wsgi.input_terminated": True,
            "gunicorn.socket": self.here,
        }
        with Flask("test").test_request_context("/", method="POST", environ_overrides=environ):
            return read_body(limit)

    def close(self) -> None:
        self.here.close()
        self._sender.join()


@pytest.fixture
def arriving() -> Iterator[list[Arriving]]:
    """Requests to be closed at the end."""
    requests: list[Arriving] = []
    yield requests
    for request in requests:
        request.close()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("came_along", [0, 1, 8_000, 400_000])
def test_a_body_is_read_whole(arriving: list[Arriving], size: int, came_along: int) -> None:
    body = LARGE[:size]
    arriving.append(request := Arriving(body[:came_along], body[came_along:], size))

    assert request.read() == body
    assert request.stream.read(1024) == b""
    assert not request.stream.failed


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("came_along", [0, 8_000, 400_000])
def test_the_next_request_is_left_alone(arriving: list[Arriving], size: int, came_along: int) -> None:
    sent = LARGE[:size] + b"POST /invocations HTTP/1.1"
    arriving.append(request := Arriving(sent[:came_along], sent[came_along:], size))

    assert request.read() == LARGE[:size]
    assert request.unreader.read(26) == b"POST /invocations HTTP/1.1"


@pytest.mark.parametrize("missing", [1, 290_000])
def test_a_body_that_ends_early_is_refused_and_its_connection_not_used_again(
    arriving: list[Arriving], missing: int
) -> None:
    arriving.append(request := Arriving(LARGE[:1000], LARGE[1000:-missing], len(LARGE)))

    with pytest.raises(RequestError, match=f"cut short at {len(LARGE) - missing} of {len(LARGE)} bytes"):
        request.read()
    assert request.stream.failed


def test_a_connection_that_breaks_is_told_and_not_used_again(arriving: list[Arriving]) -> None:
    arriving.append(request := Arriving(LARGE[:1000], b"", len(LARGE)))
    request.here.close()

    with pytest.raises(RequestError, match="cut short or its chunks are malformed"):
        request.read()
    assert request.stream.failed


@pytest.mark.parametrize("size", [100, 300_000])
def test_a_body_over_the_limit_is_read_and_refused(arriving: list[Arriving], size: int) -> None:
    arriving.append(request := Arriving(b"", LARGE[:size], size))

    with pytest.raises(PayloadTooLargeError):
        request.read(limit=size - 1)
    assert request.stream.read(1) == b""
