"""Content negotiation: which codec reads a request and which one writes its answer."""

from __future__ import annotations

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header, parse_options_header

from openfm.codecs.registry import DECODERS, ENCODERS, Decoder
from openfm.data.records import is_recordio
from openfm.errors import NotAcceptableError, UnsupportedContentTypeError

__all__ = ["choose_answer_type", "choose_decoder"]


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


def choose_answer_type(accept: str | None, default: str) -> str:
    """The best type for an answer, by the client's preferences (RFC 9110, section 12.5.1).

    Args:
        accept: the request's ``Accept`` header, if it has one. Parameters of its types other than
            ``q`` are ignored.
        default: the type where the client does not care.

    Raises:
        NotAcceptableError: The client takes none of the types that there are.
    """
    preferences = parse_accept_header(accept)
    if not preferences:
        return default
    wanted = MIMEAccept([(parse_options_header(item)[0], q) for item, q in preferences])
    offered = [default, *(name for name in ENCODERS if name != default)]
    answer_type = wanted.best_match(offered)
    if answer_type is None:
        raise NotAcceptableError(f"accept {(accept or '')[:100]} not supported; ask for {', '.join(ENCODERS)}")
    return answer_type
