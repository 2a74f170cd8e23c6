"""Iterations and coins as lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Final

from tclearn.protocols.deepchain.history import Balance, Course
from tclearn.protocols.deepchain.reasons import Reason
from tclearn.protocols.deepchain.records import SUMS, VOID, Block
from tclearn.protocols.deepchain.terms import MoneyTerms

_FORMAT: Final = "{:>9}  {:>7}  {:<12} {:>5}  {:>6}"
_UNDER: Final = "{:>9}  "
_COINS: Final = "{:<12} {:>7} {:>8} {:>11} {:>7} {:>7}"
_MINUS: Final = "−"
_OF_LEADERS: Final = frozenset({Reason.WRONG_SUM, Reason.NO_SUM, Reason.SUM_MISSING})


def header(*, measured: bool = True) -> str:
    """The line above the iterations.

    Args:
        measured: whether models were measured, which nobody does for the ledger.
    """
    return _FORMAT.format("iteration", "counted", "leader", "block", "global" if measured else "").rstrip()


def rows(course: Course, performance: float | None, *, of: int) -> list[str]:
    """An iteration: number, gradients counted, leader, block, performance; below it who failed, and what it cost.

    Args:
        course: as far as it has come.
        performance: of the model after it; ``None``: it failed, or was not measured.
        of: how many parties the coalition has.
    """
    last = course.blocks[-1] if course.round is not None else None
    line = _FORMAT.format(
        course.number,
        f"{len(course.counted)}/{of}",
        course.leader or "–",
        "–" if last is None else last.number,
        "" if performance is None else f"{performance:.3f}",
    )
    # A leader that failed is named once, with what came of it.
    instead = {block.leader: _instead(course, place) for place, block in enumerate(course.blocks) if block is not last}
    said = [
        f"{fine.member}: {fine.reason}, {_MINUS}{fine.coins} coins"
        + (instead.pop(fine.member, "") if fine.reason in _OF_LEADERS else "")
        for fine in course.fines
    ]
    said += [
        f"block {block.number} of {block.leader} {_came_of(course, block)}{instead[block.leader]}"
        for block, following in zip_longest(course.blocks, course.blocks[1:])
        if block is not last and block.leader in instead and (following is None or following.kind != VOID)
    ]
    if course.absent:
        said.append(f"sits out without a deposit: {', '.join(course.absent)}")
    if last is None:
        said.append("failed" if course.ended else "under way")
    return [line.rstrip(), *(f"{_UNDER.format('')}{each}" for each in said)]


def coin_rows(balances: Sequence[Balance], pot: int) -> list[str]:
    """Everybody's coins: at the founding, rewards, what came of the others' fines, fines, now; and all together.

    Below it where rewards came from, with which the last line adds up.

    Args:
        balances: of all members.
        pot: coins of fines that nobody was owed; they pay rewards.
    """
    columns = [[each.start, each.paid, each.received, each.fined, each.end] for each in balances]
    totals = [sum(column) for column in zip(*columns, strict=True)]
    return [
        _COINS.format("coins", "start", "rewards", "from fines", "fined", "now"),
        *(_coins(each.member, column) for each, column in zip(balances, columns, strict=True)),
        _coins("all", totals) + (f"   and {pot} in the pot" if pot else ""),
        *_made(totals, pot),
    ]


def deposits_row(money: MoneyTerms) -> str:
    """Which deposits there are, and how many coins each has."""
    parties = f"{money.gradient_deposit} for gradients, {money.decryption_deposit} for decryption"
    return f"deposits: {parties}; work {money.work_deposit}"


def _coins(name: str, column: Sequence[int]) -> str:
    start, paid, received, fined, end = column
    return _COINS.format(name, start, paid, received, f"{_MINUS}{fined}" if fined else "0", end)


def _made(totals: Sequence[int], pot: int) -> list[str]:
    _, paid, received, fined, _ = totals
    through = fined - received - pot  # what nobody was owed of fines, and is not in the pot any more
    new = paid - through
    said = []
    if through:
        said.append(f"{through} coin{'' if through == 1 else 's'} of fines went through the pot into rewards")
    if paid:
        said.append(f"{new} new coin{' was' if new == 1 else 's were'} made")
    return ["; ".join(said)] if said else []


def _came_of(course: Course, block: Block) -> str:
    if block.kind != SUMS:
        return f"is {block.kind}: {block.reason}"
    return "has a sum, which was not opened" if course.ended else "has a sum, which is not opened yet"


def _instead(course: Course, place: int) -> str:
    later = course.blocks[place + 1 :]
    return f"; {later[0].leader} led instead" if later and later[0].leader else ""
