"""Who has read which version when, at level B."""

from __future__ import annotations

from typing import Final

from tclearn.encoding import MemberId
from tclearn.page import text
from tclearn.page.facts import Facts
from tclearn.page.markup import Child, Html, el
from tclearn.page.tables import fold, heading, link, number, row, section, table
from tclearn.protocols.tclearn.reading_journal import (
    DELIVERED,
    GRANTED,
    TRAINED,
    Holder,
    Reading,
    Statistics,
    all_holders,
    journal,
    statistics,
)

# Signs and colours as those of the votes: sure, unsure, one's own.
_SIGNS: Final = {TRAINED: ("●", "own"), DELIVERED: ("●", "yes"), GRANTED: ("○", "missing")}
_WORDS: Final = {
    TRAINED: "trained it",
    DELIVERED: "has confirmed that it has it",
    GRANTED: "was granted it and never confirmed: it may have it or not",
}


def readings(facts: Facts) -> Html | None:
    """The section; ``None`` where there is no vault."""
    if facts.charter.vault is None:
        return None
    noted = journal(facts.state)
    by_name = {each.member: each for each in statistics(facts.state)}
    members = text.in_order(by_name)
    title = "Readings: who had which version"
    legend = el(
        "ul",
        [el("li", el("span", _SIGNS[how][0], class_=f"vote {_SIGNS[how][1]}"), _WORDS[how]) for how in _SIGNS],
        class_="legend",
    )
    head: list[Child] = ["block", "from", heading("had it", "num")]
    head += [heading(el("span", text.short(member)), "upright", member) for member in members]
    versions = all_holders(facts.state)
    if not versions:
        return section("readings", title, el("p", "No version lies in the vault yet.", class_="quiet"))
    return section(
        "readings",
        title,
        el(
            "p",
            "One row a version. Point at a sign for the times. A revert restores the version of its target.",
        ),
        legend,
        table(
            head,
            [_version(facts, index, holders, members) for index, holders in versions.items()],
            caption="versions by member",
            css="votes",
        ),
        el("h3", "Readings by member"),
        table(*_members([by_name[member] for member in members]), caption="readings by member"),
        fold(f"every reading ({text.whole(len(noted))})", table(*_every(noted), caption="every reading"))
        if noted
        else None,
        el(
            "p",
            "Whoever runs the vault has every version, and what members hand on to others is in no journal.",
            class_="quiet",
        ),
    )


def _version(facts: Facts, index: int, found: list[Holder], members: list[MemberId]) -> Html:
    holders = {each.member: each for each in found}
    block = facts.blocks[index].block
    return row(
        link(index, f"#block-{index}"),
        text.short(block.contributor or text.NONE, 24),
        number(len(holders)),
        *(_cell(member, holders.get(member)) for member in members),
    )


def _cell(member: MemberId, holder: Holder | None) -> Html:
    if holder is None:
        return el("td", class_="vote", title=f"{member}: has never been granted it")
    sign, css = _SIGNS[holder.how]
    words = f"{member}: {_WORDS[holder.how]} · since {text.moment(holder.since_ms)}"
    if holder.delivered_ms is not None:
        words += f" · confirmed {text.moment(holder.delivered_ms)}"
    if holder.readings:
        words += f" · reading {', '.join(map(str, holder.readings))}"
    return el("td", sign, class_=f"vote {css}", title=words)


def _members(counted: list[Statistics]) -> tuple[list[Child], list[Html]]:
    head: list[Child] = ["member"]
    head += [
        heading(name, "num") for name in ("to train", "to test", "for use", "confirmed", "unknown", "left for use")
    ]
    rows = [
        row(
            text.short(each.member, 24),
            *(number(text.whole(many)) for many in (each.train, each.test, each.use, each.delivered, each.unknown)),
            number("no member" if each.left is None else text.whole(each.left)),
        )
        for each in counted
    ]
    return head, rows


def _every(noted: list[Reading]) -> tuple[list[Child], list[Html]]:
    head: list[Child] = [
        "reading",
        "time (UTC)",
        "member",
        "of",
        "to",
        "confirmed (UTC)",
        heading("ledger entry", "num"),
    ]
    return head, [
        row(
            each.number,
            text.moment(each.time_ms).removesuffix(" UTC"),
            text.short(each.member, 24),
            _what(each),
            each.purpose,
            "unknown" if each.delivered_ms is None else text.moment(each.delivered_ms).removesuffix(" UTC"),
            number(text.whole(each.entry)),
        )
        for each in noted
    ]


def _what(reading: Reading) -> Child:
    if reading.versions:
        return f"block {', '.join(map(str, reading.versions))}"
    return "a hidden part" if reading.candidate is None else f"candidate {reading.candidate}"
