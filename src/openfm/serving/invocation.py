"""One invocation: the request's body and headers to a predictor's answer."""

from __future__ import annotations

from flask import Response, request
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]
from werkzeug.exceptions import ClientDisconnected

from openfm.codecs.documents import DOCUMENT_ENCODERS
from openfm.codecs.registry import ENCODERS
from openfm.codecs.requests import RankingRequest, Request
from openfm.errors import NotAcceptableError, PayloadTooLargeError, RequestError
from openfm.serving.details import explained_predictions, ranked_predictions
from openfm.serving.negotiation import AnswerForm, choose_answer_form, choose_decoder
from openfm.serving.observer import ROWS_KEY
from openfm.serving.predictor import Predictor
from openfm.serving.settings import ServingSettings

__all__ = ["answer_invocation", "read_body"]

_BLOCK = 2**20

# How much of a body over the limit is read all the same: a client that still sends when the answer
# comes sees a broken connection and not the answer.
_DISCARDED = 2**27


def answer_invocation(body: bytearray, predictor: Predictor, settings: ServingSettings) -> Response:
    """Score the current request's instances.

    Args:
        body: what :func:`read_body` read; an empty one is answered by 204.
        predictor: the model.
        settings: the default type of answers, and the threshold.

    Raises:
        RequestError: the request cannot be answered; one of its subclasses where a header is the reason.
    """
    if not body:
        return Response(status=204, mimetype="text/plain")
    decode = choose_decoder(request.mimetype, body)
    form = choose_answer_form(request.headers.get("Accept"), settings.default_answer_type, settings.threshold)
    instances = decode(body, predictor.feature_dim)
    content = _content(instances, predictor, form)
    request.environ[ROWS_KEY] = len(instances)
    return Response(content, content_type=form.content_type)


def _content(instances: Request | RankingRequest, predictor: Predictor, form: AnswerForm) -> bytes:
    if isinstance(instances, RankingRequest):
        if form.content_type not in DOCUMENT_ENCODERS:
            raise NotAcceptableError(
                f"{form.content_type} has no room for rankings: ask for one of {', '.join(DOCUMENT_ENCODERS)}"
            )
        return DOCUMENT_ENCODERS[form.content_type](ranked_predictions(predictor, instances, form))
    if form.verbose:
        return DOCUMENT_ENCODERS[form.content_type](explained_predictions(predictor, instances.rows, form))
    predictions = predictor.predict(instances.rows, form.threshold)
    return ENCODERS[form.content_type](predictions.identified(instances.identities))


def read_body(limit: int | None) -> bytearray:
    """The current request's body of at most ``limit`` bytes, be its length announced or be it chunked.

    It is in memory once. Flask's own ``MAX_CONTENT_LENGTH`` would cut a longer chunked body off at the limit and pass
    on what it has (seen with Werkzeug 3.1), so that the last instances would go unanswered.

    Raises:
        PayloadTooLargeError: the body is longer than ``limit``.
        RequestError: it ends early.
    """
    body = bytearray()
    size = 0
    try:
        while block := request.stream.read(_BLOCK):
            size += len(block)
            if limit is None or size <= limit:
                body += block
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
    return body
