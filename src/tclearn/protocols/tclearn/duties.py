"""What the state asks of a member, and which deadlines run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tclearn.encoding import Digest, MemberId, digest
from tclearn.ledger import Context, Duty
from tclearn.limits import SEED_CHAIN_LENGTH
from tclearn.protocols.tclearn.calls import Timeout
from tclearn.protocols.tclearn.proposing import (
    expire_unreleased,
    may_propose,
    next_turn,
    propose_subject,
    start_first_turn,
)
from tclearn.protocols.tclearn.records import PROPOSED, REJECTED, REVEALING, TESTING, Candidate, Pending
from tclearn.protocols.tclearn.refusals import Refusal, refuse
from tclearn.protocols.tclearn.sealing import generals_exhausted, switch_general, verdicts_are_in
from tclearn.protocols.tclearn.state import State
from tclearn.protocols.tclearn.voting import conclude, end_testing, may_reveal


@dataclass(frozen=True, slots=True)
class Deadline:
    """A running deadline: what it is about, when it passes, what then happens, and who is not asked to say so."""

    subject: Digest
    due_ms: int
    passed: Callable[[int], None]
    excused: MemberId | None = None


def duties(state: State, member: MemberId, time_ms: int) -> list[Duty]:
    """A member's duties, most pressing first."""
    return list(_duties(state, member, time_ms))


def timeout(state: State, arguments: Timeout, context: Context) -> None:
    """Somebody says that a deadline has passed. Too early is a harmless refusal."""
    for deadline in deadlines(state):
        if deadline.subject == arguments.subject:
            if context.time_ms < deadline.due_ms:
                raise refuse(Refusal.TOO_EARLY, f"the deadline is in {deadline.due_ms - context.time_ms} ms")
            deadline.passed(context.time_ms)
            return
    raise refuse(Refusal.NO_DEADLINE, "no such deadline runs")


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
    handlers = {PROPOSED: expire_unreleased, TESTING: end_testing, REVEALING: conclude}
    handler = handlers[candidate.status]
    return lambda now_ms: handler(state, candidate, now_ms)


def _duties(state: State, member: MemberId, time_ms: int) -> Iterator[Duty]:
    for deadline in deadlines(state):
        if time_ms >= deadline.due_ms and member != deadline.excused:
            yield Duty("timeout", deadline.subject, member, None)
    pending = state.pending
    if pending is not None:
        yield from _pending_duties(state, pending, member, time_ms)
    tip = state.chained(state.tip)
    if tip.entry is not None and member not in tip.endorsements:
        yield Duty("endorse", tip.block.hash, member, None)
    for candidate in state.open_candidates():
        yield from _candidate_duties(state, candidate, member, time_ms)
    yield from _late_reveal(state, member, time_ms)
    if may_propose(state, member, time_ms):
        yield Duty("propose", propose_subject(state, member), member, state.turn.due_ms)
    chain = state.seed_chain(member)
    if chain.used >= SEED_CHAIN_LENGTH * 3 // 4 and chain.following is None:
        yield Duty("renew", digest("tclearn/renew/1", chain.last), member, None)


def _pending_duties(state: State, pending: Pending, member: MemberId, time_ms: int) -> Iterator[Duty]:
    if pending.block is not None:
        if member not in pending.endorsements:
            due_ms = pending.due_ms if member in pending.committee else None
            yield Duty("endorse", pending.block.hash, member, due_ms)
    elif generals_exhausted(state, pending):
        yield Duty("finalize", pending.step, member, None)
    elif pending.general == member and verdicts_are_in(state, pending, time_ms):
        yield Duty("seal", pending.step, member, pending.due_ms)


def _candidate_duties(state: State, candidate: Candidate, member: MemberId, time_ms: int) -> Iterator[Duty]:
    if candidate.status == PROPOSED:
        if candidate.proposer == member:
            yield Duty("release", candidate.round, member, candidate.due_ms)
    elif member in candidate.committee:
        if candidate.status == TESTING and member not in candidate.commits:
            yield Duty("test", candidate.round, member, candidate.due_ms)
        if may_reveal(state, candidate, time_ms) and _owes_reveal(candidate, member):
            yield Duty("reveal", reveal_subject(candidate), member, candidate.due_ms)


def _late_reveal(state: State, member: MemberId, time_ms: int) -> Iterator[Duty]:
    for candidate in _decided_lately(state, time_ms):
        if may_reveal(state, candidate, time_ms) and _owes_reveal(candidate, member):
            yield Duty("reveal", reveal_subject(candidate), member, None)


def _decided_lately(state: State, time_ms: int) -> Iterator[Candidate]:
    # In free turns others may have proposed since. Candidates whose deadline has passed end the search: at one height
    # there may be any number of them.
    pending = state.pending
    if pending is not None and pending.candidate is not None:
        yield state.candidate(pending.candidate)
    for number in range(state.candidates - 1, -1, -1):
        candidate = state.candidate(number)
        if candidate.height <= state.tip or time_ms >= candidate.due_ms:
            return
        if candidate.status == REJECTED:
            yield candidate


def reveal_subject(candidate: Candidate) -> Digest:
    """Names one reveal; the same before and after the decision, and known already when the verdict is committed to."""
    return digest("tclearn/reveal/1", candidate.id, candidate.attempt)


def _owes_reveal(candidate: Candidate, member: MemberId) -> bool:
    return member in candidate.commits and member not in candidate.reveals
