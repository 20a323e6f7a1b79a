"""What ``openfm inspect`` says of a model."""

from __future__ import annotations

import numpy as np

from openfm.artifact import Model
from openfm.encoding import ColumnSpec, NumberColumn, OneHotColumn

__all__ = ["summary_of_model"]


def summary_of_model(model: Model, *, weights: int) -> dict[str, object]:
    """What a model holds, as what JSON can hold.

    Args:
        model: the model.
        weights: how many of the largest linear weights, and of the features with the longest factors, to show.
    """
    linear, factors = model.linear, model.factors
    lengths = np.sqrt(np.einsum("ij,ij->i", factors, factors, dtype=np.float64))
    summary: dict[str, object] = {
        "predictor_type": model.predictor_type.value,
        "features": model.feature_dim,
        "factors": model.num_factors,
        "bias": model.bias,
        "norm_of_linear": float(np.linalg.norm(linear.astype(np.float64))),
        "norm_of_factors": float(np.sqrt(np.square(lengths).sum())),
        "features_without_weight": int(np.count_nonzero((linear == 0) & (lengths == 0))),
    }
    if model.threshold is not None:
        summary["threshold"] = model.threshold
    summary["hyperparameters"] = {name: str(value) for name, value in model.training_parameters.items()}
    if model.encoder is not None:
        summary["columns"] = [
            {"column": column.name, "becomes": _becomes(column), "features": column.features}
            for column in model.encoder.columns
        ]
    if weights:
        summary["largest_linear_weights"] = [
            {**_feature(model, feature), "weight": float(linear[feature])}
            for feature in _largest(np.abs(linear), weights)
        ]
        summary["longest_factors"] = [
            {**_feature(model, feature), "length": float(lengths[feature])} for feature in _largest(lengths, weights)
        ]
    if model.extras:
        summary["extras"] = {name: f"{len(content)} bytes" for name, content in sorted(model.extras.items())}
    return summary


def _feature(model: Model, feature: int) -> dict[str, object]:
    named = {} if model.encoder is None else {"name": model.encoder.feature_name(feature)}
    return {"feature": feature, **named}


def _becomes(column: ColumnSpec) -> str:
    if isinstance(column, NumberColumn):
        return f"(number - {column.shift:g}) / {column.scale:g}"
    return "one feature for each text" if isinstance(column, OneHotColumn) else "hash buckets"


def _largest(values: np.typing.NDArray[np.floating], count: int) -> list[int]:
    """Where the largest values are, the largest first; of equal ones the first."""
    count = min(count, len(values))
    least = np.partition(values, len(values) - count)[len(values) - count]
    above = np.flatnonzero(values > least)
    equal = np.flatnonzero(values == least)[: count - len(above)]
    return [int(i) for i in (*sorted(above, key=lambda i: (-values[i], i)), *equal)]
