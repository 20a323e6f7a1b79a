"""``application/json``: ``{"instances": [...]}`` in, ``{"predictions": [...]}`` out."""

from __future__ import annotations

from openfm.codecs.parsing import parse_json
from openfm.codecs.plain import decode_plain
from openfm.codecs.predictions import Predictions
from openfm.codecs.queries import decode_any
from openfm.codecs.requests import Body, RankingRequest, Request
from openfm.encoding import ColumnEncoder
from openfm.errors import RequestError
from openfm.native import _core

__all__ = ["CONTENT_TYPE", "decode", "encode"]

CONTENT_TYPE = "application/json"


def decode(body: Body, feature_dim: int, encoder: ColumnEncoder | None = None) -> Request | RankingRequest:
    """Read a request: an object whose ``instances`` is a list of instances in any of the forms, of raw values, or of
    queries.

    Raises:
        RequestError: The body is not such an object, or an instance cannot be scored.
    """
    rows = decode_plain(body, feature_dim)
    return _decode_document(body, feature_dim, encoder) if rows is None else Request(rows)


def encode(predictions: Predictions) -> bytes:
    """Write ``{"predictions": [{"score": 0.58, "predicted_label": 1.0}, ...]}``.

    Amazon's order and types: the score first; both floats; the float32 score widened to a double as it is, so that it
    prints as 0.5895045399665833 and not as 0.58950454.
    """
    return _core.encode_predictions(predictions.scores, predictions.predicted_labels, lines=False)


def _decode_document(body: Body, feature_dim: int, encoder: ColumnEncoder | None) -> Request | RankingRequest:
    document = parse_json(body, "the body")
    instances = document.get("instances") if isinstance(document, dict) else None
    if not isinstance(instances, list):
        raise RequestError(
            'the body must be an object with a list "instances", such as {"instances": [{"features": [0.5, 1.0]}]}'
        )
    return decode_any(instances, feature_dim, encoder)
