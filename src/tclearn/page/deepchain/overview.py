"""The headline: who trained what, how well, under which key, and who was named for what."""

from __future__ import annotations

from typing import Final

from tclearn.page import text
from tclearn.page.deepchain.facts import Facts, Named
from tclearn.page.deepchain.words import accused
from tclearn.page.markup import Child, Html, el
from tclearn.page.record import Figure, figures_list, notice, record, simulated
from tclearn.page.tables import fold
from tclearn.protocols.deepchain.endings import why_dissolved
from tclearn.protocols.deepchain.records import COMPLETE, DISSOLVED, ENDED, FOUNDING, RUNNING, WAITING

_LINES_MAX: Final = 12
_STATUS: Final = {
    FOUNDING: "members are joining",
    RUNNING: "still under way",
    WAITING: "waiting for deposits",
    COMPLETE: "training is complete",
    DISSOLVED: "the group was dissolved",
}


def overview(facts: Facts) -> Html:
    """The top of the page."""
    return el(
        "header",
        el("p", "TCLearn · report of a DeepChain coalition", class_="eyebrow"),
        el("h1", facts.terms.name),
        el("p", _sentence(facts), class_="lead"),
        _toy(facts),
        simulated(facts.terms.members, facts.summary),
        _unequal(facts),
        _untrained(facts),
        figures_list(_figures(facts)),
        el("h2", "Who was named for what", class_="small"),
        _named(facts),
        el("h2", "The record", class_="small"),
        record(len(facts.terms.members), facts.summary, proofs=facts.summary.proofs),
    )


def _sentence(facts: Facts) -> list[Child]:
    terms = facts.terms
    how = f" together; {text.plural(len(terms.workers), 'worker')} check and add up. Each gradient is encrypted, and "
    return [
        text.plural(len(terms.parties), "party", "parties"),
        " train ",
        el("code", terms.model.factory),
        how,
        el("b", f"{terms.key.threshold} of the {len(terms.parties)}"),
        " parties open only sums. Who does not do its part is named by the record, and pays.",
    ]


def _toy(facts: Facts) -> Html | None:
    if not facts.toy:
        return None
    return notice(
        "Toy key: nothing here is secret. ",
        f"The threshold key has {facts.bits} bits. Its factors are found within hours, and then every gradient in this "
        "record can be read. It is for tests and demonstrations.",
    )


def _unequal(facts: Facts) -> Html | None:
    if facts.summary.weights_equal is not False:
        return None
    return notice(
        "The weights are not what they must be. ",
        "They differ from those of averaging the same rounded gradients in the clear, which is a defect: please "
        "report it.",
    )


def _untrained(facts: Facts) -> Html | None:
    if facts.opened or facts.status != DISSOLVED:
        return None
    return notice(
        "Nothing was trained. ",
        f"The group was dissolved, because {why_dissolved(facts.terms, facts.courses)}. No sum was opened: there is no "
        "model.",
    )


def _figures(facts: Facts) -> list[Figure]:
    terms, summary = facts.terms, facts.summary
    number = facts.opened[-1].number if facts.opened else 0
    nothing = "nothing opened" if facts.status in ENDED else "nothing opened yet"
    main: Figure = (
        "main",
        text.share(facts.last, 3),
        f"{text.metric(terms.task.metric)} on the test set",
        f"iteration {number}, {text.plural(terms.task.global_n, 'record')}" if number else nothing,
    )
    figures = [main]
    if summary.averaged is not None:
        words = text.compared(facts.last, summary.averaged, "DeepChain")
        figures.append(("", text.share(summary.averaged, 3), "averaged in the clear", words))
    failed = sum(course.ended and course.round is None for course in facts.courses)
    ended = f"of {text.whole(terms.iterations)}; {_STATUS[facts.status]}"
    figures.append(("", text.whole(len(facts.opened)), "iterations" if len(facts.opened) != 1 else "iteration", ended))
    if failed:
        figures.append(("", text.whole(failed), "failed", "nothing opened"))
    figures += [
        (
            "",
            str(len(terms.parties)),
            "parties",
            f"{terms.key.threshold} open; {text.plural(len(terms.workers), 'worker')}",
        ),
        ("", text.whole(facts.bits), "bits", "a toy key" if facts.toy else "of the key"),
        ("", str(len(facts.named)), "named", f"{text.plural(sum(each.coins for each in facts.named), 'coin')} lost"),
    ]
    return figures


def _named(facts: Facts) -> Child:
    if not facts.named:
        return el("p", "Nobody: no deposit was lost.", class_="quiet")
    lines = [_line(named) for named in facts.named]
    shown: list[Child] = [el("ul", lines[:_LINES_MAX], class_="plain named")]
    if len(lines) > _LINES_MAX:
        rest = el("ul", lines[_LINES_MAX:], class_="plain named")
        shown.append(fold(f"and {text.plural(len(lines) - _LINES_MAX, 'other')}", rest, css="inline"))
    return shown


def _line(named: Named) -> Html:
    parts: list[Child] = []
    for words in accused(named):
        parts += ["; " if parts else None, words]
    coins = el("span", f"lost {text.plural(named.coins, 'coin')}", class_="blame")
    return el("li", el("b", named.member), ": ", parts, " · ", coins)
