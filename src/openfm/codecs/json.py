"""``application/json``: ``{"instances": [...]}`` in, ``{"predictions": [...]}`` out."""

from __future__ import annotations

from itertools import islice

import orjson

from openfm.codecs.instances import decode_instances
from openfm.codecs.parsing import parse_json
from openfm.codecs.predictions import Predictions
from openfm.codecs.requests import Body, Request
from openfm.errors import RequestError

__all__ = ["CONTENT_TYPE", "decode", "encode"]

CONTENT_TYPE = "application/json"

_SLICE = 10_000
"""How many predictions are encoded at a time."""


def decode(body: Body, feature_dim: int) -> Request:
    """Read a request: an object whose ``instances`` is a list of instances in any of the forms.

    Raises:
        RequestError: The body is not such an object, or an instance cannot be scored.
    """
    document = parse_json(body, "the body")
    instances = document.get("instances") if isinstance(document, dict) else None
    if not isinstance(instances, list):
        raise RequestError(
            'the body must be an object with a list "instances", such as {"instances": [{"features": [0.5, 1.0]}]}'
        )
    return Request(decode_instances(instances, feature_dim))


def encode(predictions: Predictions) -> bytes:
    """Write ``{"predictions": [{"score": 0.58, "predicted_label": 1.0}, ...]}``."""
    pieces = [b'{"predictions":[']
    rows = predictions.iter_dicts()
    # In slices: a dict for every row at once takes five times the memory of the answer.
    while some := list(islice(rows, _SLICE)):
        if len(pieces) > 1:
            pieces.append(b",")
        pieces.append(orjson.dumps(some)[1:-1])
    pieces.append(b"]}")
    return b"".join(pieces)
