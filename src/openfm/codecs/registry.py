"""Which content types a server reads and writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from openfm.codecs import json, jsonlines, recordio_protobuf
from openfm.codecs.predictions import Predictions
from openfm.codecs.requests import Body, RankingRequest, Request
from openfm.encoding import ColumnEncoder

__all__ = ["DECODERS", "ENCODERS", "PLAIN_TYPES", "Decoder", "Encoder"]

Decoder = Callable[[Body, int, ColumnEncoder | None], Request | RankingRequest]
"""Reads a request's body, given the model's feature_dim and its encoder, if it has one; raises RequestError."""

Encoder = Callable[[Predictions], bytes]
"""Writes an answer's body."""

_CODECS = (json, jsonlines, recordio_protobuf)

DECODERS: Final[Mapping[str, Decoder]] = MappingProxyType({codec.CONTENT_TYPE: codec.decode for codec in _CODECS})
"""Content type of a request, in lower case and without parameters, to its decoder."""

ENCODERS: Final[Mapping[str, Encoder]] = MappingProxyType({codec.CONTENT_TYPE: codec.encode for codec in _CODECS})
"""Content type of an answer to its encoder."""

PLAIN_TYPES: Final[Mapping[str, bool]] = MappingProxyType({json.CONTENT_TYPE: False, jsonlines.CONTENT_TYPE: True})
"""The types of requests and answers that :func:`openfm.codecs.plain.answer_plain` knows, to whether they have lines."""
