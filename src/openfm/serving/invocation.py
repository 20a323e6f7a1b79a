"""One invocation: the request's body and headers to a predictor's answer."""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager, nullcontext

from flask import Response, request
from werkzeug.http import parse_options_header

from openfm.codecs.registry import PLAIN_TYPES
from openfm.codecs.requests import Body
from openfm.serving.bodies import answer_body
from openfm.serving.negotiation import AnswerForm, choose_answer_form, choose_decoder
from openfm.serving.observer import ROWS_KEY, UNSEEN_KEY
from openfm.serving.predictor import Predictor
from openfm.serving.settings import ServingSettings

__all__ = ["answer_invocation"]

_DEFAULT_TYPE = "application/json"
_NO_TURN: AbstractContextManager[None] = nullcontext()


def answer_invocation(
    body: Body, predictor: Predictor, settings: ServingSettings, turn: AbstractContextManager[None] = _NO_TURN
) -> Response:
    """Score the current request's instances.

    Args:
        body: what :func:`openfm.serving.request_body.read_body` read; an empty one is answered by 204.
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
