"""Content negotiation: which codec reads a request and which one writes its answer."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header, parse_options_header

from openfm.codecs.documents import DOCUMENT_ENCODERS
from openfm.codecs.registry import DECODERS, ENCODERS, Decoder
from openfm.data.records import is_recordio
from openfm.errors import NotAcceptableError, UnsupportedContentTypeError
from openfm.serving.predictor import AMAZONS_THRESHOLD, Threshold
from openfm.serving.settings import parse_threshold

__all__ = ["AnswerForm", "choose_answer_form", "choose_decoder"]

_MOST_PAIRS = 1000


def choose_decoder(content_type: str, body: bytes | bytearray) -> Decoder:
    """The decoder of a request.

    Args:
        content_type: in lower case and without parameters, or empty for ``application/json``. The
            SDK's plain predictor says ``application/octet-stream`` of whatever it sends; records
            are known by their first bytes then.
        body: the request's body.

    Raises:
        UnsupportedContentTypeError: There is none; the sentence is that of Amazon's own containers.
    """
    if content_type == "application/octet-stream" and is_recordio(body):
        content_type = "application/x-recordio-protobuf"
    decoder = DECODERS.get(content_type or "application/json")
    if decoder is None:
        raise UnsupportedContentTypeError(f"content-type {content_type} not supported")
    return decoder


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """What a client wants its answer to be.

    Attributes:
        content_type: one of those that are written.
        verbose: whether each prediction is to be explained (``verbose=true``).
        pairs: how many pairs of features an explanation lists at most (``pairs=20``).
        threshold: from which score on label 1 is predicted (``threshold=0.3``, ``threshold=stored``).
    """

    content_type: str
    verbose: bool = False
    pairs: int = 100
    threshold: Threshold = AMAZONS_THRESHOLD


@functools.lru_cache(maxsize=128)  # a client says the same each time
def choose_answer_form(accept: str | None, default: str, threshold: Threshold = AMAZONS_THRESHOLD) -> AnswerForm:
    """The best form for an answer, by the client's preferences (RFC 9110, section 12.5.1).

    Args:
        accept: the request's ``Accept`` header, if it has one. Parameters of its types that are not known are ignored.
        default: the type where the client does not care.
        threshold: the threshold where the client names none.

    Raises:
        NotAcceptableError: The client takes none of the types that there are, or asks for something of its type that
            it cannot have.
    """
    preferences = parse_accept_header(accept)
    if not preferences:
        return AnswerForm(default, threshold=threshold)
    parsed = [(parse_options_header(item), q) for item, q in preferences]
    wanted = MIMEAccept([(name, q) for (name, _), q in parsed])
    offered = [default, *(name for name in ENCODERS if name != default)]
    answer_type = wanted.best_match(offered)
    if answer_type is None:
        raise NotAcceptableError(f"accept {(accept or '')[:100]} not supported; ask for {', '.join(ENCODERS)}")
    # The most preferred of the types that this one is: a client need not say a parameter twice.
    matching = [(q, options) for (name, options), q in parsed if MIMEAccept([(name, 1)]).quality(answer_type)]
    options = max(matching, key=lambda match: match[0])[1]
    return AnswerForm(
        answer_type,
        verbose=_verbose(options.get("verbose", "false"), answer_type),
        pairs=_pairs(options.get("pairs", "100")),
        threshold=threshold if "threshold" not in options else _threshold(options["threshold"]),
    )


def _verbose(text: str, answer_type: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise NotAcceptableError(f"accept has verbose={text[:40]}; it must be true or false")
    verbose = text.lower() == "true"
    if verbose and answer_type not in DOCUMENT_ENCODERS:
        raise NotAcceptableError(
            f"{answer_type} has no room for explanations: ask for one of {', '.join(DOCUMENT_ENCODERS)}, or leave "
            "verbose=true out"
        )
    return verbose


def _pairs(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and int(text) <= _MOST_PAIRS):
        raise NotAcceptableError(f"accept has pairs={text[:40]}; it must be a whole number from 0 to {_MOST_PAIRS}")
    return int(text)


def _threshold(text: str) -> Threshold:
    try:
        return parse_threshold(text)
    except ValueError as error:
        raise NotAcceptableError(f"accept has threshold={text[:40]}; it must be {error}") from None
