"""Line charts as SVG: pure functions from data to markup. Colours are classes of the style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tclearn.page.glyphs import CROSS, Style, css_class, path, shape
from tclearn.page.markup import Html, el
from tclearn.page.scales import Scale, index_ticks, round_interval, spread, tick_texts, ticks
from tclearn.page.text import short

_MARGIN: Final = (34.0, 16.0, 46.0, 46.0)  # top, right, bottom, left
_LABELS: Final = 148.0
_STRIP: Final = 26.0
_LABEL_GAP: Final = 16.0
_DENSE: Final = 12.0
_LABELLED_MARKS_MAX: Final = 12


@dataclass(frozen=True, slots=True)
class Point:
    """A measurement.

    Attributes:
        x: where on the horizontal axis.
        y: where on the vertical axis.
        title: its words for whoever points at it; without, the line bends here and no dot is drawn.
        link: the anchor that it leads to.
        hollow: drawn as an outline.
    """

    x: float
    y: float
    title: str = ""
    link: str = ""
    hollow: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A series.

    Attributes:
        name: whose it is.
        points: from left to right.
        style: ``"main"``, ``"rest"``, ``"reference"``, or the number of a colour and shape.
        labelled: whether its name stands at its end, and in the legend.
    """

    name: str
    points: tuple[Point, ...]
    style: Style
    labelled: bool = True


@dataclass(frozen=True, slots=True)
class Chart:
    """What to draw. What lies far below the main line gets a strip of its own, outside the scale.

    Attributes:
        title: the chart in a sentence, for those who do not see it.
        x_label: what the horizontal axis counts.
        y_label: what the vertical axis measures.
        x_range: first and last whole number on the horizontal axis.
        lines: the series; the first are drawn last, on top.
        marks: crosses that belong to no series.
        rules: whole numbers with a vertical line, and what happened there.
        bounds: numbers beyond cannot occur.
        from_zero: whether the vertical axis begins at the lower bound, whatever the numbers.
    """

    title: str
    x_label: str
    y_label: str
    x_range: tuple[int, int]
    lines: tuple[Line, ...]
    marks: tuple[Point, ...] = ()
    rules: tuple[tuple[int, str], ...] = ()
    bounds: tuple[float, float] = (0.0, 1.0)
    from_zero: bool = False

    @property
    def numbers(self) -> list[float]:
        """All that is to be drawn."""
        return [point.y for line in self.lines for point in line.points] + [mark.y for mark in self.marks]

    @property
    def floor(self) -> float:
        """The lowest number on the scale: one bad candidate, or one nonsensical report, must not flatten the rest."""
        return scale_floor([point.y for line in self.lines if line.style == "main" for point in line.points])


def scale_floor(main: Sequence[float]) -> float:
    """The lowest number worth a place on a scale that is made for the main series."""
    return min(main) - max(max(main) - min(main), 0.1) if main else float("-inf")


def line_chart(chart: Chart, *, width: float, height: float, labels: bool) -> Html:
    """Draw a chart.

    Args:
        chart: what to draw.
        width: in pixels, which text sizes are made for.
        height: in pixels.
        labels: whether names stand at the ends of lines; without, a legend has to tell them apart.
    """
    top, right, bottom, left = _MARGIN
    lowest = chart.floor
    shown = [number for number in chart.numbers if number >= lowest] or list(chart.bounds)
    low = chart.bounds[0] if chart.from_zero else min(shown)
    strip = min(chart.numbers, default=lowest) < lowest
    floor = height - bottom - (_STRIP if strip else 0)
    parts = max(3, int((floor - top) / 44))
    y = _Vertical(*round_interval(low, max(shown), parts, chart.bounds), floor, top)
    first, last = chart.x_range
    x = Scale(first - 0.6, last + 0.3, left, width - (_LABELS if labels else right))
    body: list[Html] = [_strip(x, floor)] if strip else []
    body += [*_y_axis(chart, x, y, parts), *_x_axis(chart, x, height)]
    body += [_rule(number, what, x, y) for number, what in chart.rules]
    body += [_line(line, x, y) for line in reversed(chart.lines)]
    numbered = len(chart.marks) <= _LABELLED_MARKS_MAX
    body += [_mark(mark, x, y, numbered) for mark in chart.marks]
    if labels:
        body += _end_labels(chart.lines, x, y)
    dense = " dense" if x(1) - x(0) < _DENSE else ""
    size = f"0 0 {width:g} {height:g}"
    return el("svg", el("title", chart.title), body, viewBox=size, role="img", class_=f"chart{dense}")


class _Vertical(Scale):
    # Numbers below the axis lie on the strip under it.
    __slots__ = ()

    def __call__(self, number: float) -> float:
        return super().__call__(number) if number >= self.low - 1e-9 else self.start + _STRIP / 2 + 1


def _strip(x: Scale, floor: float) -> Html:
    area = path(f"M{x.start:.1f} {floor + 2:.1f}H{x.end:.1f}V{floor + _STRIP:.1f}H{x.start:.1f}Z", "strip")
    words = el("text", "below", x=f"{x.start - 8:.1f}", y=f"{floor + 18:.1f}", class_="note", text_anchor="end")
    return el("g", area, words)


def _y_axis(chart: Chart, x: Scale, y: Scale, parts: int) -> list[Html]:
    numbers = ticks(y.low, y.high, parts)
    drawn = [el("text", chart.y_label, x="0", y="14", class_="axis-label")]
    for number, text in zip(numbers, tick_texts(numbers), strict=True):
        down = y(number)
        drawn.append(path(f"M{x.start:.1f} {down:.1f}H{x.end:.1f}", "grid"))
        drawn.append(el("text", text, x=f"{x.start - 8:.1f}", y=f"{down + 4:.1f}", class_="tick", text_anchor="end"))
    return drawn


def _x_axis(chart: Chart, x: Scale, height: float) -> list[Html]:
    base = height - _MARGIN[2]
    drawn = [path(f"M{x.start:.1f} {base:.1f}H{x.end:.1f}", "axis")]
    for number in index_ticks(*chart.x_range, max(2, int((x.end - x.start) / 44))):
        across = f"{x(number):.1f}"
        drawn.append(path(f"M{across} {base:.1f}v5", "axis"))
        drawn.append(el("text", number, x=across, y=f"{base + 18:.1f}", class_="tick", text_anchor="middle"))
    middle = f"{(x.start + x.end) / 2:.1f}"
    drawn.append(el("text", chart.x_label, x=middle, y=f"{base + 38:.1f}", class_="axis-label", text_anchor="middle"))
    return drawn


def _rule(number: int, what: str, x: Scale, y: Scale) -> Html:
    across = f"{x(number):.1f}"
    text = el("text", what, x=f"{x(number) - 5:.1f}", y=f"{y.end + 2:.1f}", class_="note", text_anchor="end")
    return el("g", el("title", what), path(f"M{across} {y.end - 8:.1f}V{y.start:.1f}", "rule"), text)


def _line(line: Line, x: Scale, y: Scale) -> Html:
    places = [(x(point.x), y(point.y)) for point in line.points]
    drawn, pen = "", "M"
    for point, (across, down) in zip(line.points, places, strict=True):
        if point.y < y.low:  # on the strip: the line is broken there
            pen = "M"
        else:
            drawn += f"{pen}{across:.1f} {down:.1f}"
            pen = "L"
    shown = [path(drawn, "line")] if drawn else []
    for point, (across, down) in zip(line.points, places, strict=True):
        if point.title:
            dot = el("g", el("title", point.title), shape(line.style, across, down, hollow=point.hollow))
            shown.append(_linked(dot, point.link))
    return el("g", el("title", line.name), shown, class_=f"series {css_class(line.style)}")


def _mark(mark: Point, x: Scale, y: Scale, numbered: bool) -> Html:
    across, down = x(mark.x), y(mark.y)
    number = el("text", f"{mark.y:.3f}", x=f"{across + 8:.1f}", y=f"{down + 4:.1f}", class_="mark-label")
    cross = el("path", d=CROSS, transform=f"translate({across:.1f} {down:.1f})", class_="cross")
    area = el("circle", cx=f"{across:.1f}", cy=f"{down:.1f}", r="8", class_="target")
    return _linked(el("g", el("title", mark.title), area, cross, number if numbered else None), mark.link)


def _end_labels(lines: Sequence[Line], x: Scale, y: Scale) -> list[Html]:
    ended = [line for line in lines if line.labelled and line.points]
    ends = [y(line.points[-1].y) for line in ended]
    drawn = []
    for line, end, place in zip(ended, ends, spread(ends, _LABEL_GAP, y.end, y.start), strict=True):
        # The line may end before the axis does: the leader starts where it ends.
        leader = f"M{x(line.points[-1].x) + 5:.1f} {end:.1f}L{x.end:.1f} {end:.1f}L{x.end + 12:.1f} {place:.1f}h6"
        text = el(
            "text",
            short(line.name, 18),
            x=f"{x.end + 22:.1f}",
            y=f"{place + 4:.1f}",
            class_=f"name {css_class(line.style)}",
        )
        drawn.append(el("g", el("title", line.name), path(leader, f"leader {css_class(line.style)}"), text))
    return drawn


def _linked(drawn: Html, link: str) -> Html:
    # The tables have the same links for the keyboard; hundreds of points would be in the way of the tab key.
    return el("a", drawn, href=link, tabindex="-1") if link else drawn
