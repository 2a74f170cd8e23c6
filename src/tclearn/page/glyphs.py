"""The small pictures: shapes of series, legend swatches, bars and sparklines for table cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tclearn.page.markup import Html, el
from tclearn.page.scales import Scale

Style = int | str
"""How a series looks: ``"main"``, ``"rest"``, ``"reference"``, or the number of a colour and shape."""
COLOURS: Final = 8
"""Series that can be told apart by colour and shape."""
CROSS: Final = "M-4 -4L4 4M4 -4L-4 4"
_DIVERGING: Final = 200.0

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


def css_class(style: Style) -> str:
    """The class that gives a series its colour."""
    return f"s{style}" if isinstance(style, int) else style


def path(drawn: str, css: str) -> Html:
    """A path in a class."""
    return el("path", d=drawn, class_=css)


def shape(style: Style, across: float, down: float, *, hollow: bool = False) -> Html:
    """The shape of a series' points, at a place."""
    drawn = _SHAPES[style % COLOURS] if isinstance(style, int) else _SHAPES[0]
    state = " hollow" if hollow else ""
    return el("path", d=drawn, transform=f"translate({across:.1f} {down:.1f})", class_=f"dot {css_class(style)}{state}")


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
        path("M" + "L".join(f"{across:.1f} {down:.1f}" for across, down in places), "line"),
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


def diverging(minus: int, plus: Sequence[int], *, least: int, most: int) -> Html:
    """What is lost to the left of a line, what is gained to the right, for a table cell that has the numbers beside it.

    Args:
        minus: lost.
        plus: gained, of several kinds, one after the other.
        least: the most that anybody has lost, which sets the scale with ``most``.
        most: the most that anybody has gained.
    """
    scale = Scale(-least, max(most, 1 - least), 0, _DIVERGING)
    bars = [_piece(scale, -minus, 0, "minus")] if minus else []
    end = 0
    for kind, number in enumerate(plus):
        if number:
            bars.append(_piece(scale, end, end + number, f"plus p{kind}"))
        end += number
    zero = path(f"M{scale(0):.1f} 0V12", "zero")
    return el("svg", bars, zero, viewBox=f"0 0 {_DIVERGING:g} 12", class_="diverging", aria_hidden="true")


def _piece(scale: Scale, start: int, end: int, css: str) -> Html:
    width = scale(end) - scale(start)
    return el("rect", x=f"{scale(start):.1f}", y="1", width=f"{width:.1f}", height="10", class_=css)


def swatch(style: Style) -> Html:
    """A short piece of a line with its shape, for legends."""
    point = shape(style, 12, 6) if style not in ("rest", "reference") else None
    stroke = path("M0 6H24", f"line {css_class(style)}")
    return el("svg", stroke, point, viewBox="0 0 24 12", class_="swatch", aria_hidden="true")
