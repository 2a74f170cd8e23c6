"""What members did, as signs and words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tclearn.encoding import MemberId
from tclearn.page import text
from tclearn.page.deepchain.facts import Named
from tclearn.page.markup import Child
from tclearn.protocols.deepchain.history import Course, Fine
from tclearn.protocols.deepchain.reasons import Reason


@dataclass(frozen=True, slots=True)
class Mark:
    """A sign in the grid.

    Attributes:
        sign: a character.
        css: classes that give it its colour.
        words: what it means.
    """

    sign: str
    css: str
    words: str


COUNTED: Final = Mark("✓", "yes", "its gradient is in the sum")
LEFT_OUT: Final = Mark("○", "spared", "its gradient is not in the sum, without blame")
LED: Final = Mark("Σ", "yes", "led: its sum was opened")
UNUSED: Final = Mark("Σ", "spared", "led, but its sum was not opened, without blame")
FAILED: Final = Mark("Σ", "no struck", "led, and failed: no sum, a wrong one, or one not to be had")
WRONG: Final = Mark("✗", "no", "handed in or approved something wrong")
WITHHELD: Final = Mark("∅", "unavailable", "handed in what was not to be had")
SILENT: Final = Mark("?", "missing", "was asked, and said nothing in time")
WORKED: Final = Mark("·", "spared", "a worker that did its part")
PENDING: Final = Mark("…", "waiting", "still under way")
ABSENT: Final = Mark("–", "absent", "not in it: no deposit")

LEGEND: Final = (COUNTED, LED, WORKED, WRONG, FAILED, WITHHELD, SILENT, LEFT_OUT, UNUSED, PENDING, ABSENT)

_MARKS: Final = {
    Reason.WRONG_GRADIENT: WRONG,
    Reason.NO_GRADIENT: SILENT,
    Reason.NOT_ATTACHED: SILENT,
    Reason.REFUSED_GRADIENT: WRONG,
    Reason.NO_WORD: SILENT,
    Reason.NO_SHARES: SILENT,
    Reason.WRONG_SHARES: WRONG,
    Reason.WITHHELD_SHARES: WITHHELD,
    Reason.NO_REPORT: SILENT,
    Reason.WRONG_REPORT: WRONG,
    Reason.APPROVED_GRADIENT: WRONG,
    Reason.NO_VOTE: SILENT,
    Reason.NO_SUM: FAILED,
    Reason.WRONG_SUM: FAILED,
    Reason.APPROVED_SUM: WRONG,
    Reason.NO_CHECK: SILENT,
    Reason.SUM_MISSING: FAILED,
    Reason.NOT_SIGNED: SILENT,
    Reason.UNKNOWN: WRONG,
}


def for_what(reason: Reason) -> str:
    """What a deposit was lost for, in the words of the command line: ``"wrong gradient"``."""
    return str(reason)


def accused(named: Named) -> Iterator[Child]:
    """What a member was named for, one sentence for each reason."""
    iterations: dict[Reason, list[int]] = {}
    for number, fine in named.fines:
        numbers = iterations.setdefault(fine.reason, [])
        if number not in numbers:
            numbers.append(number)
    for reason, numbers in iterations.items():
        which = "iteration" if len(numbers) == 1 else "iterations"
        yield f"{for_what(reason)}, in {which} {text.ranges(numbers)}"


def lost(fine: Fine) -> str:
    """A fine in a line, without whose."""
    return f"{for_what(fine.reason)}, −{text.whole(fine.coins)}"


def marks(course: Course, member: MemberId) -> list[tuple[Mark, str]]:
    """What a member did in an iteration, each sign with the words for whoever points at it; never nothing."""
    if member in course.absent:
        return [(ABSENT, ABSENT.words)]
    shown = [(COUNTED, COUNTED.words)] if member in course.counted else []
    fines = [fine for fine in course.fines if fine.member == member]
    shown += [(_MARKS[fine.reason], lost(fine)) for fine in fines]
    if member == course.leader:
        shown.append((LED, LED.words))
    elif _led(course, member) and not any(mark is FAILED for mark, _ in shown):
        shown.append((UNUSED if course.ended else PENDING, UNUSED.words if course.ended else "leads"))
    if shown:
        return shown
    if member in course.workers and member not in course.parties:
        return [(WORKED, WORKED.words)] if course.ended else [(PENDING, PENDING.words)]
    return [(LEFT_OUT, LEFT_OUT.words)] if course.ended else [(PENDING, PENDING.words)]


def _led(course: Course, member: MemberId) -> bool:
    return any(block.leader == member for block in course.blocks)
