"""What every call of an iteration checks first: which iteration, which phase, in time, and whether one is asked."""

from __future__ import annotations

from collections.abc import Collection

from tclearn.encoding import MemberId
from tclearn.protocols.deepchain.records import Iteration
from tclearn.protocols.deepchain.refusals import Refusal, refuse
from tclearn.protocols.deepchain.state import State


def due_ms(state: State, iteration: Iteration) -> int:
    """Ledger time at which the present phase ends.

    A phase that was ended too late puts off all that follow, so that everybody has as long for each step as the terms
    say, also when nobody spoke for a while.
    """
    offset = state.terms.times.due_ms(iteration.phase, iteration.attempt)
    return iteration.start_ms + iteration.late_ms + offset


def running(state: State, number: int) -> Iteration:
    """The iteration of a number.

    Raises:
        Rejected: it is not the one that runs.
    """
    iteration = state.iteration
    if iteration is None or iteration.number != number:
        runs = f"iteration {iteration.number} runs" if iteration else f"the group is {state.group.status}"
        raise refuse(Refusal.WRONG_ITERATION, f"not iteration {number}: {runs}")
    return iteration


def check_phase(state: State, iteration: Iteration, phases: Collection[str], now_ms: int) -> None:
    """Whether one of some phases is on, and its deadline has not passed.

    Raises:
        Rejected: another phase is on, or its time is over.
    """
    if iteration.phase not in phases:
        raise refuse(Refusal.WRONG_PHASE, f"iteration {iteration.number} is {iteration.phase}")
    due = due_ms(state, iteration)
    if now_ms >= due:
        raise refuse(Refusal.TOO_LATE, f"{iteration.phase} ended {now_ms - due} ms ago")


def check_asked(member: MemberId, asked: Collection[str], answered: Collection[str]) -> None:
    """Whether a member is asked to speak, and has not.

    Raises:
        Rejected: it is not, or it has.
    """
    if member in answered:
        raise refuse(Refusal.ALREADY_DONE, f"{member} has done it")
    if member not in asked:
        raise refuse(Refusal.NOT_ASKED, f"{member} is not asked")
