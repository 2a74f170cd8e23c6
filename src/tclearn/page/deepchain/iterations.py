"""Iterations: what every member did in each, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tclearn.encoding import MemberId
from tclearn.page import text
from tclearn.page.deepchain.facts import Facts
from tclearn.page.deepchain.words import LEGEND, lost, marks
from tclearn.page.markup import Child, Html, el
from tclearn.page.tables import fold, heading, link, number, row, section, table
from tclearn.protocols.deepchain.history import Course
from tclearn.protocols.deepchain.records import SUMS, Block

_COLUMNS_MAX: Final = 100
_FINES_AT_ONCE: Final = 6
_SEVERITY: Final = ("no", "unavailable", "missing", "yes", "absent")


def iterations(facts: Facts) -> Html:
    """The section."""
    title = "Iterations: what each member did"
    if not facts.courses:
        return section("iterations", title, el("p", "No iteration has begun yet.", class_="quiet"))
    shown = facts.courses[-_COLUMNS_MAX:]
    return section(
        "iterations",
        title,
        el(
            "p",
            f"One row a member, one column an iteration. Point at a sign for what it stands for.{_left(facts, shown)}",
        ),
        _legend(facts, shown),
        _grid(facts, shown),
        el("h3", "One by one"),
        _table(facts),
    )


def _left(facts: Facts, shown: tuple[Course, ...]) -> str:
    return "" if len(shown) == len(facts.courses) else f" Only the newest {len(shown)} are here."


def _legend(facts: Facts, shown: Iterable[Course]) -> Html:
    # Only what occurs: in most coalitions that is three or four of them.
    seen = {mark for course in shown for member in facts.everybody for mark, _ in marks(course, member)}
    items = [el("li", el("span", mark.sign, class_=f"vote {mark.css}"), mark.words) for mark in LEGEND if mark in seen]
    failed = next((course.number for course in shown if course.ended and course.round is None), None)
    if failed is not None:
        items.append(el("li", el("span", failed, class_="vote struck"), "failed: nothing was opened"))
    return el("ul", items, class_="legend")


def _grid(facts: Facts, shown: Iterable[Course]) -> Html:
    head: list[Child] = ["member", "role"]
    head += [_column(course) for course in shown]
    rows = [
        row(
            el("span", text.short(member, 24), title=member),
            facts.role(member),
            *(_cell(course, member) for course in shown),
        )
        for member in facts.everybody
    ]
    return table(head, rows, caption="What each member did, by iteration", css="votes grid")


def _column(course: Course) -> Html:
    failed = course.ended and course.round is None
    title = f"iteration {course.number}: {_outcome(course)}"
    return heading(link(course.number, f"#iteration-{course.number}"), "struck sign" if failed else "sign", title)


def _cell(course: Course, member: MemberId) -> Html:
    said = marks(course, member)
    classes = [css for mark, _ in said for css in mark.css.split()]
    worst = next((css for css in _SEVERITY if css in classes), classes[0])
    words = "; ".join(what for _, what in said)
    signs = [el("span", mark.sign, class_=f"vote {mark.css}") for mark, _ in said]
    return el("td", signs, class_=f"vote {worst}", title=f"{member}, iteration {course.number}: {words}")


def _table(facts: Facts) -> Html:
    head: list[Child] = ["iteration", "outcome", heading("counted", "num"), "leader"]
    if facts.accuracies:
        head.append(heading(text.metric(facts.terms.task.metric), "num"))
    head += ["block", "opened sum", "fines"]
    rows = [_row(facts, course) for course in facts.listed]
    hidden = len(facts.courses) - len(rows)
    note = el("p", f"The first {text.whole(hidden)} are left out here.", class_="quiet") if hidden else None
    return el("div", note, table(head, rows, caption="iterations", css="courses"))


def _row(facts: Facts, course: Course) -> Html:
    failed = course.ended and course.round is None
    left_out = [party for party in course.parties if party not in course.counted]
    counted = f"counted: {', '.join(course.counted) or text.NONE}; not: {', '.join(left_out) or text.NONE}"
    cells: list[Child] = [
        el("td", _outcome(course), class_=f"outcome {'rejected' if failed else 'accepted' if course.ended else ''}"),
        number(f"{len(course.counted)} of {len(facts.terms.parties)}", counted),
        el("td", _leaders(course)),
    ]
    if facts.accuracies:
        cells.append(number(text.share(facts.accuracies.get(course.number))))
    opened = text.brief_hash(course.opened) if course.opened is not None else text.NONE
    cells += [el("td", _block(course)), el("td", opened), el("td", _fines(course), class_="why")]
    return row(course.number, *cells, id_=f"iteration-{course.number}")


def _outcome(course: Course) -> str:
    if not course.ended:
        return "under way"
    return "failed" if course.round is None else "opened"


def _leaders(course: Course) -> Child:
    if not course.blocks:
        return text.NONE
    shown: list[Child] = []
    for place, block in enumerate(course.blocks):
        # A void block follows the one that it takes back, and has the same leader.
        if block.leader is None or (place + 1 < len(course.blocks) and block.kind == SUMS):
            continue
        name = text.short(block.leader, 24)
        drawn = el("span", name, title=f"{block.leader}: {_block_words(block)}")
        shown += [" " if shown else None, drawn if block.kind == SUMS else el("s", drawn, class_="struck")]
    return shown or text.NONE


def _block(course: Course) -> Child:
    if not course.blocks:
        return text.NONE
    block = course.blocks[-1]
    note = None if block.kind == SUMS else el("small", _block_words(block))
    return [f"{block.number}: ", text.brief_hash(block.hash), note]


def _block_words(block: Block) -> str:
    return f"block {block.number}" if block.kind == SUMS else f"block {block.number} is {block.kind}: {block.reason}"


def _fines(course: Course) -> Child:
    lines = [el("li", el("b", fine.member), f": {lost(fine)}") for fine in course.fines]
    if not lines:
        return text.NONE
    listed = el("ul", lines, class_="plain")
    return listed if len(lines) <= _FINES_AT_ONCE else fold(text.plural(len(lines), "fine"), listed, css="inline")
