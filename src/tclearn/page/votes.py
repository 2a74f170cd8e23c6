"""Who voted what on which candidate."""

from __future__ import annotations

from typing import Final

from tclearn.encoding import MemberId
from tclearn.page import text
from tclearn.page.facts import APPROVED, SPARED, UNAPPROVED, WAITING, Facts, vote_shown
from tclearn.page.markup import Child, Html, el
from tclearn.page.tables import heading, link, number, row, section, table
from tclearn.protocols.tclearn.history import PENDING, REVERTED, Ballot, Step
from tclearn.protocols.tclearn.records import OPEN, REFUSED

_GLYPHS: Final = {
    "yes": "✓",
    "no": "✗",
    "unavailable": "∅",
    "missing": "?",
    WAITING: "…",
    SPARED: "·",
    APPROVED: "✓",
    UNAPPROVED: "·",
}
_WORDS: Final = {
    "yes": "yes",
    "no": "no",
    "unavailable": "could not load the candidate; counts as no",
    "missing": "no verdict in time",
    WAITING: "no verdict yet",
    SPARED: "not needed",
    APPROVED: "approved",
    UNAPPROVED: "had not approved",
}
_LEGEND: Final = (
    ("yes", "yes", "yes"),
    ("no", "no", "no"),
    ("unavailable", "unavailable", "unavailable, counts as no"),
    ("missing", "missing", "no verdict in time"),
    ("yes deviating", "yes", "underlined: its result on G is not the agreed one"),
)


def votes(facts: Facts) -> Html:
    """The section."""
    title = "Votes on every candidate"
    if not facts.steps:
        return section("votes", title, el("p", "No candidate has been offered yet.", class_="quiet"))
    head: list[Child] = ["block", "from", heading("on G", "num"), heading("yes", "num"), "outcome"]
    head += [heading(el("span", text.short(member)), "upright", member) for member in facts.everybody]
    rows = [_row(facts, step) for step in facts.steps]
    legend = [el("li", el("span", _GLYPHS[vote], class_=f"vote {css}"), words) for css, vote, words in _LEGEND]
    legend.append(el("li", el("span", "●", class_="vote own"), "its own candidate"))
    return section(
        "votes",
        title,
        el("p", "One row a candidate, in the order of the ledger. Point at a vote for the comparison behind it."),
        el("ul", legend, class_="legend"),
        table(head, rows, caption="Votes by candidate and member", css="votes"),
    )


def vote_glyph(step: Step, ballot: Ballot) -> Html:
    """A vote as its sign and word."""
    shown = vote_shown(step, ballot)
    return el("span", _GLYPHS[shown], " ", _WORDS[shown].partition(";")[0], class_=f"vote {shown}")


def total(step: Step) -> str:
    """``"5/6"``, or a dash where nobody was asked."""
    return f"{step.yes}/{len(step.ballots)}" if step.ballots else text.NONE


def _row(facts: Facts, step: Step) -> Html:
    known = {ballot.member: ballot for ballot in step.ballots}
    if step.status == REFUSED or not known:
        why = step.reason if step.status not in OPEN else "not tested yet"
        votes_cast = [el("td", why, colspan=len(facts.everybody), class_="why")]
    else:
        votes_cast = [_cell(step, member, known.get(member)) for member in facts.everybody]
    outcome = "revert" if step.status == REVERTED else step.status
    undone = step.block is not None and step.status != REVERTED and step.block not in facts.present
    words = f"{outcome}, undone" if undone else outcome
    anchor = facts.anchor(step)
    elsewhere = step.block is None and step.status not in OPEN and step.status != PENDING
    return row(
        link(step.block, anchor) if step.block is not None else text.NONE,
        text.short(step.member or text.NONE, 24),
        number(text.share(step.performance)),
        number(total(step)),
        el("td", link(words, anchor) if elsewhere else words, class_=f"outcome {outcome}"),
        *votes_cast,
        css="undone" if undone else None,
    )


def _cell(step: Step, member: MemberId, ballot: Ballot | None) -> Html:
    if ballot is None:
        if member == step.member:
            return el("td", "●", class_="vote own", title=f"{member}: its own candidate")
        return el("td", class_="vote", title=f"{member}: not drawn")
    shown = vote_shown(step, ballot)
    words = f"{member}: {_WORDS[shown]}"
    if ballot.reason:
        words += f" · {ballot.reason}"
    if ballot.on_global is not None:
        words += f" · on G {ballot.on_global:.4f}"
    if ballot.on_local is not None:
        words += f", on L {ballot.on_local:.4f} ({text.plural(ballot.local_n, 'record')})"
    elif ballot.on_global is not None and ballot.local_n == 0:
        words += ", nothing published on L"
    if ballot.on_hidden is not None:
        words += f", on the hidden part {ballot.on_hidden:.4f}"
    if ballot.deviating:
        words += " · deviates from the agreed result on G"
    return el("td", _GLYPHS[shown], class_=f"vote {shown}{' deviating' if ballot.deviating else ''}", title=words)
