"""Changes that two thirds of the members decide: reverts and hyper-parameters (Lugan et al. 2019, §III.D)."""

from __future__ import annotations

from dataclasses import replace

from tclearn.coalition.quorum import quorum
from tclearn.encoding import Digest, digest
from tclearn.ledger import Context
from tclearn.protocols.tclearn.calls import Approve, Change, Request
from tclearn.protocols.tclearn.proposing import next_turn
from tclearn.protocols.tclearn.records import ChangeState
from tclearn.protocols.tclearn.refusals import Refusal, refuse
from tclearn.protocols.tclearn.reverting import lock_for_revert
from tclearn.protocols.tclearn.state import State

CHANGE_OPEN_BLOCKS = 8
"""So many further blocks after a change was asked for, approvals no longer count."""
REVERT = "revert"
HYPERPARAMETERS = "hyperparameters"


def change_id(change: Change) -> Digest:
    """Names a change."""
    return digest("tclearn/change/1", change.to_value())


def request(state: State, arguments: Request, context: Context) -> None:
    """A member asks for a change, and by that approves it."""
    change = arguments.change
    _check(state, change, context)
    name = change_id(change)
    if state.change(name) is not None:
        raise refuse(Refusal.ALREADY_DONE, "this change has been asked for; approve it")
    if any(other.asked_by == context.sender for other in _asked(state)):
        raise refuse(
            Refusal.ALREADY_DONE, f"{context.sender} has asked for another change; it lapses after some blocks"
        )
    state.keep_changes([other for other in state.changes() if not _lapsed(state, state.asked(other))])
    _count(state, name, ChangeState(change, context.sender, context.index, (context.sender,), "asked"), context)


def approve(state: State, arguments: Approve, context: Context) -> None:
    """A member approves a change; at ⌈2N/3⌉ approvals it takes effect."""
    asked = state.change(arguments.change)
    if asked is None:
        raise refuse(Refusal.UNKNOWN_CHANGE, "no such change was asked for")
    if asked.status != "asked" or context.sender in asked.approvals:
        raise refuse(Refusal.ALREADY_DONE, f"the change is {asked.status}, approved by {', '.join(asked.approvals)}")
    if _lapsed(state, asked):
        raise refuse(Refusal.UNKNOWN_CHANGE, "the change has lapsed; ask for it again")
    _check_target(state, asked.change)
    _count(state, arguments.change, replace(asked, approvals=(*asked.approvals, context.sender)), context)


def open_changes(state: State) -> list[ChangeState]:
    """Changes asked for that have not lapsed, and reverts that are approved and wait, oldest first."""
    return [change for change in map(state.asked, state.changes()) if not _lapsed(state, change)]


def _asked(state: State) -> list[ChangeState]:
    return [change for change in open_changes(state) if change.status == "asked"]


def _lapsed(state: State, change: ChangeState) -> bool:
    if change.status == "done":
        return True
    return change.status == "asked" and state.tip + 1 > change.change.nonce + CHANGE_OPEN_BLOCKS


def _count(state: State, name: Digest, asked: ChangeState, context: Context) -> None:
    target, values = asked.change.target, asked.change.values
    if len(asked.approvals) < quorum(len(state.members)):
        state.put_change(name, asked)
    elif values is not None:
        state.put_change(name, replace(asked, status="done"))
        _set_hyperparameters(state, values, context)
    elif target is not None:
        state.put_change(name, replace(asked, status="approved"))
        if state.pending is None:  # else it takes effect when the decided block is in the chain
            lock_for_revert(state, target, context.time_ms, change=name)


def _set_hyperparameters(state: State, values: dict[str, int], context: Context) -> None:
    state.put_hyperparameters({**state.hyperparameters, **values})
    rate = state.rate
    if rate is not None and "learning_rate" in values:
        state.put_rate(replace(rate, rate_ppm=values["learning_rate"], bad_blocks=0))
    state.put_tries({})  # under new terms everybody may try again
    turn = state.turn
    if turn.member is None and not state.open_candidates() and state.pending is None:
        next_turn(state, state.members[-1], 0, context.time_ms)


def _check(state: State, change: Change, context: Context) -> None:
    governance = state.charter.governance
    if change.nonce != state.tip + 1:
        raise refuse(Refusal.BAD_CHANGE, f"the nonce of a change asked for now is {state.tip + 1}, the coming height")
    if change.kind == REVERT:
        if change.target is None or change.values is not None:
            raise refuse(Refusal.BAD_CHANGE, "a revert names a target block and nothing else")
        if governance.may_propose_revert and context.sender not in governance.may_propose_revert:
            raise refuse(Refusal.NOT_ALLOWED, f"{context.sender} may not propose a revert under the charter")
        _check_target(state, change)
    elif change.kind == HYPERPARAMETERS:
        if change.target is not None or not change.values:
            raise refuse(Refusal.BAD_CHANGE, "a change of hyper-parameters names values and nothing else")
        fixed = sorted(set(change.values) - set(governance.may_change))
        if fixed:
            raise refuse(Refusal.NOT_ALLOWED, f"the charter does not let {', '.join(fixed)} be changed")
        if any(value < 1 for value in change.values.values()):
            raise refuse(Refusal.BAD_CHANGE, "hyper-parameters are at least 1 (learning_rate: millionths)")
    else:
        raise refuse(Refusal.BAD_CHANGE, f"no such change: {change.kind}")


def _check_target(state: State, change: Change) -> None:
    if change.kind == REVERT and (change.target is None or change.target >= state.tip):
        raise refuse(Refusal.BAD_CHANGE, f"block {change.target} is not before the newest block {state.tip}")
