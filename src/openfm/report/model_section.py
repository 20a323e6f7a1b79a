"""What a report shows of the model itself."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from openfm.artifact import Model
from openfm.report.chart import shown

__all__ = ["Bar", "ModelSection", "model_section"]

_Pair = tuple[int, int, float]  # two features, and the inner product of their factors

_SHOWN = 15
_MOST_COLUMNS = 8  # of which all pairs are looked at one by one
_MANY = 20  # times as many pairs as are shown are looked at where columns are more
_MOST_FOR_PAIRS = 2_000_000  # features; beyond, the search for the strongest pairs may take minutes


@dataclass(frozen=True, slots=True)
class Bar:
    """A named number, and its size beside the largest of its table: from -1 to 1."""

    name: str
    value: str
    size: float


@dataclass(frozen=True, slots=True)
class ModelSection:
    """All that is shown.

    Attributes:
        facts: about the model, in words.
        weights: the largest linear weights.
        factors: the features with the longest factors.
        pairs: the pairs of features that interact most.
        hyperparameters: what the model was trained with.
    """

    facts: dict[str, str]
    weights: list[Bar]
    factors: list[Bar]
    pairs: list[Bar]
    hyperparameters: dict[str, str]


def model_section(model: Model, name: Callable[[int], str]) -> ModelSection:
    """Look at a model.

    Args:
        model: the model.
        name: what a feature is called.
    """
    linear, factors = model.linear, model.factors
    lengths = np.sqrt(np.einsum("ij,ij->i", factors, factors, dtype=np.float64))
    without = int(np.count_nonzero((linear == 0) & (lengths == 0)))
    facts = {
        "kind": "binary classifier" if model.predictor_type == "binary_classifier" else "regressor",
        "features": f"{model.feature_dim:,}",
        "factors of each": f"{model.num_factors:,}",
        "parameters": f"{1 + model.feature_dim * (1 + model.num_factors):,}",
        "bias": shown(model.bias),
    }
    if without:
        facts["features without any weight"] = f"{without:,}"
    if model.threshold is not None:
        facts["threshold of its own"] = shown(model.threshold)
    return ModelSection(
        facts,
        _bars(linear.astype(np.float64), _largest(np.abs(linear)), name),
        _bars(lengths, _largest(lengths), name),
        _pairs(model, name),
        {key: str(value) for key, value in model.training_parameters.items() if value != ""},
    )


def _pairs(model: Model, name: Callable[[int], str]) -> list[Bar]:
    if not 2 <= model.feature_dim <= _MOST_FOR_PAIRS:
        return []
    found = _between_columns(model) if model.encoder is not None else _ranked(model, _SHOWN, None)
    found = sorted(found, key=lambda pair: -abs(pair[2]))[:_SHOWN]
    most = max((abs(product) for _, _, product in found), default=0.0)
    return [Bar(f"{name(i)} × {name(j)}", shown(product), product / most) for i, j, product in found if product]


def _between_columns(model: Model) -> list[_Pair]:
    """Candidates of columns that are not the same: values of one column never occur together."""
    assert model.encoder is not None
    columns = [range(each.first, each.first + each.features) for each in model.encoder.columns if each.features]
    if len(columns) <= _MOST_COLUMNS:
        pairs = itertools.combinations(columns, 2)
        return [pair for between in pairs for pair in _ranked(model, _SHOWN, between)]
    ends = [column.stop for column in columns]
    ranked = _ranked(model, _MANY * _SHOWN, None)
    return [pair for pair in ranked if bisect.bisect(ends, pair[0]) != bisect.bisect(ends, pair[1])]


def _ranked(model: Model, count: int, between: tuple[range, range] | None) -> list[_Pair]:
    possible = model.feature_dim * (model.feature_dim - 1) // 2
    if between is not None:
        possible = len(between[0]) * len(between[1])
    ranked = model.strongest_pairs(min(count, possible), between=between)
    return [(i, j, product) for (i, j), product in zip(ranked.pairs.tolist(), ranked.products.tolist(), strict=True)]


def _bars(values: npt.NDArray[np.float64], chosen: list[int], name: Callable[[int], str]) -> list[Bar]:
    most = max((abs(float(values[i])) for i in chosen), default=0.0)
    return [Bar(name(i), shown(float(values[i])), float(values[i]) / most) for i in chosen if values[i]]


def _largest(values: npt.NDArray[np.floating]) -> list[int]:
    """Where the largest values are, the largest first; of equal ones the first."""
    count = min(_SHOWN, len(values))
    candidates = np.argpartition(-values, count - 1)[:count]
    return [int(i) for i in sorted(candidates, key=lambda i: (-values[i], i))]
