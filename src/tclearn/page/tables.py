"""Pieces that the report is made of: sections, tables, lists of facts, figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tclearn.page.charts import Chart, line_chart
from tclearn.page.glyphs import swatch
from tclearn.page.markup import Child, Html, el

_WIDE = (960.0, 400.0)
_NARROW = (420.0, 340.0)
_ROWS_AT_ONCE = 40


def section(name: str, title: str, *children: Child) -> Html:
    """A part of the report with its heading; ``name`` is its anchor."""
    return el("section", el("h2", title, id=f"{name}-title"), children, id=name, aria_labelledby=f"{name}-title")


def facts(pairs: Iterable[tuple[Child, Child]], css: str = "facts") -> Html:
    """Names and values below each other."""
    return el("dl", [el("div", el("dt", name), el("dd", value)) for name, value in pairs], class_=css)


def table(head: Sequence[Child], rows: Iterable[Html], *, caption: str = "", css: str = "") -> Html:
    """A table that scrolls sideways when it does not fit.

    Args:
        head: the column headings; an ``Html`` cell is taken as it is.
        rows: made by ``row``.
        caption: what it shows, for those who do not see what stands around it.
        css: a class.
    """
    cells = [one if isinstance(one, Html) and one.startswith("<th") else el("th", one, scope="col") for one in head]
    listed = list(rows)
    body = el(
        "table",
        el("caption", caption) if caption else None,
        el("thead", el("tr", cells)),
        el("tbody", listed),
        class_=css or None,
    )
    # Reachable by keyboard, because it may have to be scrolled.
    scroll = "scroll long" if len(listed) > _ROWS_AT_ONCE else "scroll"
    return el("div", body, class_=scroll, tabindex="0", role="region", aria_label=caption or None)


def row(first: Child, *others: Child, id_: str | None = None, css: str | None = None) -> Html:
    """A row: its heading, and its cells; an ``Html`` cell is taken as it is."""
    cells = [one if isinstance(one, Html) and one.startswith("<td") else el("td", one) for one in others]
    return el("tr", el("th", first, scope="row"), cells, id=id_, class_=css)


def number(value: Child, title: str | None = None) -> Html:
    """A cell with a number, set flush right."""
    return el("td", value, class_="num", title=title)


def heading(text: Child, css: str, title: str | None = None) -> Html:
    """A column heading in a style of its own."""
    return el("th", text, scope="col", class_=css, title=title)


def link(text: Child, target: str) -> Html:
    """A link within the report."""
    return el("a", text, href=target)


def figure(chart: Chart, caption: Child) -> Html:
    """A chart in two widths, of which the style sheet shows the one that fits, with legend and caption."""
    wide = el("div", line_chart(chart, width=_WIDE[0], height=_WIDE[1], labels=True), class_="wide")
    narrow = el("div", line_chart(chart, width=_NARROW[0], height=_NARROW[1], labels=False), class_="narrow")
    shown = [line for line in chart.lines if line.labelled]
    legend = el("ul", [el("li", swatch(line.style), line.name) for line in shown], class_="legend narrow")
    return el("figure", wide, narrow, legend, el("figcaption", caption))


def fold(title: Child, *children: Child, id_: str | None = None, css: str | None = None) -> Html:
    """Something that opens when its title is clicked."""
    return el("details", el("summary", title), children, id=id_, class_=css)
