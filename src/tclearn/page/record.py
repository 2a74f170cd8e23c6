"""Pieces of every report's headline: the great figures, whether it was a simulation, what the record rests on."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from tclearn.coalition.terms import MemberRecord
from tclearn.ledger.cosigning import quorum as head_quorum
from tclearn.page import text
from tclearn.page.markup import Child, Html, el, join
from tclearn.page.summary import Circumstances
from tclearn.page.tables import facts as listed

Figure = tuple[str, str, Child, str]
"""A class, the figure, what it is, and a note."""


def figures_list(figures: Iterable[Figure]) -> Html:
    """The figures, side by side."""
    return el(
        "ul",
        [
            el("li", el("b", value), el("span", name), el("small", note), class_=css or None)
            for css, value, name, note in figures
        ],
        class_="figures",
    )


def simulated(members: Sequence[MemberRecord], summary: Circumstances) -> Html | None:
    """That keys come from a printed seed, if any do."""
    seeded = text.in_order(member.id for member in members if member.origin == "seed")
    if not seeded:
        return None
    everybody = len(seeded) == len(members)
    whose = "of all members" if everybody else f"of {', '.join(seeded)}"
    seed = "a printed seed" if summary.seed is None else f"the printed seed {summary.seed}"
    whole = "Simulation. " if everybody else "Partly simulated. "
    return notice(
        whole,
        f"The keys {whose} come from {seed}, so anybody can sign in their names. The record shows what was computed, "
        "in which order and by which rules; it proves nothing about who did it.",
    )


def notice(heading: str, words: str) -> Html:
    """Something that nobody may overlook."""
    return el("p", el("strong", heading), words, class_="notice", role="note")


def record(members: int, summary: Circumstances, *, moved: bool = False, proofs: str = "") -> Html:
    """What the record is, and how to check it.

    Args:
        members: how many there are.
        summary: the circumstances.
        moved: whether the members are not those of the charter any more.
        proofs: folder with the proofs that the record does not hold itself; empty: there are none.
    """
    pairs: list[tuple[Child, Child]] = [
        ("Coalition", el("code", summary.coalition, class_="hash")),
        ("Ledger", text.plural(summary.entries, "signed entry", "signed entries")),
        ("Last cosigned head", _head(members, summary, moved=moved)),
    ]
    if summary.cosigned is not None:
        pairs.append(("Its root", text.hexadecimal(summary.cosigned.head.root)))
    if summary.export:
        pairs.append(("Check it", _check(summary.export, proofs)))
    if summary.note:
        pairs.append(("Made from", summary.note))
    return listed(pairs)


def _head(members: int, summary: Circumstances, *, moved: bool) -> Child:
    cosigned = summary.cosigned
    if cosigned is None:
        return "No head has a quorum of cosignatures: the record rests on the log’s own signature alone."
    tail = summary.entries - cosigned.head.size
    covers = "all" if tail == 0 else f"the first {text.whole(cosigned.head.size)}"
    when = f"{text.moment(cosigned.head.time_ms)}, over {covers} of the {text.whole(summary.entries)} entries"
    many = f"{len(cosigned.members)} of {members} members ({head_quorum(members)} are needed)"
    if moved:
        many = f"a quorum of the members at that time, {len(cosigned.members)} of them"
    return [
        f"{when}, by {many}: ",
        join((el("span", member, class_="who") for member in text.in_order(cosigned.members)), ", "),
    ]


def _check(export: str, proofs: str) -> Child:
    command = f"tclearn ledger verify {shlex.quote(export)}"
    looks = ""
    if proofs:
        command += f" --proofs {shlex.quote(proofs)}"
        looks = ", and looks at every proof, every sum and every opening again"
    # Without the digest the file could be the honest record of another coalition.
    return [
        el("code", command, class_="command"),
        f" replays the whole record with public keys only{looks}; add ",
        el("code", "--charter"),
        " and the digest that you know from elsewhere. This page shows the record; by itself it proves nothing.",
    ]
