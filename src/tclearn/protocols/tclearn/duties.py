"""What the state asks of a member, and which deadlines run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

from tclearn.encoding import Digest, MemberId, digest
from tclearn.ledger import Context, Duty
from tclearn.ledger.contract import allows
from tclearn.protocols.tclearn.accessing import (
    access_subject,
    check_delivered,
    check_witness,
    delivered_subject,
    may_come,
    needed,
    witness_subject,
)
from tclearn.protocols.tclearn.calls import Timeout
from tclearn.protocols.tclearn.hiding import check_hide, check_show, hide_subject, miss_keeper, parts_before
from tclearn.protocols.tclearn.proposing import (
    check_offer,
    check_release,
    expire_unreleased,
    next_turn,
    propose_subject,
    start_first_turn,
)
from tclearn.protocols.tclearn.records import OPEN, PROPOSED, REVEALING, SHOWING, TESTING, Candidate
from tclearn.protocols.tclearn.refusals import Refusal, refuse
from tclearn.protocols.tclearn.sealing import (
    check_endorse,
    check_finalize,
    check_renew,
    check_seal,
    generals_exhausted,
    switch_general,
    to_endorse,
)
from tclearn.protocols.tclearn.state import State
from tclearn.protocols.tclearn.voting import check_commit, check_reveal, conclude, decided_lately, end_testing


@dataclass(frozen=True, slots=True)
class Deadline:
    """A running deadline: what it is about, when it passes, what then happens, and who is not asked to say so."""

    subject: Digest
    due_ms: int
    passed: Callable[[int], None]
    excused: MemberId | None = None


def duties(state: State, member: MemberId, time_ms: int) -> list[Duty]:
    """A member's duties, most pressing first: what it may say now, by the guard of the call that says it.

    Who is not a member, not yet or no longer, has none.
    """
    return list(_duties(state, member, time_ms)) if member in state.members else []


def timeout(state: State, arguments: Timeout, context: Context) -> None:
    """Somebody says that a deadline has passed. Too early is a harmless refusal."""
    for deadline in deadlines(state):
        if deadline.subject == arguments.subject:
            check_timeout(deadline, context.sender, context.time_ms)
            deadline.passed(context.time_ms)
            return
    raise refuse(Refusal.NO_DEADLINE, "no such deadline runs")


def check_timeout(deadline: Deadline, member: MemberId, now_ms: int) -> None:
    """Whether a member may say that a deadline has passed.

    Raises:
        Rejected: it may not.
    """
    if now_ms < deadline.due_ms:
        raise refuse(Refusal.TOO_EARLY, f"the deadline is in {deadline.due_ms - now_ms} ms")
    if member == deadline.excused:
        raise refuse(Refusal.NO_DEADLINE, f"it is for others than {member} to say so")


def deadlines(state: State) -> Iterator[Deadline]:
    """The deadlines that run in a state."""
    turn = state.turn
    if turn.member is not None and turn.due_ms is not None:
        member, passes = turn.member, turn.passes
        yield Deadline(
            digest("tclearn/turn-due/1", turn.number),
            turn.due_ms,
            lambda now_ms: next_turn(state, member, passes + 1, now_ms),
        )
    elif turn.member is not None and turn.number == 0 and not state.candidates:
        # The ledger has no time before its first entry. If the member whose turn is first stays silent, the first word
        # of another one starts the clock.
        subject = digest("tclearn/turn-start/1")
        yield Deadline(subject, 1, lambda now_ms: start_first_turn(state, now_ms), excused=turn.member)
    for candidate in state.open_candidates():
        yield Deadline(candidate.round, candidate.due_ms, _when_passed(state, candidate))
    pending = state.pending
    if pending is not None and not generals_exhausted(state, pending):
        yield Deadline(pending.step, pending.due_ms, lambda now_ms: switch_general(state, pending, now_ms))


def _when_passed(state: State, candidate: Candidate) -> Callable[[int], None]:
    handlers = {
        PROPOSED: expire_unreleased,
        SHOWING: miss_keeper,
        TESTING: end_testing,
        REVEALING: conclude,
    }
    handler = handlers[candidate.status]
    return lambda now_ms: handler(state, candidate, now_ms)


def _duties(state: State, member: MemberId, time_ms: int) -> Iterator[Duty]:
    for deadline in deadlines(state):
        if allows(check_timeout, deadline, member, time_ms):
            yield Duty("timeout", deadline.subject, member, None)
    yield from _block_duties(state, member, time_ms)
    if state.charter.vault is not None:
        yield from _reading_duties(state, member, time_ms)
    # Verdicts on what is decided already come first: they are known, and soon nobody takes them any more.
    for candidate in chain(decided_lately(state, time_ms), state.open_candidates()):
        yield from _candidate_duties(state, candidate, member, time_ms)
    if allows(check_hide, state, member, time_ms):
        yield Duty("hide", hide_subject(parts_before(state, member)), member, None)
    if allows(check_offer, state, member, time_ms):
        yield Duty("propose", propose_subject(state, member), member, state.turn.due_ms)
    links = state.seed_chain(member)
    if allows(check_renew, links):
        yield Duty("renew", digest("tclearn/renew/1", links.last), member, None)


def _block_duties(state: State, member: MemberId, time_ms: int) -> Iterator[Duty]:
    pending = state.pending
    if pending is not None:
        if allows(check_finalize, state, pending):
            yield Duty("finalize", pending.step, member, None)
        if allows(check_seal, state, pending, member, time_ms):
            yield Duty("seal", pending.step, member, pending.due_ms)
    for chained in to_endorse(state):
        if allows(check_endorse, chained, member):
            owed = pending is not None and chained is pending.sealed and member in pending.committee
            yield Duty("endorse", chained.block.hash, member, pending.due_ms if pending and owed else None)


def _reading_duties(state: State, member: MemberId, time_ms: int) -> Iterator[Duty]:
    for arguments, due_ms in needed(state, member, time_ms):
        yield Duty("access", access_subject(state, arguments, member), member, due_ms)
    for number in state.undelivered(member):
        if allows(check_delivered, state, number, member) and may_come(state, state.access(number)):
            yield Duty("delivered", delivered_subject(number), member, None)
    if allows(check_witness, state, member):
        yield Duty("witness", witness_subject(check_witness(state, member)), member, None)


def _candidate_duties(state: State, candidate: Candidate, member: MemberId, time_ms: int) -> Iterator[Duty]:
    due_ms = candidate.due_ms if candidate.status in OPEN else None
    if allows(check_release, candidate, member):
        yield Duty("release", candidate.round, member, due_ms)
    if allows(check_show, candidate, member):
        yield Duty("show", candidate.round, member, due_ms)
    if allows(check_commit, state, candidate, member):
        yield Duty("test", candidate.round, member, due_ms)
    if allows(check_reveal, state, candidate, member, time_ms):
        yield Duty("reveal", reveal_subject(candidate), member, due_ms)


def reveal_subject(candidate: Candidate) -> Digest:
    """Names one reveal; the same before and after the decision, and known already when the verdict is committed to."""
    return digest("tclearn/reveal/1", candidate.id, candidate.attempt)
