"""Axes, ticks and labels, and what a chart does with points that do not fit."""

from __future__ import annotations

import math
import re

from hypothesis import given
from hypothesis import strategies as st
from tests.page.reading import Element, read

from tclearn.page.charts import Chart, Line, Point, line_chart, scale_floor
from tclearn.page.glyphs import sparkline
from tclearn.page.scales import Scale, index_ticks, round_interval, spread, step_size, tick_texts, ticks

PLACES = st.lists(st.floats(-1000, 1000, allow_nan=False), max_size=40)
SHARES = st.floats(0, 1, allow_nan=False)


def drawn(chart: Chart, *, labels: bool = True) -> Element:
    return read(line_chart(chart, width=800, height=400, labels=labels))


def line(*values: float, style: int | str = "main", name: str = "G") -> Line:
    points = [Point(index, value, f"{name} {index}", f"#block-{index}") for index, value in enumerate(values, 1)]
    return Line(name, tuple(points), style)


@given(SHARES, SHARES, st.integers(2, 10))
def test_round_interval_holds_what_it_is_given(one: float, other: float, parts: int) -> None:
    low, high = sorted((one, other))
    start, end = round_interval(low, high, parts, (0.0, 1.0))
    assert start < end
    assert start <= low + 1e-6
    assert end >= high - 1e-6
    numbers = ticks(start, end, parts)
    assert 1 <= len(numbers) <= parts + 2
    texts = tick_texts(numbers)
    assert len(set(texts)) == len(texts)
    assert all(abs(float(text) - number) < 1e-6 for text, number in zip(texts, numbers, strict=True))


def test_steps_are_one_two_or_five() -> None:
    assert [step_size(span, 5) for span in (1, 0.4, 0.07, 23)] == [0.2, 0.1, 0.02, 5]
    assert tick_texts([0.8, 0.85, 0.9]) == ["0.80", "0.85", "0.90"]
    assert tick_texts([0.0, 0.5, 1.0]) == ["0.0", "0.5", "1.0"]


def test_index_ticks_are_whole_and_few() -> None:
    assert index_ticks(1, 7, 18) == [1, 2, 3, 4, 5, 6, 7]
    assert index_ticks(1, 60, 12) == [1, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60]
    assert index_ticks(1, 1, 5) == [1]
    for last in (2, 9, 33, 250, 999):
        numbers = index_ticks(0, last, 10)
        assert len(numbers) <= 12
        assert numbers == sorted(set(numbers))


@given(PLACES)
def test_spread_labels_do_not_touch_and_keep_their_order(wanted: list[float]) -> None:
    placed = spread(wanted, 16, -2000, 2000)
    for (before, left), (after, right) in zip(
        sorted(zip(wanted, placed, strict=True)), sorted(zip(wanted, placed, strict=True))[1:], strict=False
    ):
        assert before <= after
        assert right - left >= 16 - 1e-6
    if all(abs(a - b) >= 16 for i, a in enumerate(wanted) for b in wanted[:i]):
        assert all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(wanted, placed, strict=True))


def test_spread_stays_within_the_chart() -> None:
    assert spread([100, 100, 100], 16, 0, 100) == [68, 84, 100]
    assert spread([0, 0], 16, 0, 100) == [0, 16]


def test_points_stand_where_their_numbers_are() -> None:
    chart = drawn(Chart("t", "block", "accuracy", (1, 3), (line(0.8, 0.9, 1.0),)))
    (series,) = chart.all("g", "series")
    places = [
        tuple(float(number) for number in re.findall(r"[-\d.]+", dot.attributes["transform"]))
        for dot in series.all("path", "dot")
    ]
    (x1, y1), (x2, y2), (x3, y3) = places
    assert x1 < x2 < x3
    assert y1 > y2 > y3
    assert math.isclose(y1 - y2, y2 - y3, abs_tol=0.2)
    assert [anchor.attributes["href"] for anchor in series.all("a")] == ["#block-1", "#block-2", "#block-3"]


def test_a_mark_far_below_does_not_flatten_the_lines() -> None:
    bad = Point(1.5, 0.104, "rejected")
    good = (line(0.9, 0.92, 0.95),)
    chart = drawn(Chart("t", "block", "y", (1, 3), good, (bad,)))
    assert chart.all("text", "tick")[0].text == "0.90"
    assert chart.all("path", "strip")
    assert chart.one("text", "mark-label").text == "0.104"


def test_a_nonsensical_report_breaks_its_line_and_nothing_else() -> None:
    liar = line(0.9, 0.0, 0.92, style=0, name="L")
    chart = drawn(Chart("t", "block", "y", (1, 3), (line(0.9, 0.92, 0.95), liar)))
    pieces = {
        group.all("title")[0].text: group.one("path", "line").attributes["d"].count("M")
        for group in chart.all("g", "series")
    }
    assert pieces == {"G": 1, "L": 2}
    assert "L 2" in [title.text for title in chart.all("title")]


def test_charts_without_a_point() -> None:
    assert not drawn(Chart("t", "block", "y", (1, 1), ())).all("path", "line")
    only_mark = drawn(Chart("t", "block", "y", (1, 1), (Line("G", (), "main"),), (Point(0.5, 0.2, "x"),)))
    assert only_mark.all("path", "cross")
    single = drawn(Chart("t", "block", "y", (1, 1), (line(0.5),)))
    assert len(single.all("path", "dot")) == 1


def test_many_blocks_hide_their_dots_but_not_their_numbers() -> None:
    chart = drawn(Chart("t", "block", "y", (1, 300), (line(*(0.5 + index / 1000 for index in range(300))),)))
    assert "dense" in chart.one("svg").classes
    assert len(chart.all("title")) == 300 + 3  # the chart, the line, its label


def test_scale_floor() -> None:
    assert scale_floor([]) == -math.inf
    assert math.isclose(scale_floor([0.9, 0.95]), 0.8)
    assert math.isclose(scale_floor([0.5, 0.9]), 0.1)
    assert Scale(0, 2, 10, 30)(1) == 20


def test_sparkline() -> None:
    assert len(read(sparkline([0.1, 0.3, 0.2], low=0, high=1, title="t")).all("circle")) == 1
    assert read(sparkline([], low=0, high=1, title="t")).text == "–"
