"""Strengths over time: S_i of every block (Lugan et al. 2019, §III.A, equation 2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from tclearn.coalition.draw import committee_size
from tclearn.coalition.evidence import MILLION
from tclearn.encoding import MemberId
from tclearn.page import text
from tclearn.page.charts import Chart, Line, Point
from tclearn.page.facts import Facts
from tclearn.page.glyphs import COLOURS
from tclearn.page.markup import Html, el
from tclearn.page.tables import figure, fold, heading, link, number, row, section, table

_STRONGEST: Final = 5
_PROPORTION: Final = 4
_TITLE: Final = "Strengths: who is drawn to test"


def strength(facts: Facts) -> Html:
    """The section."""
    if facts.state.tip == 0:
        equal = f"Nobody has contributed yet: every member’s strength is 1/{len(facts.members)}."
        return section("strength", _TITLE, el("p", equal, class_="quiet"))
    first = _settled(facts)
    chart = Chart(
        title="strength of every member after each block",
        x_label="block",
        y_label="strength S",
        x_range=(first, facts.state.tip),
        lines=tuple(_lines(facts, first)),
        bounds=(0.0, 2.0),
        from_zero=True,
    )
    numbers = fold("Exact numbers", _numbers(facts))
    return section("strength", _TITLE, el("p", _reading(facts)), figure(chart, _caption(first)), numbers)


def _lines(facts: Facts, first: int) -> Iterator[Line]:
    few = len(facts.everybody) <= COLOURS
    final = facts.tip.block.strengths
    strongest = sorted(facts.everybody, key=lambda member: (-final.get(member, 0), member))[:_STRONGEST]
    # Strong members first: they are drawn on top.
    for member in facts.everybody if few else [*strongest, *(m for m in facts.everybody if m not in strongest)]:
        place = facts.everybody.index(member) if few else strongest.index(member) if member in strongest else None
        points = tuple(point for point in _points(facts, member, place is not None) if point.x >= first)
        if not points:
            continue  # it has left before
        yield Line(
            name=member,
            points=points,
            style="rest" if place is None else place,
            labelled=place is not None,
        )


def _points(facts: Facts, member: MemberId, dots: bool) -> Iterator[Point]:
    before = 0
    for chained in facts.blocks:
        block = chained.block
        if member not in block.strengths:
            continue  # it was no member
        value, own = block.strengths[member] / MILLION, block.contributions[member]
        # Every strength moves with every block; a dot is where the member itself moved it.
        title = f"{member} after block {block.index}: S = {value:.4f}, {text.plural(own, 'record')}"
        yield Point(block.index, value, title if dots and own != before else "", f"#block-{block.index}")
        before = own


def _reading(facts: Facts) -> str:
    size = committee_size(len(facts.members))
    drawn = (
        "In a coalition of this size everybody but the proposer tests every candidate, so strength decides only the "
        "order in which they become general."
        if size == len(facts.members) - 1
        else f"{size} of {len(facts.members)} members are drawn for each candidate, the stronger ones more often."
    )
    return f"S = 1/N + D of the member / D of all: who has brought more records is drawn more often. {drawn}"


def _settled(facts: Facts) -> int:
    # The first contributors hold nearly everything for a while. Where many blocks follow, that would be all there is to
    # see, so the chart begins when no strength is out of proportion to those of the newest block.
    greatest = [max(chained.block.strengths.values()) for chained in facts.blocks]
    high = [index for index, strength in enumerate(greatest) if strength > _PROPORTION * greatest[-1]]
    return high[-1] + 1 if high else 0


def _caption(first: int) -> str:
    left_out = f"Blocks 0 to {first - 1} are left out: the first contributors held nearly everything. " if first else ""
    return left_out + (
        "Strength never weighs a vote. For the draw a member’s records are capped at twice the median of those who "
        "have brought any; the numbers here are uncapped."
    )


def _numbers(facts: Facts) -> Html:
    head: Sequence[Html | str] = ["block", "from", *(heading(member, "num") for member in facts.everybody)]
    rows = []
    for chained in facts.blocks:
        block = chained.block
        strengths = [block.strengths.get(member) for member in facts.everybody]
        cells = [
            number(text.NONE) if strength is None else number(f"{strength / MILLION:.4f}", f"{strength} millionths")
            for strength in strengths
        ]
        rows.append(row(link(block.index, f"#block-{block.index}"), el("td", block.contributor or text.NONE), *cells))
    return table(head, rows, caption="strength by block and member", css="numbers")
