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

_TOLD: Final = {
    Reason.WRONG_GRADIENT: (WRONG, "a gradient with a wrong proof"),
    Reason.NO_GRADIENT: (SILENT, "no gradient"),
    Reason.NOT_ATTACHED: (SILENT, "a gradient that it did not attach"),
    Reason.REFUSED_GRADIENT: (WRONG, "a gradient that the workers refused"),
    Reason.NO_WORD: (SILENT, "no word on whether it has the sum"),
    Reason.NO_SHARES: (SILENT, "no decryption shares"),
    Reason.WRONG_SHARES: (WRONG, "decryption shares with a wrong proof"),
    Reason.WITHHELD_SHARES: (WITHHELD, "decryption shares that were not to be had"),
    Reason.NO_REPORT: (SILENT, "no report of what was opened"),
    Reason.WRONG_REPORT: (WRONG, "a report of another sum than the others’"),
    Reason.APPROVED_GRADIENT: (WRONG, "its approval of a wrong gradient"),
    Reason.NO_VOTE: (SILENT, "no vote on the gradients"),
    Reason.NO_SUM: (FAILED, "no sum when it led"),
    Reason.WRONG_SUM: (FAILED, "a wrong sum when it led"),
    Reason.APPROVED_SUM: (WRONG, "its approval of a wrong sum"),
    Reason.NO_CHECK: (SILENT, "no vote on the sum"),
    Reason.SUM_MISSING: (FAILED, "a sum that the parties did not find when it led"),
    Reason.NOT_SIGNED: (SILENT, "a block that it did not sign"),
    Reason.UNKNOWN: (WRONG, "something that the ledger does not tell"),
}


def for_what(reason: Reason) -> str:
    """What a deposit was lost for: ``"a gradient with a wrong proof"``."""
    return _TOLD[reason][1]


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
    shown += [(_TOLD[fine.reason][0], lost(fine)) for fine in fines]
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
