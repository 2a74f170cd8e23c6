"""Performance per increment on G and on every local test set (Lugan et al. 2019, §V, figures 5 and 6)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from tclearn.coalition.evidence import Paired
from tclearn.encoding import MemberId
from tclearn.page import text
from tclearn.page.charts import Chart, Line, Point
from tclearn.page.facts import Facts, Local
from tclearn.page.glyphs import COLOURS
from tclearn.page.markup import Child, Html, el
from tclearn.page.tables import figure, fold, heading, link, number, row, section, table
from tclearn.protocols.tclearn.records import REJECTED

_DOTS_MAX: Final = 1500
_Series = Mapping[MemberId, Mapping[int, Local]]


def performance(facts: Facts) -> Html:
    """The section."""
    name = text.metric(facts.charter.task.metric)
    title = f"Performance: {name} after each increment"
    marks = tuple(_rejected(facts))
    if facts.state.tip == 0 and not marks:
        return section("performance", title, el("p", "No increment has been tested yet.", class_="quiet"))
    series = facts.local
    chart = Chart(
        title=f"{name} after each increment, on the global test set and on every local one",
        x_label="block",
        y_label=name,
        x_range=(1, max([facts.state.tip, *(math.ceil(mark.x) for mark in marks)])),
        lines=(_global_line(facts), *_local_lines(series)),
        marks=marks,
        rules=tuple(_reverts(facts)),
    )
    reading, caption = el("p", _reading(facts, series)), _caption(facts, series)
    return section(
        "performance", title, reading, figure(chart, caption), fold("Exact numbers", _numbers(facts, series))
    )


def _global_line(facts: Facts) -> Line:
    points = []
    for chained in facts.blocks[1:]:
        block, result = chained.block, chained.block.performance
        if result is not None:
            title = f"G after block {block.index}, {block.contributor or 'a revert'}: {text.paired(result)}"
            points.append(Point(block.index, result.candidate / result.scale, title, f"#block-{block.index}"))
    return Line("G, global", tuple(points), "main")


def _local_lines(series: _Series) -> Iterator[Line]:
    shown = {member: {index: local for index, local in known.items() if index} for member, known in series.items()}
    shown = {member: known for member, known in shown.items() if known}
    few = len(shown) <= COLOURS
    dots = few or sum(map(len, shown.values())) <= _DOTS_MAX
    last = {member: known[max(known)].value for member, known in shown.items()}
    outermost = {min(last, key=last.__getitem__), max(last, key=last.__getitem__)} if last else set()
    for place, (member, known) in enumerate(shown.items()):
        yield Line(
            name=f"L, {member}",
            points=tuple(_local_point(member, index, local, dots) for index, local in known.items()),
            style=place if few else "rest",
            labelled=few or member in outermost,
        )


def _local_point(member: MemberId, index: int, local: Local, dot: bool) -> Point:
    if not dot:
        return Point(index, local.value)
    title = f"L of {member} after block {index}: {_local_words(local)}"
    return Point(index, local.value, title, f"#block-{index}", hollow=not local.direct)


def _local_words(local: Local) -> str:
    words = text.paired(local.result, "candidate" if local.direct else "reference")
    return words if local.direct else f"{words}, measured beside a later candidate"


def _rejected(facts: Facts) -> Iterator[Point]:
    steps = [(step, facts.candidate(step)) for step in facts.steps if step.status == REJECTED]
    rivals = Counter(candidate.height for _, candidate in steps if candidate)
    seen: Counter[int] = Counter()
    for step, candidate in steps:
        if candidate is None or step.performance is None:
            continue
        # Between the block it was trained from and the one it would have become; several stand side by side.
        seen[candidate.height] += 1
        place = seen[candidate.height] / (rivals[candidate.height] + 1) - 0.5
        agreed = candidate.performance
        measured = text.paired(agreed) if agreed else f"{step.performance:.4f}, not agreed on"
        title = (
            f"candidate {candidate.number} of {step.member}, rejected with {step.yes} of {len(step.ballots)} votes; "
            f"on G: {measured}; {step.reason}"
        )
        yield Point(candidate.height - 0.5 + 0.4 * place, step.performance, title, f"#candidate-{candidate.number}")


def _reverts(facts: Facts) -> Iterator[tuple[int, str]]:
    for chained in facts.blocks:
        if chained.block.reverts is not None:
            yield chained.block.index, f"back to block {chained.block.reverts}"


def _reading(facts: Facts, series: _Series) -> str:
    name = text.metric(facts.charter.task.metric)
    known = [chained.block for chained in facts.blocks if chained.block.performance]
    if not known:
        return "No increment has been accepted yet."
    first, last = known[0], known[-1]
    words = f"{name[0].upper()}{name[1:]} on G: {_value(last.performance)} after block {last.index}"
    if last.index > first.index:
        words += f", {_value(first.performance)} after block {first.index}"
    newest = {member: of[last.index].value for member, of in series.items() if last.index in of}
    if not newest:
        return f"{words}."
    low, high = min(newest, key=newest.__getitem__), max(newest, key=newest.__getitem__)
    if low == high:
        return f"{words}; {newest[low]:.3f} on the local test set of {low}."
    spread = f"between {newest[low]:.3f} ({low}) and {newest[high]:.3f} ({high})"
    return f"{words}. On the local test sets of {len(newest)} members the newest block reaches {spread}."


def _value(result: Paired | None) -> str:
    return text.share(result.candidate / result.scale if result else None, 3)


def _caption(facts: Facts, series: _Series) -> list[Child]:
    words: list[Child] = [
        f"G is the global test set of {text.plural(facts.charter.task.global_n, 'record')} that all members share. "
    ]
    if facts.charter.local_results == "vote":
        words.append("In this coalition members publish only their votes on their local test sets, so G stands alone. ")
    elif any(series.values()):
        words.append("L is a member’s own local test set, as that member measured it. ")
        if any(not local.direct for of in series.values() for index, local in of.items() if index):
            words.append(
                "A hollow point was measured beside a later candidate: nobody votes on its own increment, and not "
                "everybody is drawn. "
            )
        if sum(any(of) for of in series.values()) > COLOURS:
            words.append("Of so many members only the highest and the lowest at the end are named. ")
    if any(True for _ in _rejected(facts)):
        words.append("× is a rejected candidate, between the block it was trained from and the one it did not become. ")
    words.append("Point at anything for its numbers.")
    return words


def _numbers(facts: Facts, series: _Series) -> Html:
    members = [member for member in facts.everybody if series[member]]
    head = ["block", "from", "G", *(heading(f"L, {member}", "num") for member in members)]
    head[2] = heading("G", "num")
    rows = []
    for chained in facts.blocks:
        block = chained.block
        result, side = (block.performance, "candidate") if block.index else (_untrained(facts), "reference")
        value = (result.candidate if block.index else result.reference) / result.scale if result else None
        cells: list[Child] = [number(text.share(value), text.paired(result, side))]
        for member in members:
            local = series[member].get(block.index)
            mark = "" if local is None or local.direct else "°"
            cells.append(number(text.share(local.value) + mark, _local_words(local)) if local else number(text.NONE))
        who = block.contributor or "M₀, untrained"
        rows.append(row(link(block.index, f"#block-{block.index}"), el("td", who), *cells))
    note = el("p", "° measured beside a later candidate, as what it was compared with.", class_="quiet")
    shown = table(head, rows, caption=f"{text.metric(facts.charter.task.metric)} by block and test set", css="numbers")
    return el("div", shown, note if any(series.values()) else None)


def _untrained(facts: Facts) -> Paired | None:
    measured = (candidate.performance for candidate in facts.candidates if candidate.reference == 0)
    return next((result for result in measured if result is not None), None)
