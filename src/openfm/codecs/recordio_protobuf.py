"""``application/x-recordio-protobuf``: Amazon's binary records both ways."""

from __future__ import annotations

from openfm.codecs.predictions import Predictions
from openfm.codecs.requests import Body, Request
from openfm.data.records import decode_bare_record, decode_records, encode_scores, is_recordio
from openfm.encoding import ColumnEncoder
from openfm.errors import DataError, RequestError

__all__ = ["CONTENT_TYPE", "decode", "encode"]

CONTENT_TYPE = "application/x-recordio-protobuf"


def decode(body: Body, feature_dim: int, encoder: ColumnEncoder | None = None) -> Request:
    """Read a request: framed records, or one bare record, as batch transform splits them off. They need no encoder.

    The two cannot be confused: the frame's magic number is no possible start of a record.

    Raises:
        RequestError: A record is cut, broken, of another width or not finite. The sentence names
            the record, counted from 0.
    """
    try:
        if is_recordio(body):
            block = decode_records(body, feature_dim=feature_dim, labels="ignored", identities=True)
        else:
            block = decode_bare_record(body, feature_dim=feature_dim, identities=True)
    except DataError as error:
        raise RequestError(error.message) from error
    return Request(block.rows, block.identities)


def encode(predictions: Predictions) -> bytes:
    """Write one framed record per prediction: label map ``score`` and ``predicted_label``.

    A record's ``uid`` and ``metadata`` are those of the request's record, so that the two can be joined.
    """
    return encode_scores(predictions.scores, predictions.predicted_labels, predictions.identities)
