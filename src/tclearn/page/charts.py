"""Line charts and sparklines as SVG: pure functions from data to markup. Colours are classes; the style sheet has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tclearn.page.markup import Html, el
from tclearn.page.scales import Scale, index_ticks, round_interval, spread, tick_texts, ticks
from tclearn.page.text import short

COLOURS: Final = 8
"""Series that a chart can tell apart by colour and shape."""

_MARGIN: Final = (34.0, 16.0, 46.0, 46.0)  # top, right, bottom, left
_LABELS: Final = 148.0
_STRIP: Final = 26.0
_LABEL_GAP: Final = 16.0
_DENSE: Final = 12.0
_LABELLED_MARKS_MAX: Final = 12
_SHAPES: Final = (
    "M-3.4 0a3.4 3.4 0 1 0 6.8 0a3.4 3.4 0 1 0 -6.8 0Z",
    "M-3 -3H3V3H-3Z",
    "M0 -4.2L4.2 0L0 4.2L-4.2 0Z",
    "M0 -4L3.9 2.9H-3.9Z",
    "M0 4L3.9 -2.9H-3.9Z",
    "M-1.5 -4H1.5V-1.5H4V1.5H1.5V4H-1.5V1.5H-4V-1.5H-1.5Z",
    "M-4 -1.8H4V1.8H-4Z",
    "M-1.8 -4H1.8V4H-1.8Z",
)
_CROSS: Final = "M-4 -4L4 4M4 -4L-4 4"


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
        style: ``"main"``, ``"rest"``, or the number of a colour and shape.
        labelled: whether its name stands at its end, and in the legend.
    """

    name: str
    points: tuple[Point, ...]
    style: int | str
    labelled: bool = True

    @property
    def css(self) -> str:
        """The class that gives it its colour."""
        return f"s{self.style}" if isinstance(self.style, int) else self.style


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
    """

    title: str
    x_label: str
    y_label: str
    x_range: tuple[int, int]
    lines: tuple[Line, ...]
    marks: tuple[Point, ...] = ()
    rules: tuple[tuple[int, str], ...] = ()
    bounds: tuple[float, float] = (0.0, 1.0)

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
    strip = min(chart.numbers, default=lowest) < lowest
    floor = height - bottom - (_STRIP if strip else 0)
    parts = max(3, int((floor - top) / 44))
    y = _Vertical(*round_interval(min(shown), max(shown), parts, chart.bounds), floor, top)
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


def sparkline(values: Sequence[float], *, low: float, high: float, title: str) -> Html:
    """A series small enough for a table cell, its last value dotted."""
    if not values:
        return el("span", "–", class_="quiet")
    x = Scale(0, max(len(values) - 1, 1), 3, 93)
    y = Scale(low, high if high > low else low + 1, 21, 3)
    places = [(x(index), y(max(value, y.low))) for index, value in enumerate(values)]
    return el(
        "svg",
        el("title", title),
        _path("M" + "L".join(f"{across:.1f} {down:.1f}" for across, down in places), "line"),
        el("circle", cx=f"{places[-1][0]:.1f}", cy=f"{places[-1][1]:.1f}", r="2.2", class_="dot"),
        viewBox="0 0 96 24",
        class_="spark",
        role="img",
    )


def bar(share: float) -> Html:
    """A share, 0 to 1, as a bar for a table cell that has the number beside it."""
    track = el("rect", width="80", height="5", class_="track")
    filled = el("rect", width=f"{80 * share:.1f}", height="5", class_="filled")
    return el("svg", track, filled, viewBox="0 0 80 5", class_="share", aria_hidden="true")


def swatch(line: Line) -> Html:
    """A short piece of a line with its shape, for legends."""
    shape = _shape(line, 12, 6, hollow=False) if line.style != "rest" else None
    return el("svg", _path("M0 6H24", f"line {line.css}"), shape, viewBox="0 0 24 12", class_="swatch", aria_hidden="true")


class _Vertical(Scale):
    # Numbers below the axis lie on the strip under it.
    __slots__ = ()

    def __call__(self, number: float) -> float:
        return super().__call__(number) if number >= self.low - 1e-9 else self.start + _STRIP / 2 + 1


def _strip(x: Scale, floor: float) -> Html:
    area = _path(f"M{x.start:.1f} {floor + 2:.1f}H{x.end:.1f}V{floor + _STRIP:.1f}H{x.start:.1f}Z", "strip")
    words = el("text", "below", x=f"{x.start - 8:.1f}", y=f"{floor + 18:.1f}", class_="note", text_anchor="end")
    return el("g", area, words)


def _y_axis(chart: Chart, x: Scale, y: Scale, parts: int) -> list[Html]:
    numbers = ticks(y.low, y.high, parts)
    drawn = [el("text", chart.y_label, x="0", y="14", class_="axis-label")]
    for number, text in zip(numbers, tick_texts(numbers), strict=True):
        down = y(number)
        drawn.append(_path(f"M{x.start:.1f} {down:.1f}H{x.end:.1f}", "grid"))
        drawn.append(el("text", text, x=f"{x.start - 8:.1f}", y=f"{down + 4:.1f}", class_="tick", text_anchor="end"))
    return drawn


def _x_axis(chart: Chart, x: Scale, height: float) -> list[Html]:
    base = height - _MARGIN[2]
    drawn = [_path(f"M{x.start:.1f} {base:.1f}H{x.end:.1f}", "axis")]
    for number in index_ticks(*chart.x_range, max(2, int((x.end - x.start) / 44))):
        across = f"{x(number):.1f}"
        drawn.append(_path(f"M{across} {base:.1f}v5", "axis"))
        drawn.append(el("text", number, x=across, y=f"{base + 18:.1f}", class_="tick", text_anchor="middle"))
    middle = f"{(x.start + x.end) / 2:.1f}"
    drawn.append(el("text", chart.x_label, x=middle, y=f"{base + 38:.1f}", class_="axis-label", text_anchor="middle"))
    return drawn


def _rule(number: int, what: str, x: Scale, y: Scale) -> Html:
    across = f"{x(number):.1f}"
    text = el("text", what, x=f"{x(number) - 5:.1f}", y=f"{y.end + 2:.1f}", class_="note", text_anchor="end")
    return el("g", el("title", what), _path(f"M{across} {y.end - 8:.1f}V{y.start:.1f}", "rule"), text)


def _line(line: Line, x: Scale, y: Scale) -> Html:
    places = [(x(point.x), y(point.y)) for point in line.points]
    drawn, pen = "", "M"
    for point, (across, down) in zip(line.points, places, strict=True):
        if point.y < y.low:  # on the strip: the line is broken there
            pen = "M"
        else:
            drawn += f"{pen}{across:.1f} {down:.1f}"
            pen = "L"
    shown = [_path(drawn, "line")] if drawn else []
    for point, (across, down) in zip(line.points, places, strict=True):
        if point.title:
            dot = el("g", el("title", point.title), _shape(line, across, down, hollow=point.hollow))
            shown.append(_linked(dot, point.link))
    return el("g", el("title", line.name), shown, class_=f"series {line.css}")


def _mark(mark: Point, x: Scale, y: Scale, numbered: bool) -> Html:
    across, down = x(mark.x), y(mark.y)
    number = el("text", f"{mark.y:.3f}", x=f"{across + 8:.1f}", y=f"{down + 4:.1f}", class_="mark-label")
    cross = el("path", d=_CROSS, transform=f"translate({across:.1f} {down:.1f})", class_="cross")
    area = el("circle", cx=f"{across:.1f}", cy=f"{down:.1f}", r="8", class_="target")
    return _linked(el("g", el("title", mark.title), area, cross, number if numbered else None), mark.link)


def _end_labels(lines: Sequence[Line], x: Scale, y: Scale) -> list[Html]:
    ended = [line for line in lines if line.labelled and line.points]
    ends = [y(line.points[-1].y) for line in ended]
    drawn = []
    for line, end, place in zip(ended, ends, spread(ends, _LABEL_GAP, y.end, y.start), strict=True):
        # The line may end before the axis does: the leader starts where it ends.
        leader = f"M{x(line.points[-1].x) + 5:.1f} {end:.1f}L{x.end:.1f} {end:.1f}L{x.end + 12:.1f} {place:.1f}h6"
        text = el("text", short(line.name, 18), x=f"{x.end + 22:.1f}", y=f"{place + 4:.1f}", class_=f"name {line.css}")
        drawn.append(el("g", el("title", line.name), _path(leader, f"leader {line.css}"), text))
    return drawn


def _shape(line: Line, across: float, down: float, *, hollow: bool) -> Html:
    shape = _SHAPES[line.style % COLOURS] if isinstance(line.style, int) else _SHAPES[0]
    state = " hollow" if hollow else ""
    return el("path", d=shape, transform=f"translate({across:.1f} {down:.1f})", class_=f"dot {line.css}{state}")


def _linked(drawn: Html, link: str) -> Html:
    # The tables have the same links for the keyboard; hundreds of points would be in the way of the tab key.
    return el("a", drawn, href=link, tabindex="-1") if link else drawn


def _path(drawn: str, css: str) -> Html:
    return el("path", d=drawn, class_=css)
