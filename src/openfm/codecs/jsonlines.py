"""``application/jsonlines``: one instance per line in, one prediction per line out."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from openfm.codecs.instances import decode_instances
from openfm.codecs.parsing import parse_json
from openfm.codecs.predictions import Predictions
from openfm.fm.rows import SparseRows

__all__ = ["CONTENT_TYPE", "decode", "encode"]

CONTENT_TYPE = "application/jsonlines"


def decode(body: bytes, feature_dim: int) -> SparseRows:
    """Read a request: each line that is not blank is one instance, in any of the three forms.

    Raises:
        RequestError: A line is not JSON, or an instance cannot be scored.
    """
    return decode_instances(_instances(body), feature_dim)


def encode(predictions: Predictions) -> bytes:
    r"""Write ``{"score": 0.58, "predicted_label": 1.0}\n`` for each prediction.

    The last line ends in a newline too, so that answers can be joined as batch transform joins
    them.
    """
    return b"".join(
        orjson.dumps(prediction, option=orjson.OPT_APPEND_NEWLINE)
        for prediction in predictions.to_dicts()
    )


def _instances(body: bytes) -> Iterator[object]:
    lines = (line for line in body.split(b"\n") if not line.isspace() and line)
    for number, line in enumerate(lines):
        yield parse_json(line, f"instance {number}")
