"""Small tables of raw values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from openfm.artifact import Model
from openfm.data.formats.typed import Categories, ColumnBlock, TypedColumn
from openfm.encoding import ColumnEncoder
from openfm.fm.model import FactorizationMachine, PredictorType

__all__ = ["RATINGS", "block_of", "categories", "model_of_ratings"]

RATINGS: dict[str, Sequence[Any]] = {
    "rating": [4.0, 3.0, 5.0, 1.0],
    "user": ["u1", "u2", "u1", None],
    "item": ["i7", "i7", "i9", "i8"],
    "price": [1.0, 2.0, None, 3.0],
}


def categories(texts: Sequence[str | None]) -> Categories:
    """A column of texts; None is missing."""
    distinct = {text: code for code, text in enumerate(dict.fromkeys(text for text in texts if text is not None))}
    codes = np.array([-1 if text is None else distinct[text] for text in texts], dtype=np.int32)
    encoded = [text.encode() for text in distinct]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    return Categories(codes, offsets, np.frombuffer(b"".join(encoded), dtype=np.uint8))


def block_of(columns: Mapping[str, Sequence[Any]]) -> ColumnBlock:
    """A block of columns: texts are categories, all else is numbers; None is missing."""
    typed: dict[str, TypedColumn] = {}
    for name, values in columns.items():
        if any(isinstance(value, str) for value in values):
            typed[name] = categories(values)
        else:
            typed[name] = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return ColumnBlock(typed, len(next(iter(columns.values()))))


def model_of_ratings(predictor_type: PredictorType = PredictorType.REGRESSOR) -> Model:
    """A model of random parameters whose encoder was fitted on :data:`RATINGS`."""
    encoder = ColumnEncoder.fit([block_of(RATINGS)], target="rating")
    rng = np.random.default_rng(7)
    dim = encoder.feature_dim
    machine = FactorizationMachine(0.5, rng.normal(size=dim), rng.normal(size=(dim, 3)), predictor_type)
    return Model(machine).with_encoder(encoder)
