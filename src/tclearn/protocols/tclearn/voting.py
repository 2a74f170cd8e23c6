"""Commit, reveal, decision: each validator's verdict is hidden until all are in, then judged by the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tclearn.coalition.acceptance import Judgement, Terms, wanted
from tclearn.coalition.block import Vote
from tclearn.coalition.evidence import Evidence, Paired
from tclearn.coalition.quorum import quorum
from tclearn.coalition.verdict import UNAVAILABLE, Verdict, agreed_global, agrees, agrees_by_answer, commitment
from tclearn.encoding import Digest, MemberId
from tclearn.ledger import Context
from tclearn.limits import CANDIDATES_PER_MEMBER_AND_HEIGHT_MAX
from tclearn.protocols.tclearn.calls import Commit, Reveal
from tclearn.protocols.tclearn.drawing import draw_generals
from tclearn.protocols.tclearn.objects import check_granted, to_test
from tclearn.protocols.tclearn.proposing import close, known, start_testing
from tclearn.protocols.tclearn.records import (
    ACCEPTED,
    EXPIRED,
    OPEN,
    REJECTED,
    REVEALING,
    STALE,
    TESTING,
    UNDECIDED,
    Candidate,
    PendingIncrement,
)
from tclearn.protocols.tclearn.refusals import Refusal, refuse
from tclearn.protocols.tclearn.reverting import count_drift, take_back
from tclearn.protocols.tclearn.state import State


def commit(state: State, arguments: Commit, context: Context) -> None:
    """A validator commits to its verdict. When all have, the reveals begin."""
    candidate = _at_attempt(state, arguments.candidate, arguments.attempt)
    check_commit(state, candidate, context.sender)
    candidate = replace(candidate, commits={**candidate.commits, context.sender: arguments.commitment})
    if len(candidate.commits) == len(candidate.committee):
        candidate = _start_reveals(state, candidate, context.time_ms)
    state.put_candidate(candidate)


def reveal(state: State, arguments: Reveal, context: Context) -> None:
    """A validator shows its verdict. The candidate is decided as soon as the votes suffice.

    Verdicts that come after the decision are kept for the record: until the block is sealed, or a rejected candidate's
    deadline has passed.
    """
    candidate = _at_attempt(state, arguments.candidate, arguments.attempt)
    check_reveal(state, candidate, context.sender, context.time_ms)
    verdict = arguments.verdict
    shown = commitment(state.charter.digest, candidate.id, arguments.attempt, context.sender, verdict, arguments.salt)
    if shown != candidate.commits[context.sender]:
        raise refuse(Refusal.COMMITMENT_MISMATCH, "the verdict is not the one committed to")
    local_counts = state.charter.local_results == "counts"
    task = state.charter.task
    fault = verdict.fault(
        metric=task.metric,
        global_n=task.global_n,
        local_counts=local_counts,
        wants=wanted(state.rule),
        hidden_n=candidate.hidden_n,
        drifting=state.drifting,
    )
    if fault:
        raise refuse(Refusal.BAD_VERDICT, fault)
    candidate = replace(candidate, reveals={**candidate.reveals, context.sender: verdict})
    if candidate.status == REVEALING:
        _decide(state, candidate, context.time_ms)
    else:
        state.put_candidate(candidate)
    _settle_hidden(state, candidate.number, context.time_ms)


def check_commit(state: State, candidate: Candidate, member: MemberId) -> None:
    """Whether a member may commit to a verdict on a candidate, having been granted what testing it takes.

    Raises:
        Rejected: it may not.
    """
    check_committing(candidate, member)
    check_granted(state, member, to_test(state, candidate))


def check_committing(candidate: Candidate, member: MemberId) -> None:
    """Whether a member is asked to test a candidate.

    Raises:
        Rejected: it may not.
    """
    _check_drawn(candidate, member)
    if candidate.status != TESTING:
        raise refuse(Refusal.WRONG_PHASE, f"the candidate is {candidate.status}")
    if member in candidate.commits:
        raise refuse(Refusal.ALREADY_DONE, f"{member} has committed already")


def check_reveal(state: State, candidate: Candidate, member: MemberId, now_ms: int) -> None:
    """Whether a member may show its verdict on a candidate.

    Raises:
        Rejected: it may not.
    """
    _check_drawn(candidate, member)
    if candidate.status != REVEALING and candidate not in decided_lately(state, now_ms):
        raise refuse(Refusal.WRONG_PHASE, f"the candidate is {candidate.status}, verdicts are closed")
    if member not in candidate.commits:
        raise refuse(Refusal.NO_COMMITMENT, f"{member} did not commit in time")
    if member in candidate.reveals:
        raise refuse(Refusal.ALREADY_DONE, f"{member} has revealed already")


def decided_lately(state: State, now_ms: int) -> Iterator[Candidate]:
    """Decided candidates on which verdicts are still taken, for the record.

    That is the accepted one until its block is sealed, and those rejected for the coming block until their deadline,
    among as many as all members may offer for it. (Endings without blame may make them more.)
    """
    pending = state.pending
    if isinstance(pending, PendingIncrement) and pending.sealed is None:
        yield state.candidate(pending.candidate)
    many = CANDIDATES_PER_MEMBER_AND_HEIGHT_MAX * len(state.members)
    for number in range(state.candidates - 1, max(-1, state.candidates - 1 - many), -1):
        candidate = state.candidate(number)
        if candidate.height <= state.tip:
            return
        if candidate.status == REJECTED and now_ms < candidate.due_ms:
            yield candidate


def end_testing(state: State, candidate: Candidate, now_ms: int) -> None:
    """The deadline for commitments has passed; those who did not commit are missing."""
    candidate = _start_reveals(state, candidate, now_ms)
    if candidate.commits:
        state.put_candidate(candidate)
    else:
        conclude(state, candidate, now_ms)


def conclude(state: State, candidate: Candidate, now_ms: int) -> None:
    """The deadline for reveals has passed without a decision: draw again, or end without blame."""
    if len(candidate.committee) < len(state.members) - 1:
        if candidate.attempt + 1 < state.charter.schedule.attempts:
            state.put_candidate(start_testing(state, replace(candidate, attempt=candidate.attempt + 1), now_ms))
        else:
            close(state, candidate, EXPIRED, f"no decision after {candidate.attempt + 1} committees", now_ms)
    else:
        missing = [member for member in candidate.committee if member not in candidate.reveals]
        close(state, candidate, UNDECIDED, f"no decision, no verdict from {', '.join(missing) or 'nobody'}", now_ms)
    _settle_hidden(state, candidate.number, now_ms)


def votes(state: State, candidate: Candidate) -> tuple[Vote, ...]:
    """What each validator of the committee has voted, as the acceptance rule judges its verdict."""
    return tuple(_vote(state, candidate, member) for member in candidate.committee)


def judgement(state: State, verdict: Verdict) -> Judgement | None:
    """The rule's judgement of one verdict; ``None`` when there is nothing to judge (unavailable, or only a vote).

    Each verdict is judged by its own results, so that a false result on G is one vote and moves nobody else's.
    """
    if verdict.evidence is None or verdict.vote is not None:
        return None
    acceptance = state.charter.acceptance
    return state.rule.judge(verdict.evidence, Terms(acceptance.lambda_ppm, acceptance.arguments))


def _decide(state: State, candidate: Candidate, now_ms: int) -> None:
    size = len(candidate.committee)
    needed = quorum(size)
    candidate = replace(candidate, performance=_agreed(candidate, lambda evidence: evidence.on_global))
    given = [vote.vote for vote in votes(state, candidate)]
    yes = given.count("yes")
    no = given.count("no") + given.count("unavailable")
    if yes >= needed and candidate.performance is not None:
        _accept(state, candidate, now_ms)
    elif no >= size - needed + 1:
        close(state, candidate, REJECTED, _why_rejected(state, candidate), now_ms)
    elif len(candidate.reveals) == len(candidate.commits):
        conclude(state, candidate, now_ms)  # nobody is left to speak, and it is not enough
    else:
        state.put_candidate(candidate)


def _agreed(
    candidate: Candidate,
    part: Callable[[Evidence], Paired | None],
    alike: Callable[[Paired, Paired], bool] = agrees,
) -> Paired | None:
    reported = {
        MemberId(member): result
        for member, verdict in candidate.reveals.items()
        if verdict.evidence is not None and (result := part(verdict.evidence)) is not None
    }
    return agreed_global(reported, quorum(len(candidate.committee)), alike)


def _settle_hidden(state: State, number: int, now_ms: int) -> None:
    # What a part says takes effect once the candidate is decided, and as soon as a quorum has said it: with a late
    # verdict perhaps. What it says of the newest model is then another matter than the candidate.
    candidate = state.candidate(number)
    hidden = candidate.hidden
    if candidate.status in OPEN or hidden is None or hidden.part is None:
        return
    performance = hidden.performance or _agreed(candidate, lambda evidence: evidence.on_hidden, agrees_by_answer)
    drift = hidden.drift or _agreed(candidate, lambda evidence: evidence.drift, agrees_by_answer)
    state.put_candidate(replace(candidate, hidden=replace(hidden, performance=performance, drift=drift)))
    if drift is not None and hidden.drift is None:
        count_drift(state, hidden.part.keeper, drift)
        take_back(state, now_ms)


def _accept(state: State, candidate: Candidate, now_ms: int) -> None:
    state.put_candidate(replace(candidate, status=ACCEPTED, decided_ms=now_ms))
    for other in state.open_candidates():
        close(state, other, STALE, f"candidate {candidate.number} was accepted first", now_ms)
    state.put_pending(
        PendingIncrement(
            height=candidate.height,
            committee=candidate.committee,
            generals=draw_generals(state, candidate.height, candidate.committee),
            misses=0,
            due_ms=now_ms + state.charter.schedule.seal_ms,
            since_ms=now_ms,
            sealed=None,
            candidate=candidate.number,
        )
    )


def _vote(state: State, candidate: Candidate, member: MemberId) -> Vote:
    verdict = candidate.reveals.get(member)
    if verdict is None:
        return Vote(member, "missing")
    if verdict.status == UNAVAILABLE or verdict.evidence is None:
        return Vote(member, "unavailable")
    judged = judgement(state, verdict)
    yes = judged.accepted if judged else verdict.vote == 1
    agreed = candidate.performance
    return Vote(
        member=member,
        vote="yes" if yes else "no",
        on_global=verdict.evidence.on_global,
        on_local=verdict.evidence.on_local,
        deviating=int(agreed is not None and not agrees(agreed, verdict.evidence.on_global)),
        objections=tuple(guard.name for guard in judged.guards if not guard.passed)
        if judged and judged.guards
        else None,
        on_hidden=verdict.evidence.on_hidden,
    )


def _why_rejected(state: State, candidate: Candidate) -> str:
    for member in candidate.committee:
        verdict = candidate.reveals.get(member)
        judged = judgement(state, verdict) if verdict else None
        if judged and not judged.accepted:
            return f"{judged.reason} ({state.rule.name}, block {candidate.reference})"
    return "not available to enough validators"


def _start_reveals(state: State, candidate: Candidate, now_ms: int) -> Candidate:
    return replace(candidate, status=REVEALING, due_ms=now_ms + state.charter.schedule.verdict_ms)


def _at_attempt(state: State, name: Digest, attempt: int) -> Candidate:
    candidate = known(state, name)
    if candidate.attempt != attempt:
        raise refuse(Refusal.WRONG_ATTEMPT, f"the candidate is at attempt {candidate.attempt}")
    return candidate


def _check_drawn(candidate: Candidate, member: MemberId) -> None:
    if member not in candidate.committee:
        raise refuse(Refusal.NOT_DRAWN, f"{member} is not drawn to test this candidate")
