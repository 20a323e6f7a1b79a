"""Answers beyond a score and a label for each instance: any JSON object for each, in the two JSON types.

Plain predictions, which nearly all answers are, do not come this way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

import orjson

from openfm.codecs import json, jsonlines

__all__ = ["DOCUMENT_ENCODERS"]


def _encode_json(documents: Iterable[Mapping[str, Any]]) -> bytes:
    return b'{"predictions":[' + b",".join(map(orjson.dumps, documents)) + b"]}"


def _encode_lines(documents: Iterable[Mapping[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE) for document in documents)


DOCUMENT_ENCODERS: Final[Mapping[str, Callable[[Iterable[Mapping[str, Any]]], bytes]]] = MappingProxyType(
    {json.CONTENT_TYPE: _encode_json, jsonlines.CONTENT_TYPE: _encode_lines}
)
"""Content type of an answer to what writes it."""
