"""``application/json``: ``{"instances": [...]}`` in, ``{"predictions": [...]}`` out."""

from __future__ import annotations

import orjson

from openfm.codecs.instances import decode_instances
from openfm.codecs.parsing import parse_json
from openfm.codecs.predictions import Predictions
from openfm.codecs.requests import Body, Request
from openfm.errors import RequestError

__all__ = ["CONTENT_TYPE", "decode", "encode"]

CONTENT_TYPE = "application/json"


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
    return orjson.dumps({"predictions": list(predictions.iter_dicts())})
