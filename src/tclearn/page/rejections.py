"""Candidates that became no block, and why."""

from __future__ import annotations

from typing import Final

from tclearn.page import text
from tclearn.page.facts import Facts
from tclearn.page.markup import Child, Html, el
from tclearn.page.tables import fold, heading, number, row, section, table
from tclearn.page.votes import total, vote_glyph
from tclearn.protocols.tclearn.history import Step
from tclearn.protocols.tclearn.records import EXPIRED, REFUSED, REJECTED, STALE, UNDECIDED, Candidate

_KINDS: Final = {
    REJECTED: "rejected",
    REFUSED: "refused",
    EXPIRED: "expired",
    UNDECIDED: "undecided",
    STALE: "stale",
}
_MEANING: Final = {
    REJECTED: "tested, and voted down; “why” is the comparison of the first validator that said no, G and its L merged",
    REFUSED: "for cause, before anybody tested it",
    EXPIRED: "not released in time, or undecided by every committee; without blame",
    UNDECIDED: "too few verdicts for a decision; without blame",
    STALE: "another candidate was accepted first, or the model was reverted",
}


def rejections(facts: Facts) -> Html:
    """The section."""
    title = "What did not become a block"
    steps = [step for step in facts.steps if step.status in _KINDS]
    ended = [(step, candidate) for step in steps if (candidate := facts.candidate(step))]
    if not ended:
        nothing = "No candidate has failed so far." if facts.steps else "No candidate has been offered yet."
        return section("rejections", title, el("p", nothing, class_="quiet"))
    kinds = [kind for kind in _KINDS if facts.counted(kind)]
    meaning = el("ul", [el("li", el("b", f"{_KINDS[kind]}: "), _MEANING[kind]) for kind in kinds], class_="legend")
    head: list[Child] = ["candidate", "from", "outcome", "why", heading("on G", "num"), heading("yes", "num")]
    head += [heading("records", "num"), heading("for block", "num"), heading("ledger entry", "num")]
    rows = [_row(step, candidate) for step, candidate in ended]
    return section("rejections", title, meaning, table(head, rows, caption="candidates that became no block"))


def _row(step: Step, candidate: Candidate) -> Html:
    result = candidate.performance
    measured = text.paired(result) if result else "the median of the results shown; no quorum agreed on one"
    return row(
        candidate.number,
        text.short(step.member, 24),
        el("td", _KINDS[step.status], class_=f"outcome {step.status}"),
        el("td", el("span", _counted(step)), _ballots(step), class_="why"),
        number(text.share(step.performance), measured if step.performance is not None else None),
        number(total(step)),
        number(text.whole(step.samples)),
        number(candidate.height),
        number(step.entry),
        id_=f"candidate-{candidate.number}",
    )


def _counted(step: Step) -> Child:
    # The number that the reason is about is what a reader looks for: 204 of 204 records.
    before, found, after = step.reason.partition(str(step.count)) if step.count else (step.reason, "", "")
    return [before, el("b", found) if found else None, after]


def _ballots(step: Step) -> Html | None:
    if not step.ballots:
        return None
    lines = [
        el("li", el("b", ballot.member), " ", vote_glyph(step, ballot), f" {ballot.reason}" if ballot.reason else None)
        for ballot in step.ballots
    ]
    return fold("validator by validator", el("ul", lines, class_="plain"), css="inline")
