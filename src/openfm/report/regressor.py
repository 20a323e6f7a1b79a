"""What a report shows of a regressor's scores."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from openfm.report.chart import Axis, Chart, shown
from openfm.report.curves import bins_of

__all__ = ["RegressorSection", "regressor_section"]

_PARTS = 10
_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RegressorSection:
    """All that is shown.

    Attributes:
        tiles: the most important numbers, by name.
        charts: predicted against true, residuals, residuals against predicted.
        quantiles: of the residuals, in words and as a number.
    """

    tiles: dict[str, str]
    charts: list[Chart]
    quantiles: list[tuple[str, str]]


def regressor_section(scores: npt.NDArray[np.float32], labels: npt.NDArray[np.float32]) -> RegressorSection:
    """Look at scores of records with labels: float32 of shape (n,) each, finite, n at least 1."""
    predicted, true = scores.astype(np.float64), labels.astype(np.float64)
    residuals = predicted - true
    return RegressorSection(
        _tiles(true, residuals),
        [_predicted_and_true(predicted, true), _residuals(residuals), _by_prediction(predicted, residuals)],
        [(f"{share:.0%}", shown(float(np.quantile(residuals, share)))) for share in _QUANTILES],
    )


def _tiles(true: Numbers, residuals: Numbers) -> dict[str, str]:
    squared = float(np.mean(residuals**2))
    spread = float(np.var(true))
    tiles = {
        "RMSE": shown(math.sqrt(squared)),
        "mean absolute error": shown(float(np.mean(np.abs(residuals)))),
        "median absolute error": shown(float(np.median(np.abs(residuals)))),
    }
    if spread > 0:
        tiles["R²"] = shown(1 - squared / spread)
        tiles["RMSE of the mean"] = shown(math.sqrt(spread))
    return tiles | {"bias (mean residual)": shown(float(residuals.mean()))}


def _predicted_and_true(predicted: Numbers, true: Numbers) -> Chart:
    columns, rows = bins_of(true, most=32, apart=12), bins_of(predicted, most=32, apart=0)
    counts, _, _ = np.histogram2d(true, predicted, (columns, rows))
    correlation = _correlation(predicted, true)
    chart = Chart(
        "Predicted and true",
        "The stronger the colour, the more records have the true and the predicted value of a cell"
        + ("." if correlation is None else f"; the correlation is {shown(correlation)}."),
        Axis.at("true", np.unique(true).tolist(), columns) if len(np.unique(true)) < 13 else Axis.over("true", columns),
        Axis.over("predicted", rows),
    )
    most = math.log1p(float(counts.max()))
    for i, j in np.argwhere(counts).tolist():
        count = int(counts[i, j])
        left, right, low, high = columns[i], columns[i + 1], rows[j], rows[j + 1]
        text = f"true {shown(left)} to {shown(right)}, predicted {shown(low)} to {shown(high)}: {count:,} records"
        opacity = round(0.12 + 0.88 * math.log1p(count) / most, 2)
        chart.box(float(left), float(right), float(low), float(high), "s1", text, opacity=opacity)
    low, high = max(chart.x.low, chart.y.low), min(chart.x.high, chart.y.high)
    if low < high:
        chart.line([low, high], [low, high], "s2", "predicted = true", dashed=True)
    return chart


def _residuals(residuals: Numbers) -> Chart:
    edges = bins_of(residuals, most=40, apart=0)
    shares = np.histogram(residuals, edges)[0] / len(residuals)
    chart = Chart(
        "Residuals",
        f"Predicted minus true: mean {shown(float(residuals.mean()))}, standard deviation "
        f"{shown(float(residuals.std()))}.",
        Axis.over("predicted − true", edges),
        Axis.over("share of records", [0, float(shares.max())]),
    )
    for i, share in enumerate(shares.tolist()):
        if share:
            text = f"{shown(edges[i])} to {shown(edges[i + 1])}: {share:.1%}"
            chart.box(float(edges[i]), float(edges[i + 1]), 0, share, "s1", text)
    chart.line([0, 0], [chart.y.low, chart.y.high], "muted", dashed=True)
    return chart


def _by_prediction(predicted: Numbers, residuals: Numbers) -> Chart:
    parts = [part for part in np.array_split(np.argsort(predicted, kind="stable"), _PARTS) if len(part)]
    x = [float(predicted[part].mean()) for part in parts]
    means = [float(residuals[part].mean()) for part in parts]
    bounds = [np.quantile(residuals[part], (0.1, 0.9)).tolist() for part in parts]
    chart = Chart(
        "Residuals by prediction",
        "Tenths of the records by predicted value: their mean residual, and the range that eight of ten are in. A "
        "line at 0 means that no prediction is systematically too high or too low.",
        Axis.over("mean predicted", x),
        Axis.over("predicted − true", means, np.ravel(bounds), zero=True),
    )
    chart.line([chart.x.low, chart.x.high], [0, 0], "muted", dashed=True)
    chart.line(x, [low for low, _ in bounds], "s2", "10% and 90%")
    chart.line(x, [high for _, high in bounds], "s2")
    chart.line(x, means, "s1", "mean")
    for place, mean, part in zip(x, means, parts, strict=True):
        chart.dot(place, mean, "s1", f"{len(part):,} records, predicted {shown(place)}: mean residual {shown(mean)}")
    return chart


def _correlation(a: Numbers, b: Numbers) -> float | None:
    if a.std() == 0 or b.std() == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])
