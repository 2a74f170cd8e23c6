"""The headline: what was trained, by whom, how well, and what the record rests on."""

from __future__ import annotations

import shlex

from tclearn.ledger.cosigning import quorum as head_quorum
from tclearn.page import text
from tclearn.page.facts import Facts, in_order
from tclearn.page.markup import Child, Html, el, join
from tclearn.page.summary import Summary
from tclearn.page.tables import facts as listed
from tclearn.protocols.tclearn.history import PENDING, REVERTED
from tclearn.protocols.tclearn.records import EXPIRED, OPEN, REFUSED, REJECTED, STALE, UNDECIDED, PendingRevert


def overview(facts: Facts, summary: Summary) -> Html:
    """The top of the page."""
    charter = facts.charter
    return el(
        "header",
        el("p", "TCLearn · report of a coalition", class_="eyebrow"),
        el("h1", charter.name),
        el("p", _sentence(facts), class_="lead"),
        _simulated(facts, summary),
        _figures(facts, summary),
        _under_way(facts),
        el("h2", "The record", class_="small"),
        _record(facts, summary),
    )


def rule_words(rule: str, lambda_ppm: int) -> str:
    """An acceptance rule in words."""
    factor = text.ppm(lambda_ppm)
    if rule == "paper":
        return f"a candidate must reach {factor} × the performance of the model before it"
    if rule == "anchored":
        return f"a candidate must reach {factor} × the best performance accepted so far"
    return "a rule that is not TCLearn’s own; the reasons below are in its words"


def _sentence(facts: Facts) -> list[Child]:
    charter = facts.charter
    acceptance = charter.acceptance
    return [
        text.plural(len(facts.members), "member"),
        " train ",
        el("code", charter.model.factory),
        " together; their data stays with them. An increment counts only after the others have tested it. Rule ",
        el("b", acceptance.rule),
        ", λ ",
        el("b", text.ppm(acceptance.lambda_ppm)),
        f": {rule_words(acceptance.rule, acceptance.lambda_ppm)}.",
    ]


def _simulated(facts: Facts, summary: Summary) -> Html | None:
    seeded = in_order(member.id for member in facts.state.member_records if member.origin == "seed")
    if not seeded:
        return None
    everybody = len(seeded) == len(facts.members)
    whose = "of all members" if everybody else f"of {', '.join(seeded)}"
    seed = "a printed seed" if summary.seed is None else f"the printed seed {summary.seed}"
    whole = "Simulation. " if everybody else "Partly simulated. "
    return el(
        "p",
        el("strong", whole),
        f"The keys {whose} come from {seed}, so anybody can sign in their names. The record shows what was computed, "
        "in which order and by which rules; it proves nothing about who did it.",
        class_="notice",
        role="note",
    )


def _figures(facts: Facts, summary: Summary) -> Html:
    block, charter = facts.tip.block, facts.charter
    measured = block.performance
    figures: list[tuple[str, str, Child, str]] = [
        (
            "main",
            text.share(measured.candidate / measured.scale, 3) if measured else text.NONE,
            f"{text.metric(charter.task.metric)} on G",
            f"block {block.index}, {text.counted(measured)}" if measured else "no block yet",
        )
    ]
    if summary.centralised is not None:
        compared = _compared(facts, summary.centralised)
        figures.append(("", text.share(summary.centralised, 3), "all data in one place", compared))
    reverts = facts.counted(REVERTED)
    undone = facts.increments - len(facts.present)
    more = f"{text.plural(reverts, 'revert')}, {undone} undone" if reverts else "accepted"
    figures.append(("", str(facts.increments), "blocks" if facts.increments != 1 else "block", more))
    figures.append(("", str(facts.counted(REJECTED)), "rejected", "after testing"))
    figures.append(("", str(facts.counted(REFUSED)), "refused", "before testing"))
    figures += [
        ("", str(facts.counted(status)), status, words)
        for status, words in ((UNDECIDED, "no decision"), (EXPIRED, "in time"), (STALE, "overtaken"))
        if facts.counted(status)
    ]
    records = text.plural(sum(block.contributions.values()), "record")
    figures.append(("", str(len(facts.members)), "members", f"{records}"))
    return el(
        "ul",
        [
            el("li", el("b", value), el("span", name), el("small", note), class_=css or None)
            for css, value, name, note in figures
        ],
        class_="figures",
    )


def _compared(facts: Facts, centralised: float) -> str:
    measured = facts.tip.block.performance
    if measured is None:
        return "for comparison"
    difference = measured.candidate / measured.scale - centralised
    if abs(difference) < 0.0005:
        return "the same"
    return f"{abs(difference):.3f} {'below' if difference > 0 else 'above'} the coalition"


def _under_way(facts: Facts) -> Html | None:
    phases = {
        "proposed": "announced",
        "showing": "a hidden part is asked for",
        "testing": "being tested",
        "revealing": "verdicts being shown",
    }
    open_steps = [step for step in facts.steps if step.status in OPEN]
    words = [f"a candidate of {step.member} ({phases[step.status]})" for step in open_steps]
    words += [f"the block of {step.member}, decided but not sealed" for step in facts.steps if step.status == PENDING]
    pending = facts.state.pending
    if isinstance(pending, PendingRevert):
        decided = "approved" if pending.change else "decided by hidden parts"
        words.append(f"a revert, {decided} as block {pending.height}, not sealed yet")
    return el("p", f"Still under way: {'; '.join(words)}.", class_="under-way") if words else None


def _record(facts: Facts, summary: Summary) -> Html:
    cosigned = summary.cosigned
    members = len(facts.members)
    if cosigned is None:
        head: Child = "No head has a quorum of cosignatures: the record rests on the log’s own signature alone."
    else:
        tail = summary.entries - cosigned.head.size
        covers = "all" if tail == 0 else f"the first {text.whole(cosigned.head.size)}"
        when = f"{text.moment(cosigned.head.time_ms)}, over {covers} of the {text.whole(summary.entries)} entries"
        many = f"{len(cosigned.members)} of {members} members ({head_quorum(members)} are needed)"
        if facts.state.member_records != facts.charter.members:
            many = f"a quorum of the members at that time, {len(cosigned.members)} of them"
        head = [
            f"{when}, by {many}: ",
            join((el("span", member, class_="who") for member in in_order(cosigned.members)), ", "),
        ]
    pairs: list[tuple[Child, Child]] = [
        ("Coalition", el("code", summary.coalition, class_="hash")),
        ("Ledger", text.plural(summary.entries, "signed entry", "signed entries")),
        ("Last cosigned head", head),
    ]
    if cosigned is not None:
        pairs.append(("Its root", text.hexadecimal(cosigned.head.root)))
    if summary.export:
        command = f"tclearn ledger verify {shlex.quote(summary.export)}"
        # Without the digest the file could be the honest record of another coalition.
        checked: list[Child] = [
            el("code", command, class_="command"),
            " replays the whole record with public keys only; add ",
            el("code", "--charter"),
            " and the digest that you know from elsewhere. This page shows the record; by itself it proves nothing.",
        ]
        pairs.append(("Check it", checked))
    if summary.note:
        pairs.append(("Made from", summary.note))
    return listed(pairs)
