"""What the state asks of a member, and which deadline runs.

A duty is there exactly when the call that does it would be accepted: both ask the same guard. Accusations are no
duties: whether there is anything to show is in the store, and the contract does not see it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from tclearn.encoding import Digest, MemberId, digest
from tclearn.ledger import Context, Duty
from tclearn.ledger.contract import allows
from tclearn.protocols.deepchain.calls import Timeout
from tclearn.protocols.deepchain.flow import end_phase
from tclearn.protocols.deepchain.founding import check_declare, check_join, check_stake
from tclearn.protocols.deepchain.processing import check_append, check_check, check_update
from tclearn.protocols.deepchain.records import FOUNDING, WAITING, Iteration
from tclearn.protocols.deepchain.refusals import Refusal, refuse
from tclearn.protocols.deepchain.settling import end_waiting
from tclearn.protocols.deepchain.state import State
from tclearn.protocols.deepchain.steps import due_ms
from tclearn.protocols.deepchain.times import (
    APPENDING,
    CHECKING,
    COLLECTING,
    DECRYPTING,
    DOWNLOADING,
    RETURNING,
    UPDATING,
    UPLOADING,
    VERIFYING,
)
from tclearn.protocols.deepchain.trading import (
    check_attach,
    check_contribute,
    check_report,
    check_share,
    check_take,
    check_verify,
)

_STEPS: Final[dict[str, tuple[str, Callable[[State, Iteration, MemberId, int], None]]]] = {
    COLLECTING: ("contribute", check_contribute),
    VERIFYING: ("verify", check_verify),
    UPLOADING: ("attach", check_attach),
    UPDATING: ("update", check_update),
    CHECKING: ("check", check_check),
    APPENDING: ("append", check_append),
    DOWNLOADING: ("take", check_take),
    DECRYPTING: ("share", check_share),
    RETURNING: ("report", check_report),
}
"""Each phase asks for one thing. The phase is the subject of these duties, and its deadline theirs."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A running deadline: what it is about, when it passes, and what then happens."""

    subject: Digest
    due_ms: int
    passed: Callable[[int], None]


def duties(state: State, member: MemberId, time_ms: int) -> list[Duty]:
    """A member's duties, most pressing first: what it may say now, by the guard of the call that says it."""
    return list(_duties(state, member, time_ms))


def timeout(state: State, arguments: Timeout, context: Context) -> None:
    """Somebody says that a deadline has passed. Too early is a harmless refusal."""
    deadline = running_deadline(state)
    if deadline is None or deadline.subject != arguments.subject:
        raise refuse(Refusal.NO_DEADLINE, "no such deadline runs")
    check_timeout(deadline, context.time_ms)
    deadline.passed(context.time_ms)


def check_timeout(deadline: Deadline, now_ms: int) -> None:
    """Whether anybody may say that a deadline has passed.

    Raises:
        Rejected: it has not.
    """
    if now_ms < deadline.due_ms:
        raise refuse(Refusal.TOO_EARLY, f"the deadline is in {deadline.due_ms - now_ms} ms")


def running_deadline(state: State) -> Deadline | None:
    """The deadline that runs; ``None``: none does, before the first has joined and after the end."""
    iteration, group = state.iteration, state.group
    if iteration is not None:
        running = iteration
        return Deadline(running.step, due_ms(state, running), lambda now_ms: end_phase(state, running, now_ms))
    if group.status == WAITING or (group.status == FOUNDING and group.joined):
        subject = digest("tclearn/deepchain/waiting/1", group.status, group.iterations)
        due = group.since_ms + state.terms.times.patience_ms
        return Deadline(subject, due, lambda now_ms: end_waiting(state, now_ms))
    return None


def asset_subject(state: State, member: MemberId) -> Digest:
    """Names the statement of a member's next asset."""
    return digest("tclearn/deepchain/declare/1", len(state.assets_of(member)))


def stake_subject(state: State, member: MemberId) -> Digest:
    """Names the locking of deposits after those lost so far; of none, the joining."""
    joined = state.joined(member)
    return digest("tclearn/deepchain/stake/1", joined.losses if joined else 0)


def _duties(state: State, member: MemberId, time_ms: int) -> Iterator[Duty]:
    deadline = running_deadline(state)
    if deadline is not None and allows(check_timeout, deadline, time_ms):
        yield Duty("timeout", deadline.subject, member, None)
    iteration = state.iteration
    if iteration is not None:
        yield from _steps(state, iteration, member, time_ms)
    if allows(check_join, state, member):
        yield Duty("join", stake_subject(state, member), member, None)
    if allows(check_stake, state, member):
        yield Duty("stake", stake_subject(state, member), member, None)
    if allows(check_declare, state, member):
        yield Duty("declare", asset_subject(state, member), member, None)


def _steps(state: State, iteration: Iteration, member: MemberId, time_ms: int) -> Iterator[Duty]:
    kind, guard = _STEPS[iteration.phase]
    block = iteration.block
    if block is not None and allows(check_append, state, iteration, member, time_ms):
        owed = iteration.phase == APPENDING and member in block.committee
        yield Duty("append", block.hash, member, due_ms(state, iteration) if owed else None)
    if kind != "append" and allows(guard, state, iteration, member, time_ms):
        yield Duty(kind, iteration.step, member, due_ms(state, iteration))
