"""Changes that two thirds of the members decide (Lugan et al. 2019, §III.D): reverts, hyper-parameters, the members."""

from __future__ import annotations

from dataclasses import replace

from tclearn.coalition.quorum import quorum
from tclearn.encoding import Digest, MemberId, digest
from tclearn.ledger import Context, Rejected
from tclearn.limits import CHANGES_OF_MEMBERS_ASKED_MAX
from tclearn.protocols.tclearn.accessing import count_witnesses
from tclearn.protocols.tclearn.calls import (
    HYPERPARAMETERS,
    OF_MEMBERS,
    REVERT,
    ROTATE,
    Approve,
    Change,
    Request,
    Rotate,
)
from tclearn.protocols.tclearn.membership import (
    check_members,
    check_steady,
    check_waiting,
    needs_approval,
    take_effect,
    void_rotations,
)
from tclearn.protocols.tclearn.proposing import complete, next_turn
from tclearn.protocols.tclearn.records import APPROVED, ASKED, DONE, VOID, ChangeState
from tclearn.protocols.tclearn.refusals import Refusal, refuse
from tclearn.protocols.tclearn.reverting import lock_for_revert, take_back
from tclearn.protocols.tclearn.state import State

CHANGE_OPEN_BLOCKS = 8
"""So many further blocks after a change was asked for, approvals no longer count."""


def change_id(change: Change) -> Digest:
    """Names a change."""
    return digest("tclearn/change/1", change.to_value())


def request(state: State, arguments: Request, context: Context) -> None:
    """A member asks for a change, and by that approves it."""
    change = arguments.change
    _check(state, change, context)
    name = change_id(change)
    before = state.change(name)
    if before is not None and not (change.kind in OF_MEMBERS and before.status in (DONE, VOID)):
        raise refuse(Refusal.ALREADY_DONE, "this change has been asked for; approve it")
    alone = change.kind in OF_MEMBERS and not needs_approval(change, context.sender)
    if change.kind in OF_MEMBERS:
        if not alone:
            _count_ask(state, context.sender)
        _withdraw(state, context.sender)
    elif any(other.asked_by == context.sender and other.change.kind not in OF_MEMBERS for other in _asked(state)):
        raise refuse(
            Refusal.ALREADY_DONE, f"{context.sender} has asked for another change; it lapses after some blocks"
        )
    _drop(state)
    key = _key(state, context.sender) if alone else None
    _count(state, name, ChangeState(change, context.sender, context.index, (context.sender,), ASKED, key), context)


def approve(state: State, arguments: Approve, context: Context) -> None:
    """A member approves a change; at ⌈2N/3⌉ approvals it takes effect."""
    asked = state.change(arguments.change)
    if asked is None:
        raise refuse(Refusal.UNKNOWN_CHANGE, "no such change was asked for")
    if asked.status != ASKED or context.sender in asked.approvals:
        raise refuse(Refusal.ALREADY_DONE, f"the change is {asked.status}, approved by {', '.join(asked.approvals)}")
    if _lapsed(state, asked):
        raise refuse(Refusal.UNKNOWN_CHANGE, "the change has lapsed; ask for it again")
    _check_possible(state, asked.change)
    _count(state, arguments.change, replace(asked, approvals=(*asked.approvals, context.sender)), context)


def rotate(state: State, arguments: Rotate, context: Context) -> None:
    """A member takes other keys: one's own affair, and said with the key that it has."""
    change = Change(ROTATE, state.tip + 1, member=arguments.member, enrolment=arguments.enrolment)
    if arguments.member.id != context.sender:
        raise refuse(Refusal.NOT_ALLOWED, f"{context.sender} cannot take keys for {arguments.member.id}")
    check_steady(state, context.sender)
    check_members(state, change)
    mine = [other for other in map(state.asked, state.changes()) if _rotates(other, context.sender)]
    if any(other.status == APPROVED for other in mine):
        raise refuse(Refusal.ALREADY_DONE, f"{context.sender} is taking other keys already")
    if any(other.change.nonce == change.nonce for other in mine) and not complete(state, context.time_ms):
        raise refuse(Refusal.TOO_EARLY, "once for each block; each time proposals have to wait")
    _drop(state)
    key = _key(state, context.sender)
    asked = ChangeState(change, context.sender, context.index, (context.sender,), ASKED, key)
    _count(state, change_id(change), asked, context)


def settle(state: State, context: Context) -> None:
    """What is decided of the members takes effect as soon as nothing is under way; called after every call.

    With other members other numbers suffice, so all that waits for a number of them is counted anew: approvals,
    witnesses of readings, and keepers whose parts ask for a revert.
    """
    while state.members_changing and state.pending is None and not state.open_candidates():
        waiting = [(name, state.asked(name)) for name in state.changes()]
        name, asked = next((name, each) for name, each in waiting if _waits(each))
        try:
            check_waiting(state, asked)
        except Rejected:  # another change has come before it
            state.put_change(name, asked.ended(VOID))
            continue
        take_effect(state, asked.change, context.time_ms)
        state.put_change(name, asked.ended(DONE))
        state.forget_asks()
        for other in state.changes():
            again = state.asked(other)
            if again.status == ASKED and not _lapsed(state, again):
                _count(state, other, again, context)
        count_witnesses(state, context.time_ms)
        take_back(state, context.time_ms)


def open_changes(state: State) -> list[ChangeState]:
    """Changes asked for that have not lapsed, and those that are approved and wait, oldest first."""
    return [change for change in map(state.asked, state.changes()) if not _lapsed(state, change)]


def _asked(state: State) -> list[ChangeState]:
    return [change for change in open_changes(state) if change.status == ASKED]


def _waits(change: ChangeState) -> bool:
    return change.status == APPROVED and change.change.kind in OF_MEMBERS


def _rotates(change: ChangeState, member: MemberId) -> bool:
    return change.change.kind == ROTATE and change.asked_by == member


def _kept(state: State, change: ChangeState) -> bool:
    # Rotations of the present height are counted by what is kept of them.
    return not _lapsed(state, change) or (change.change.kind == ROTATE and change.change.nonce == state.tip + 1)


def _drop(state: State) -> None:
    # What is not looked at any more; of what has lapsed, the enrolment is not kept either.
    kept = [name for name in state.changes() if _kept(state, state.asked(name))]
    for name in state.changes():
        asked = state.asked(name)
        if name not in kept and asked.change.enrolment is not None:
            state.put_change(name, asked.ended(asked.status))
    state.keep_changes(kept)


def _count_ask(state: State, asker: MemberId) -> None:
    if state.asks(asker) >= CHANGES_OF_MEMBERS_ASKED_MAX:
        raise refuse(
            Refusal.TOO_MANY_TRIES,
            f"{asker} has asked for {CHANGES_OF_MEMBERS_ASKED_MAX} changes of the members since the newest block",
        )
    state.count_ask(asker)


def _withdraw(state: State, asker: MemberId) -> None:
    # Who has asked for something wrong need not wait until it lapses: while nobody trains no blocks pass. What others
    # have approved stays theirs.
    for name in state.changes():
        asked = state.asked(name)
        if asked.status == ASKED and asked.asked_by == asker and asked.change.kind in OF_MEMBERS and not asked.passed:
            state.put_change(name, asked.without(asker))


def _key(state: State, member: MemberId) -> bytes | None:
    record = state.roll.named(member)
    return None if record is None else record.key


def _lapsed(state: State, change: ChangeState) -> bool:
    if change.status in (DONE, VOID):
        return True
    return change.status == ASKED and state.tip + 1 > change.change.nonce + CHANGE_OPEN_BLOCKS


def _count(state: State, name: Digest, asked: ChangeState, context: Context) -> None:
    target, values = asked.change.target, asked.change.values
    approved = sum(member in state.members for member in asked.approvals) >= quorum(len(state.members))
    if not approved and needs_approval(asked.change, asked.asked_by):
        state.put_change(name, asked)
    elif asked.change.kind in OF_MEMBERS:
        state.put_change(name, replace(asked, status=APPROVED))
        if asked.change.kind != ROTATE:
            void_rotations(state, asked.change)
    elif values is not None:
        state.put_change(name, replace(asked, status=DONE))
        _set_hyperparameters(state, values, context)
    elif target is not None:
        state.put_change(name, replace(asked, status=APPROVED))
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
    if change.kind in OF_MEMBERS and change.kind != ROTATE:
        check_members(state, change)
        return
    if change.member is not None or change.enrolment is not None or change.expelled is not None:
        raise refuse(Refusal.BAD_CHANGE, f"a change of the kind {change.kind} names no member")
    if change.kind == REVERT:
        if change.target is None or change.values is not None:
            raise refuse(Refusal.BAD_CHANGE, "a revert names a target block and nothing else")
        # A right of members who have all gone is everybody's: else nobody could ask any more.
        named = [member for member in governance.may_propose_revert if member in state.members]
        if named and context.sender not in named:
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


def _check_possible(state: State, change: Change) -> None:
    if change.kind in OF_MEMBERS:
        check_members(state, change)
    _check_target(state, change)


def _check_target(state: State, change: Change) -> None:
    if change.kind == REVERT and (change.target is None or change.target >= state.tip):
        raise refuse(Refusal.BAD_CHANGE, f"block {change.target} is not before the newest block {state.tip}")
