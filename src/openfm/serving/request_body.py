"""The body of the current request."""

from __future__ import annotations

import socket
from typing import IO, Any

from flask import request
from gunicorn.http.body import LengthReader  # type: ignore[import-untyped]
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]
from werkzeug.exceptions import ClientDisconnected
from werkzeug.sansio.utils import get_content_length

from openfm.codecs.requests import Body
from openfm.errors import PayloadTooLargeError, RequestError

__all__ = ["read_body"]

_BLOCK = 2**20

# From here on a copy of the body costs more than the system calls that it takes to have none.
_LARGE = 2**14

# How much of a body over the limit is read all the same: a client that still sends when the answer
# comes sees a broken connection and not the answer.
_DISCARDED = 2**27


def read_body(limit: int | None) -> Body:
    """The current request's body of at most ``limit`` bytes, be its length announced or be it chunked.

    It is in memory once. Flask's own ``MAX_CONTENT_LENGTH`` would cut a longer chunked body off at the limit and pass
    on what it has (seen with Werkzeug 3.1), so that the last instances would go unanswered.

    Raises:
        PayloadTooLargeError: the body is longer than ``limit``.
        RequestError: it ends early.
    """
    environ = request.environ
    length = get_content_length(environ.get("CONTENT_LENGTH"), environ.get("HTTP_TRANSFER_ENCODING")) or 0
    try:
        if 0 < length <= _BLOCK and (limit is None or length <= limit):
            body = _read_at_once(environ["wsgi.input"], length, environ.get("gunicorn.socket"))
            size = len(body)
        else:
            body, size = _read_blocks(request.stream, limit)
    except (OSError, ParseException, ClientDisconnected) as error:
        raise RequestError("the request's body is cut short or its chunks are malformed") from error
    if limit is not None and size > limit:
        raise PayloadTooLargeError(
            f"the request's body is larger than {limit} bytes; send fewer instances at once, or "
            "set MAX_CONTENT_LENGTH (bytes) or SAGEMAKER_MAX_PAYLOAD_IN_MB (MiB) for the server"
        )
    if size < length:
        raise RequestError(f"the request's body is cut short at {size} of {length} bytes")
    return body


def _read_at_once(stream: Any, length: int, connection: socket.socket | None) -> Body:
    """A body whose length is known; less of it if it ends early.

    Gunicorn copies what it reads twice, piece by piece as it comes, and for each piece this thread waits for its turn
    among Python's threads again. A large body is read straight into its place instead, most often by one system call.
    """
    reader = getattr(stream, "reader", None)
    # A connection with TLS is of another class.
    if length < _LARGE or type(connection) is not socket.socket or not isinstance(reader, LengthReader):
        return stream.read(length)  # type: ignore[no-any-return]
    begin = reader.unreader.take_buffered()  # what came along with the head
    if len(begin) >= length:
        reader.unreader.unread(begin)
        return stream.read(length)  # type: ignore[no-any-return]
    reader.length = 0
    stream.failed = True  # so that the connection is closed, unless all of the body comes
    body = bytearray(length)
    body[: len(begin)] = begin
    size = len(begin)
    with memoryview(body) as view:
        while size < length and (count := connection.recv_into(view[size:], 0, socket.MSG_WAITALL)):
            size += count
    stream.failed = size < length
    del body[size:]
    return body


def _read_blocks(stream: IO[bytes], limit: int | None) -> tuple[Body, int]:
    """A body, and how long it is; not all of what is too long."""
    blocks = bytearray()
    size = 0
    while block := stream.read(_BLOCK):
        size += len(block)
        if limit is None or size <= limit:
            blocks += block
        elif size > limit + _DISCARDED:
            break
    return blocks, size
