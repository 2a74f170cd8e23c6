"""Performance on the global test set after each iteration, and where averaging in the clear ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tclearn.page import text
from tclearn.page.charts import Chart, Line, Point
from tclearn.page.deepchain.facts import Facts
from tclearn.page.markup import Child, Html, el
from tclearn.page.tables import figure, section
from tclearn.protocols.deepchain.records import ENDED

_DOTS_MAX: Final = 1500
_RULES_MAX: Final = 6


def performance(facts: Facts) -> Html:
    """The section."""
    name = text.metric(facts.terms.task.metric)
    title = f"Performance: {name} after each iteration"
    if not facts.accuracies:
        none = "No sum was opened." if facts.status in ENDED else "No sum has been opened yet."
        what = "It was not measured." if facts.opened else none
        return section("performance", title, el("p", what, class_="quiet"))
    failed = [course.number for course in facts.courses if course.ended and course.round is None]
    chart = Chart(
        title=f"{name} on the global test set after each iteration",
        x_label="iteration",
        y_label=name,
        x_range=(1, facts.courses[-1].number),
        lines=tuple(_lines(facts, name)),
        rules=tuple((number, "failed") for number in failed) if len(failed) <= _RULES_MAX else (),
    )
    return section("performance", title, el("p", _reading(facts, name)), figure(chart, _caption(facts, failed)))


def _lines(facts: Facts, name: str) -> Iterator[Line]:
    dots, listed = len(facts.accuracies) <= _DOTS_MAX, facts.listed[0].number
    points = (
        Point(
            number,
            value,
            title=f"iteration {number}: {name} {value:.4f}" if dots else "",
            link=f"#iteration-{number}" if number >= listed else "",
        )
        for number, value in facts.accuracies.items()
    )
    yield Line("this coalition", tuple(points), "main")
    clear = facts.summary.averaged
    if clear is not None:
        ends = (Point(1, clear), Point(facts.courses[-1].number, clear))
        yield Line("in the clear", ends, "reference")


def _reading(facts: Facts, name: str) -> str:
    numbers = list(facts.accuracies)
    first, last = numbers[0], numbers[-1]
    words = f"{name[0].upper()}{name[1:]} on the test set: {facts.accuracies[last]:.3f} after iteration {last}"
    if last > first:
        words += f", {facts.accuracies[first]:.3f} after iteration {first}"
    if facts.summary.weights_equal:
        words += (
            ". The weights are, bit for bit, those of averaging the same rounded gradients in the clear: encryption "
            "has changed nothing"
        )
    return f"{words}."


def _caption(facts: Facts, failed: list[int]) -> list[Child]:
    words: list[Child] = [f"The global test set has {text.plural(facts.terms.task.global_n, 'record')}. "]
    if facts.summary.averaged is not None:
        words.append(
            "The dashed line is where the same training ends in the clear, gradients averaged without rounding. "
        )
    if failed:
        words.append("In a failed iteration nothing is opened, and the model stays as it is. ")
    words.append("Point at anything for its numbers.")
    return words
