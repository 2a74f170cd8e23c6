"""The headline: what was trained, by whom, how well, and what the record rests on."""

from __future__ import annotations

from tclearn.page import text
from tclearn.page.facts import Facts
from tclearn.page.markup import Child, Html, el
from tclearn.page.record import Figure, figures_list, record, simulated
from tclearn.page.summary import Summary
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
        simulated(facts.state.member_records, summary),
        _figures(facts, summary),
        _under_way(facts),
        el("h2", "The record", class_="small"),
        record(len(facts.members), summary, moved=facts.state.member_records != facts.charter.members),
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


def _figures(facts: Facts, summary: Summary) -> Html:
    block, charter = facts.tip.block, facts.charter
    measured = block.performance
    figures: list[Figure] = [
        (
            "main",
            text.share(measured.candidate / measured.scale, 3) if measured else text.NONE,
            f"{text.metric(charter.task.metric)} on G",
            f"block {block.index}, {text.counted(measured)}" if measured else "no block yet",
        )
    ]
    if summary.centralised is not None:
        reached = measured.candidate / measured.scale if measured else None
        compared = text.compared(reached, summary.centralised, "the coalition")
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
    return figures_list(figures)


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
