"""Clients that keep a server busy: each sends its next request as soon as it has the answer to the last one."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Load", "keep_busy", "post"]

_ADDRESS = "127.0.0.1"
_BLOCK = 2**16


def post(path: str, body: bytes, content_type: str = "application/json") -> bytes:
    """The bytes of a request."""
    headers = f"Host: localhost\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}"
    return f"POST {path} HTTP/1.1\r\n{headers}\r\n\r\n".encode() + body


@dataclass(frozen=True, slots=True)
class Load:
    """What the clients saw.

    Attributes:
        seconds: from a request's first byte to its answer's last, for each.
        wall: seconds that all of them took.
    """

    seconds: list[float]
    wall: float

    @classmethod
    def joined(cls, loads: Sequence[Load]) -> Load:
        """Several loads, one after the other."""
        return cls([seconds for load in loads for seconds in load.seconds], sum(load.wall for load in loads))

    def percentile(self, percent: float) -> float:
        """Seconds that so many per cent of the requests stayed within."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def keep_busy(port: int, request: bytes, *, clients: int, requests: int) -> Load:
    """Send ``requests`` equal requests in all from ``clients`` connections.

    A connection that the server closes, as gunicorn's sync workers do after each answer, is opened again at once.

    Raises:
        RuntimeError: an answer is not 200.
    """
    seconds: list[float] = []
    left = requests
    with selectors.DefaultSelector() as selector:
        begin = time.perf_counter()
        for _ in range(min(clients, requests)):
            _start(selector, _Client(port), request)
            left -= 1
        while selector.get_map():
            for key, events in selector.select():
                client: _Client = key.data
                if events & selectors.EVENT_WRITE:
                    if client.send():
                        selector.modify(key.fileobj, selectors.EVENT_READ, client)
                elif client.receive():
                    seconds.append(time.perf_counter() - client.begin)
                    selector.unregister(key.fileobj)
                    if left:
                        _start(selector, client, request)
                        left -= 1
                    else:
                        client.close()
        return Load(seconds, time.perf_counter() - begin)


def _start(selector: selectors.BaseSelector, client: _Client, request: bytes) -> None:
    done = client.ask(request)
    selector.register(client.connection, selectors.EVENT_READ if done else selectors.EVENT_WRITE, client)


@dataclass(slots=True)
class _Client:
    port: int
    begin: float = 0.0
    _connection: socket.socket | None = None
    _unsent: memoryview = field(default_factory=lambda: memoryview(b""))
    _answer: bytearray = field(default_factory=bytearray)
    _length: int | None = None
    _closes: bool = False

    @property
    def connection(self) -> socket.socket:
        assert self._connection is not None
        return self._connection

    def ask(self, request: bytes) -> bool:
        """Begin a request; whether all of it could be sent."""
        self.begin = time.perf_counter()
        if self._closes:
            self.close()
        if self._connection is None:
            self._connection = socket.create_connection((_ADDRESS, self.port))
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connection.setblocking(False)
        self._unsent = memoryview(request)
        self._answer.clear()
        self._length = None
        return self.send()

    def send(self) -> bool:
        """Send more of the request; whether that was all."""
        while self._unsent:
            try:
                self._unsent = self._unsent[self.connection.send(self._unsent) :]
            except BlockingIOError:
                return False
        return True

    def receive(self) -> bool:
        """Take what came of the answer; whether that was all."""
        block = self.connection.recv(_BLOCK)
        self._answer += block
        if self._length is None and (end := self._answer.find(b"\r\n\r\n")) >= 0:
            self._read_head(bytes(self._answer[:end]), end + 4)
        if not block:
            raise RuntimeError(f"the server closed the connection after {bytes(self._answer[:200])!r}")
        return self._length is not None and len(self._answer) >= self._length

    def close(self) -> None:
        self.connection.close()
        self._connection = None
        self._closes = False

    def _read_head(self, head: bytes, size: int) -> None:
        status, *lines = head.lower().split(b"\r\n")
        if b" 200 " not in status:
            raise RuntimeError(f"the server answered {bytes(self._answer[:300])!r}")
        headers = dict(line.split(b": ", 1) for line in lines)
        self._length = size + int(headers[b"content-length"])
        self._closes = headers.get(b"connection") == b"close"
