"""What is answered when something is refused or fails: one sentence, and the log's line for it."""

from __future__ import annotations

import logging

from flask import Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from openfm.errors import InsufficientMemoryError, OpenFMError

__all__ = ["RETRY_AFTER_SECONDS", "describe_error", "register_error_handlers"]

RETRY_AFTER_SECONDS = 1
"""What a 503 tells its client to wait; requests take milliseconds."""

logger = logging.getLogger(__name__)


def register_error_handlers(app: Flask) -> None:
    """Answer every error with one sentence of plain text, since SageMaker shows it to the caller as it is."""
    app.register_error_handler(Exception, _answer_error)
    app.register_error_handler(HTTPException, _answer_error)


def describe_error(error: Exception) -> tuple[int, str]:
    """The status and the sentence that answer an error, which is logged. What is our own fault is not told in detail.

    Args:
        error: what a view raised.
    """
    if isinstance(error, MemoryError):
        error = InsufficientMemoryError(
            "the memory left is too small for this request: send fewer instances at once, or give the server more "
            "memory; where it has several models, unload some"
        )
    if isinstance(error, OpenFMError) and error.http_status != 500:
        status, sentence = error.http_status, error.message
    elif isinstance(error, HTTPException) and error.code != 500:
        status, sentence = error.code or 400, _http_sentence(error)
    else:
        logger.error("%s %r failed", request.method, request.path, exc_info=error)
        return 500, "Internal Server Error"
    logger.warning("%s %r: %d %s", request.method, request.path, status, sentence)
    return status, sentence


def _answer_error(error: Exception) -> Response:
    status, sentence = describe_error(error)
    answer = Response(sentence, status=status, mimetype="text/plain")
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        answer.allow.update(error.valid_methods)
    if status == 503:
        answer.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return answer


def _http_sentence(error: HTTPException) -> str:
    """What Flask itself refuses: other paths and methods, a client that went away."""
    if error.code in (404, 405):
        return f"this server answers {', '.join(_routes())}, and nothing else"
    return error.description or error.name


def _routes() -> list[str]:
    """Such as ``GET /ping``."""
    return sorted(
        f"{method} {rule.rule}"
        for rule in current_app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    )
