"""A request that a model can answer, for people to begin with."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from openfm.artifact import Model
from openfm.encoding import ColumnSpec, NumberColumn, OneHotColumn

__all__ = ["example_request"]

_MOST_FEATURES = 2


def example_request(model: Model) -> str:
    """The JSON of a request with one instance.

    Of a model that was trained on columns these are the first text of each, and the mean of a number; of another the
    first features that it has learned anything of. It holds no single quote, so that a shell takes it between two.
    """
    if model.encoder is None:
        keys = np.flatnonzero(model.linear != 0)[:_MOST_FEATURES].tolist() or [0]
        features = {"keys": keys, "shape": [model.feature_dim], "values": [1] * len(keys)}
        instance: dict[str, Any] = {"data": {"features": features}}
    else:
        instance = {"columns": {column.name: _example(column) for column in model.encoder.columns}}
    return json.dumps({"instances": [instance]}).replace("'", "\\u0027")


def _example(column: ColumnSpec) -> str | float:
    if isinstance(column, NumberColumn):
        return float(f"{column.shift:.4g}")
    if isinstance(column, OneHotColumn) and column.features:
        return column.value(column.first)
    return "any"
