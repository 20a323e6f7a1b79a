"""Charts: from numbers to places on a drawing, which a template draws as SVG.

A drawing is 480 by 300 units; a page scales it. Colours are names of series, which the page's style gives a colour in
light and one in dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["Axis", "Chart", "Numbers", "shown"]

Numbers = npt.NDArray[np.float64] | Sequence[float]

_LEFT, _TOP, _RIGHT, _BOTTOM = 66.0, 12.0, 468.0, 252.0
_MOST_POINTS = 400
"""Of a line: more do not show."""


def shown(value: float) -> str:
    """A number as people read it: four digits that count, and no more zeros than needed."""
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e6:
        return f"{int(value):,}"
    return f"{value:.4g}" if 1e-4 <= abs(value) < 1e6 else f"{value:.3g}"


@dataclass(frozen=True, slots=True)
class Axis:
    """One direction of a chart.

    Attributes:
        label: what is measured, with its unit.
        low, high: the values at its ends; low < high.
        ticks: values that are marked.
    """

    label: str
    low: float
    high: float
    ticks: tuple[float, ...]

    @classmethod
    def over(cls, label: str, *values: Numbers, zero: bool = False, whole: bool = False, most: int = 6) -> Axis:
        """An axis that shows all of some values, from one round number to another.

        Args:
            label: of the axis.
            values: at least one number, all finite.
            zero: whether 0 is on it in any case.
            whole: whether only whole numbers are marked, such as epochs.
            most: ticks there are about.
        """
        everything = np.concatenate([np.asarray(each, dtype=np.float64) for each in values])
        low, high = float(everything.min()), float(everything.max())
        if zero:
            low, high = min(low, 0.0), max(high, 0.0)
        if high <= low:
            margin = 0.5 if whole or low == 0 else abs(low) / 10
            low, high = low - margin, high + margin
        step = _round_step((high - low) / most)
        if whole:
            step = max(1.0, round(step))
        else:
            low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        return cls(label, low, high, tuple(n * step for n in range(first, last + 1)))

    @classmethod
    def at(cls, label: str, values: Numbers, edges: Numbers) -> Axis:
        """An axis over the bins of a few different values, which are marked themselves."""
        return cls(label, float(edges[0]), float(edges[-1]), tuple(float(value) for value in values))

    @classmethod
    def share(cls, label: str) -> Axis:
        """From 0 to 1."""
        return cls(label, 0.0, 1.0, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0))

    def place(self, value: float) -> float:
        """Where a value is, from 0 to 1."""
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark of an axis: where, and what it says."""

    place: float
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points: an SVG path; dashed lines are no measurements but what these are compared with."""

    path: str
    series: str
    dashed: bool


@dataclass(frozen=True, slots=True)
class Box:
    """A filled rectangle, such as a bar; ``text`` says what it stands for."""

    x: float
    y: float
    width: float
    height: float
    series: str
    opacity: float
    text: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A point; ``text`` says what it stands for."""

    x: float
    y: float
    series: str
    text: str


@dataclass
class Chart:
    """A chart that is put together piece by piece.

    Attributes:
        title: what it shows.
        summary: the same in a sentence with its main numbers, for those who do not see it.
        x, y: its axes.
    """

    title: str
    summary: str
    x: Axis
    y: Axis
    lines: list[Line] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    dots: list[Dot] = field(default_factory=list)
    legend: list[tuple[str, str, bool]] = field(default_factory=list)  # series, what it is, whether it is dashed

    def line(
        self, x: Numbers, y: Numbers, series: str, name: str = "", *, dashed: bool = False, steps: bool = False
    ) -> None:
        """Draw a line through points in the order of x; of very many, only so many as can be seen.

        Args:
            x, y: of the points.
            series: its colour.
            name: in the legend; empty: it is not there.
            dashed: whether it is what the others are compared with.
            steps: whether y stays the same between two points, and changes at the second.
        """
        chosen = _few(len(x))
        points = [(self._x(float(x[i])), self._y(float(y[i]))) for i in chosen]
        path = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
        for a, b in points[1:]:
            path.append(f"H{a:.1f}V{b:.1f}" if steps else f"L{a:.1f} {b:.1f}")
        self.lines.append(Line("".join(path), series, dashed))
        if name:
            self.legend.append((series, name, dashed))

    def dot(self, x: float, y: float, series: str, text: str) -> None:
        """Draw a point."""
        self.dots.append(Dot(self._x(x), self._y(y), series, text))

    def box(
        self, left: float, right: float, low: float, high: float, series: str, text: str, *, opacity: float = 1.0
    ) -> None:
        """Fill what lies between two values of each axis."""
        x, y = self._x(left), self._y(high)
        self.boxes.append(Box(x, y, self._x(right) - x, self._y(low) - y, series, opacity, text))

    @property
    def x_ticks(self) -> list[Tick]:
        """The marks below."""
        return [Tick(self._x(value), _short(value)) for value in self.x.ticks]

    @property
    def y_ticks(self) -> list[Tick]:
        """The marks at the left."""
        return [Tick(self._y(value), _short(value)) for value in self.y.ticks]

    def _x(self, value: float) -> float:
        return round(_LEFT + self.x.place(value) * (_RIGHT - _LEFT), 2)

    def _y(self, value: float) -> float:
        return round(_BOTTOM - self.y.place(value) * (_BOTTOM - _TOP), 2)


def _round_step(step: float) -> float:
    """The next of 1, 2, 2.5, 5 and 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor for factor in (1, 2, 2.5, 5, 10) if factor * power >= step * (1 - 1e-9)) * power


def _short(value: float) -> str:
    """What a tick says: without what multiplying has left in the last digits, and with k and M for what is large."""
    value = float(f"{value:.10g}") + 0.0
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if 1e5 <= abs(value) < 1e9 and abs(value) >= size:
            return f"{shown(value / size)}{unit}"
    return shown(value)


def _few(count: int) -> npt.NDArray[np.int64]:
    if count <= _MOST_POINTS:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, _MOST_POINTS).round().astype(np.int64))
