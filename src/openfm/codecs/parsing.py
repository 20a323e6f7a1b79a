"""Parsing JSON as it really arrives."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson

from openfm.errors import RequestError

__all__ = ["parse_json"]


def parse_json(text: bytes | bytearray, name: str) -> Any:
    """Parse JSON, and read the tokens ``NaN`` and ``Infinity`` too.

    JSON has no such numbers, but Python clients write them; read as floats, they are refused later
    by a sentence that names instance and field instead of a byte offset. So is a number beyond the
    range of a double.

    Args:
        text: the JSON text, UTF-8.
        name: what the text is, for the error's sentence.

    Raises:
        RequestError: The text is not JSON for any other reason.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        non_finite: list[float] = []

        def read_float(token: str) -> float:
            value = float(token)
            if not math.isfinite(value):
                non_finite.append(value)
            return value

        def read_whole(token: str) -> int | float:
            # As orjson does: what no 64-bit integer holds becomes a double.
            return int(token) if len(token) < 19 else read_float(token)

        try:
            document = json.loads(text, parse_constant=read_float, parse_float=read_float, parse_int=read_whole)
        except (ValueError, RecursionError):
            non_finite.clear()
        if not non_finite:
            raise RequestError(f"{name} is not valid JSON: {error}") from None
        return document
