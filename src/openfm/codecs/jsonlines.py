"""``application/jsonlines``: one instance per line in, one prediction per line out."""

from __future__ import annotations

import re
from collections.abc import Iterator

from openfm.codecs.parsing import parse_json
from openfm.codecs.plain import decode_plain
from openfm.codecs.predictions import Predictions
from openfm.codecs.queries import decode_any
from openfm.codecs.requests import Body, RankingRequest, Request
from openfm.encoding import ColumnEncoder
from openfm.native import _core

__all__ = ["CONTENT_TYPE", "decode", "encode", "iter_instances"]

CONTENT_TYPE = "application/jsonlines"

_BLANKS = re.compile(rb"\s*")


def decode(body: Body, feature_dim: int, encoder: ColumnEncoder | None = None) -> Request | RankingRequest:
    """Read a request: each line that is not blank is one instance, in any of the three forms or of raw values, or one
    query.

    Raises:
        RequestError: A line is not JSON, or an instance cannot be scored.
    """
    rows = decode_plain(body, feature_dim, lines=True)
    return decode_any(iter_instances(body), feature_dim, encoder) if rows is None else Request(rows)


def encode(predictions: Predictions) -> bytes:
    r"""Write ``{"score": 0.58, "predicted_label": 1.0}\n`` for each prediction.

    The last line ends in a newline too, so that answers can be joined as batch transform joins
    them.
    """
    return _core.encode_predictions(predictions.scores, predictions.predicted_labels, lines=True)


def iter_instances(body: Body) -> Iterator[object]:
    """Each line that is not blank, parsed.

    Raises:
        RequestError: A line is not JSON.
    """
    for number, line in enumerate(_lines(body)):
        yield parse_json(line, f"instance {number}")


def _lines(body: Body) -> Iterator[Body]:
    """The lines that are not blank, one at a time: split at once, a large body would be in memory twice."""
    start = 0
    # A regular expression skips millions of blank lines at once.
    while (start := _BLANKS.match(body, start).end()) < len(body):  # type: ignore[union-attr] # it matches anywhere
        end = body.find(b"\n", start)
        yield body[start : end if end >= 0 else len(body)]
        start = end + 1 if end >= 0 else len(body)
