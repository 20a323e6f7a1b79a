"""The Flask application: a thin layer of HTTP over a predictor."""

from __future__ import annotations

import logging

from flask import Flask, Response, request
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]
from werkzeug.exceptions import (
    ClientDisconnected,
    HTTPException,
    MethodNotAllowed,
)

from openfm.codecs.registry import ENCODERS
from openfm.errors import OpenFMError, PayloadTooLargeError, RequestError
from openfm.serving.negotiation import choose_answer_type, choose_decoder
from openfm.serving.predictor import Predictor
from openfm.serving.settings import ServingSettings

__all__ = ["create_app"]

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"

_BLOCK = 2**20

# How much of a body over the limit is read all the same: a client that still sends when the answer
# comes sees a broken connection and not the answer.
_DISCARDED = 2**27

logger = logging.getLogger(__name__)


def create_app(predictor: Predictor, settings: ServingSettings) -> Flask:
    """Make the application: ``GET /ping`` and ``POST /invocations``.

    Every error is answered by one sentence of plain text, since SageMaker shows it to the caller as
    it is.

    Args:
        predictor: scores the requests' rows.
        settings: limits and defaults.
    """
    app = Flask(__name__, static_folder=None)

    @app.get("/ping")
    def ping() -> Response:
        # The model is loaded before the server listens, so a server that answers is healthy.
        return Response(mimetype="text/plain")

    @app.post("/invocations")
    def invocations() -> Response:
        body = _read_body(settings.max_body_bytes)
        if not body:
            return Response(status=204, mimetype="text/plain")
        decode = choose_decoder(request.mimetype, body)
        answer_type = choose_answer_type(request.headers.get("Accept"), settings.default_answer_type)
        predictions = predictor.predict(decode(body, predictor.feature_dim))
        return Response(ENCODERS[answer_type](predictions), content_type=answer_type)

    @app.after_request
    def echo_custom_attributes(response: Response) -> Response:
        attributes = request.headers.get(CUSTOM_ATTRIBUTES)
        if attributes is not None:
            response.headers[CUSTOM_ATTRIBUTES] = attributes
        return response

    app.register_error_handler(OpenFMError, _answer_error)
    app.register_error_handler(HTTPException, _answer_http_error)
    app.register_error_handler(Exception, _answer_unexpected)
    return app


def _read_body(limit: int | None) -> bytes:
    """The request's body of at most ``limit`` bytes, be its length announced or be it chunked.

    Flask's own ``MAX_CONTENT_LENGTH`` would cut a longer chunked body off at the limit and pass on
    what it has (seen with Werkzeug 3.1), so that the last instances would go unanswered.
    """
    blocks: list[bytes] = []
    size = 0
    try:
        while block := request.stream.read(_BLOCK):
            size += len(block)
            if limit is None or size <= limit:
                blocks.append(block)
            elif size > limit + _DISCARDED:
                break
    except (OSError, ParseException, ClientDisconnected) as error:
        raise RequestError("the request's body is cut short or its chunks are malformed") from error
    if limit is not None and size > limit:
        raise PayloadTooLargeError(
            f"the request's body is larger than {limit} bytes; send fewer instances at once, or "
            "set MAX_CONTENT_LENGTH (bytes) or SAGEMAKER_MAX_PAYLOAD_IN_MB (MiB) for the server"
        )
    if size < (request.content_length or 0):
        raise RequestError(f"the request's body is cut short at {size} of {request.content_length} bytes")
    return b"".join(blocks)


def _answer_error(error: OpenFMError) -> Response:
    if error.http_status >= 500:
        return _answer_unexpected(error)
    return _plain_text(error.message, error.http_status)


def _answer_http_error(error: HTTPException) -> Response:
    """What Flask itself refuses: other paths and methods, a client that went away."""
    if error.code in (404, 405):
        sentence = "this server answers GET /ping and POST /invocations, and nothing else"
    else:
        sentence = error.description or error.name
    answer = _plain_text(sentence, error.code or 500)
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        answer.allow.update(error.valid_methods)
    return answer


def _answer_unexpected(error: Exception) -> Response:
    logger.error("%s %r failed", request.method, request.path, exc_info=error)
    return Response("Internal Server Error", status=500, mimetype="text/plain")


def _plain_text(sentence: str, status: int) -> Response:
    logger.warning("%s %r: %d %s", request.method, request.path, status, sentence)
    return Response(sentence, status=status, mimetype="text/plain")
