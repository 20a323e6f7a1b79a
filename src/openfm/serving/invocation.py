"""One invocation: the request's body and headers to a predictor's answer."""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager, nullcontext
from typing import IO

from flask import Response, request
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]
from werkzeug.exceptions import ClientDisconnected
from werkzeug.http import parse_options_header
from werkzeug.sansio.utils import get_content_length

from openfm.codecs.registry import PLAIN_TYPES
from openfm.codecs.requests import Body
from openfm.errors import PayloadTooLargeError, RequestError
from openfm.serving.bodies import answer_body
from openfm.serving.negotiation import AnswerForm, choose_answer_form, choose_decoder
from openfm.serving.observer import ROWS_KEY, UNSEEN_KEY
from openfm.serving.predictor import Predictor
from openfm.serving.settings import ServingSettings

__all__ = ["answer_invocation", "read_body"]

_DEFAULT_TYPE = "application/json"
_NO_TURN: AbstractContextManager[None] = nullcontext()

_BLOCK = 2**20

# How much of a body over the limit is read all the same: a client that still sends when the answer
# comes sees a broken connection and not the answer.
_DISCARDED = 2**27


def answer_invocation(
    body: Body, predictor: Predictor, settings: ServingSettings, turn: AbstractContextManager[None] = _NO_TURN
) -> Response:
    """Score the current request's instances.

    Args:
        body: what :func:`read_body` read; an empty one is answered by 204.
        predictor: the model.
        settings: the default type of answers, and the threshold.
        turn: entered around what may take longer than to wait for it.

    Raises:
        RequestError: the request cannot be answered; one of its subclasses where a header is the reason.
    """
    if not body:
        return Response(status=204, mimetype="text/plain")
    # What a request object would wrap is read from the environment itself: that is a tenth of a small request's time.
    environ = request.environ
    content_type = _mime_type(environ.get("CONTENT_TYPE", ""))
    decode = choose_decoder(content_type, body)
    form = choose_answer_form(environ.get("HTTP_ACCEPT"), settings.default_answer_type, settings.threshold)
    quick = predictor.is_quick(body)
    answer = _answer_plain(body, content_type, predictor, form) if quick else None
    if answer is None:
        with turn:
            if not quick:
                answer = _answer_plain(body, content_type, predictor, form)
            if answer is None:
                instances = decode(body, predictor.feature_dim, predictor.encoder)
                answer = answer_body(instances, predictor, form), len(instances)
                if instances.unseen:
                    environ[UNSEEN_KEY] = instances.unseen
    content, environ[ROWS_KEY] = answer
    return Response(content, content_type=form.content_type)


def _answer_plain(body: Body, content_type: str, predictor: Predictor, form: AnswerForm) -> tuple[bytes, int] | None:
    lines, answer_lines = PLAIN_TYPES.get(content_type or _DEFAULT_TYPE), PLAIN_TYPES.get(form.content_type)
    if lines is None or answer_lines is None or form.verbose:
        return None
    return predictor.answer_plain(body, form.threshold, lines=lines, answer_lines=answer_lines)


@functools.lru_cache(maxsize=128)
def _mime_type(content_type: str) -> str:
    """In lower case, without parameters."""
    return parse_options_header(content_type)[0].lower()


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
            body: Body = environ["wsgi.input"].read(length)  # at once, and without a copy
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
