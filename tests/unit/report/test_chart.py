"""Axes end at round numbers, and charts stay within their frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openfm.report.chart import Axis, Chart, shown

finite = st.floats(-1e30, 1e30, allow_subnormal=False).filter(lambda value: value == 0 or abs(value) > 1e-30)


@given(st.lists(finite, min_size=1, max_size=20))
def test_an_axis_shows_all_its_values_between_few_ticks(values):
    axis = Axis.over("", values)
    assert axis.low < axis.high
    margin = (axis.high - axis.low) * 1e-6
    assert axis.low - margin <= min(values)
    assert max(values) <= axis.high + margin
    assert 2 <= len(axis.ticks) <= 14
    assert all(axis.low - margin <= tick <= axis.high + margin for tick in axis.ticks)


def test_axes_of_epochs_have_whole_ticks():
    assert Axis.over("epoch", [1, 2, 3], whole=True).ticks == (1, 2, 3)
    assert Axis.over("epoch", [1], whole=True).ticks == (1,)
    assert all(tick == int(tick) for tick in Axis.over("epoch", [1, 237], whole=True).ticks)


def test_zero_may_be_asked_for():
    assert Axis.over("", [3, 4], zero=True).low == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "3"), (12345, "12,345"), (0.5, "0.5"), (0.123456, "0.1235"), (-0.0, "0"), (1e-7, "1e-07"), (2.5e9, "2.5e+09")],
)
def test_numbers_as_people_read_them(value, text):
    assert shown(value) == text


def test_what_is_drawn_lies_within_the_frame_and_is_not_endless():
    chart = Chart("a", "b", Axis.share("x"), Axis.share("y"))
    chart.line(np.linspace(0, 1, 100_000), np.linspace(1, 0, 100_000), "s1", "long")
    chart.line([0, 1], [0.5, 0.5], "s2", dashed=True)
    chart.box(0.25, 0.5, 0, 1, "s1", "all")
    chart.dot(1, 1, "s1", "corner")
    assert chart.lines[0].path.startswith("M66.0 12.0")
    assert chart.lines[0].path.endswith("468.0 252.0")
    assert chart.lines[0].path.count("L") < 400
    assert (chart.boxes[0].y, chart.boxes[0].height) == (12, 240)
    assert (chart.dots[0].x, chart.dots[0].y) == (468, 12)
    assert chart.legend == [("s1", "long", False)]
