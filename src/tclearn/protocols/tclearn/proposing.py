"""Turns and proposals: who may offer an increment, and what is refused before anybody tests it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from itertools import pairwise

from tclearn.coalition import privacy
from tclearn.coalition.block import ID_BYTES, split_ids
from tclearn.coalition.hidden import Hidden
from tclearn.coalition.privacy import PrivacyEvent
from tclearn.coalition.quorum import faulty_max
from tclearn.encoding import Digest, MemberId, digest
from tclearn.ledger import Context
from tclearn.limits import (
    CANDIDATES_PER_MEMBER_AND_HEIGHT_MAX,
    DECLARED_PARTS_MAX,
    RECORDS_PER_CONTRIBUTION_MAX,
)
from tclearn.protocols.tclearn.calls import Declare, Pass, Propose, Release
from tclearn.protocols.tclearn.drawing import draw_committee, draw_keepers
from tclearn.protocols.tclearn.objects import check_first, check_granted, check_locator, to_train
from tclearn.protocols.tclearn.records import (
    EXPIRED,
    PROPOSED,
    REFUSED,
    SHOWING,
    STALE,
    TESTING,
    UNDECIDED,
    Asked,
    Candidate,
    Turn,
)
from tclearn.protocols.tclearn.refusals import Refusal, refuse
from tclearn.protocols.tclearn.state import State


def propose(state: State, arguments: Propose, context: Context) -> None:
    """A candidate is offered: drawn validators will test it, unless it is refused for cause.

    A refusal for cause (used records, too few, parameters offered before, privacy short of the charter's or above its
    budget) is no rejected call: it is recorded as a
    refused candidate with the reason and its number, and the turn passes on.
    """
    check_offer(state, context.sender, context.time_ms)
    _check_parent(state, arguments.parent)
    check_locator(state, arguments.locator, arguments.parameters)
    check_first(state, context.sender, arguments.locator, arguments.parameters)
    ids = state.declared_ids(context.sender) + arguments.data_ids
    samples = _check_data_ids(ids, arguments.samples)
    if arguments.set_aside > samples:
        raise refuse(Refusal.BAD_SAMPLES, f"{arguments.set_aside} records put aside of {samples}")
    height = state.tip + 1
    candidate = Candidate(
        id=digest("tclearn/candidate/1", state.candidates, context.sender, arguments.parent, arguments.parameters),
        number=state.candidates,
        height=height,
        entry=context.index,
        proposer=context.sender,
        parent=arguments.parent,
        parameters=arguments.parameters,
        locator=arguments.locator,
        samples=samples,
        set_aside=arguments.set_aside,
        hyperparameters=state.hyperparameters,
        status=PROPOSED,
        reference=state.rule.reference(state.tip, state.block(state.tip).best),
        due_ms=context.time_ms + state.charter.schedule.verdict_ms,
        reason="",
        count=0,
        attempt=0,
        committee=(),
        commits={},
        reveals={},
        performance=None,
        decided_ms=None,
        privacy=arguments.privacy,
        proposed_ms=None if state.charter.vault is None else context.time_ms,
    )
    state.put_located(candidate.locator, candidate.parameters)
    state.count_try(context.sender)
    state.forget_declared(context.sender)
    reason, count = _cause_for_refusal(state, candidate, ids)
    if reason:
        state.put_candidate(replace(candidate, status=REFUSED, reason=reason, count=count))
        next_turn(state, candidate.proposer, state.turn.passes + 1, context.time_ms)
        return
    state.put_candidate(candidate)
    state.put_candidate_ids(candidate.number, ids)
    _spend(state, candidate)
    if state.turn.member is not None:
        state.put_turn(replace(state.turn, due_ms=None, passes=0))


def declare(state: State, arguments: Declare, context: Context) -> None:
    """Data IDs of a coming proposal, when one transaction cannot hold them all."""
    check_offer(state, context.sender, context.time_ms)
    _check_parent(state, arguments.parent)
    part = arguments.data_ids
    _check_data_ids(part, len(part) // ID_BYTES)
    declared = state.declared(context.sender)
    if declared is not None:
        if declared.last >= part[:ID_BYTES]:
            raise refuse(Refusal.BAD_DATA_IDS, "data IDs must go on where the part before ended")
        if declared.parts >= DECLARED_PARTS_MAX:
            raise refuse(Refusal.BAD_DATA_IDS, f"more than {DECLARED_PARTS_MAX} parts")
    state.add_declared(context.sender, part)


def release(state: State, arguments: Release, context: Context) -> None:
    """The proposer's word that the parameters are in the store: a hidden part is asked for, or the testing starts."""
    candidate = known(state, arguments.candidate)
    check_release(candidate, context.sender)
    state.put_candidate(ask_keeper(state, candidate, context.time_ms))


def pass_turn(state: State, arguments: Pass, context: Context) -> None:
    """The member whose turn it is has nothing to offer."""
    turn = state.turn
    check_propose(state, context.sender, context.time_ms)
    _check_parent(state, arguments.parent)
    if turn.member != context.sender or turn.number != arguments.turn:
        raise refuse(Refusal.NOT_YOUR_TURN, f"turn {arguments.turn} is not {context.sender}'s to give on")
    next_turn(state, context.sender, turn.passes + 1, context.time_ms)


def check_offer(state: State, member: MemberId, now_ms: int) -> None:
    """Whether a member may offer a candidate now, having been granted the model that it is trained from.

    Raises:
        Rejected: it may not.
    """
    check_propose(state, member, now_ms)
    check_granted(state, member, to_train(state))


def check_propose(state: State, member: MemberId, now_ms: int) -> None:
    """Whether a member may propose now.

    Raises:
        Rejected: it may not.
    """
    if state.pending is not None:
        raise refuse(Refusal.HEIGHT_LOCKED, f"block {state.pending.height} is decided and not in the chain yet")
    if complete(state, now_ms):
        raise refuse(Refusal.COMPLETE, "the charter's stop condition is met")
    if state.members_changing:
        raise refuse(Refusal.MEMBERS_CHANGING, "a change of the members waits until nothing is under way")
    turn = state.turn
    if turn.member not in (None, member):
        raise refuse(Refusal.NOT_YOUR_TURN, f"it is {turn.member}'s turn")
    if state.tries(member) >= CANDIDATES_PER_MEMBER_AND_HEIGHT_MAX:
        raise refuse(Refusal.TOO_MANY_TRIES, f"{state.tries(member)} candidates for this block already")
    alone = state.charter.schedule.turns == "lease"  # the paper is sequential: one candidate at a time
    if any(alone or candidate.proposer == member for candidate in state.open_candidates()):
        raise refuse(Refusal.CANDIDATE_OPEN, "another candidate is still open")


def check_release(candidate: Candidate, member: MemberId) -> None:
    """Whether a member may release a candidate.

    Raises:
        Rejected: it may not.
    """
    if candidate.proposer != member:
        raise refuse(Refusal.NOT_PROPOSER, f"only {candidate.proposer} releases its candidate")
    if candidate.status != PROPOSED:
        raise refuse(Refusal.WRONG_PHASE, f"the candidate is {candidate.status}")


def known(state: State, candidate: Digest) -> Candidate:
    """The candidate of this name.

    Raises:
        Rejected: there is none.
    """
    named = state.named(candidate)
    if named is None:
        raise refuse(Refusal.UNKNOWN_CANDIDATE, "no such candidate")
    return named


def ask_keeper(state: State, candidate: Candidate, now_ms: int) -> Candidate:
    """The candidate with the next keeper asked for a hidden part; in its testing time where nobody is left to ask.

    At most f + 1 are asked: one of them at least is honest. A part that is asked for is spent, shown or not, so that
    nobody can save one for a candidate that it dislikes.
    """
    hidden = candidate.hidden or Hidden()
    enough = len(hidden.missing) > faulty_max(len(state.members))
    asked = None if enough else _next_keeper(state, candidate, hidden.missing)
    kept = state.kept(asked.keeper) if asked else None
    if asked is None or kept is None:
        return start_testing(state, candidate, now_ms)
    state.put_kept(asked.keeper, replace(kept, spent=kept.spent + 1))
    due_ms = now_ms + state.charter.schedule.seal_ms
    return replace(candidate, status=SHOWING, asked=asked, hidden=hidden, due_ms=due_ms)


def start_testing(state: State, candidate: Candidate, now_ms: int) -> Candidate:
    """The candidate with validators drawn for its attempt, and its testing time started."""
    return replace(
        candidate,
        status=TESTING,
        asked=None,
        committee=draw_committee(state, candidate),
        commits={},
        reveals={},
        due_ms=now_ms + state.charter.schedule.verdict_ms,
    )


def next_turn(state: State, after: MemberId, passes: int, now_ms: int) -> None:
    """Hand the turn to the next member that may still propose; to anybody, if all passed or turns are free."""
    members = state.members
    place = bisect_right(members, after)  # it need not be a member any more
    able = [
        member
        for member in members[place:] + members[:place]
        if state.tries(member) < CANDIDATES_PER_MEMBER_AND_HEIGHT_MAX
    ]
    number = state.turn.number + 1
    if state.charter.schedule.turns == "free" or passes >= len(members) or not able or complete(state, now_ms):
        state.put_turn(Turn(number, None, None, passes))
    else:
        state.put_turn(Turn(number, able[0], now_ms + state.charter.schedule.turn_ms, passes))


def over_budget(state: State, member: MemberId, event: PrivacyEvent) -> tuple[str, int] | None:
    """Why an increment would take a member over its privacy budget, and the composed ε then, in millionths.

    Returns:
        ``None`` when it would not.
    """
    terms = state.charter.privacy
    if terms is None or terms.epsilon_max_ppm is None:
        return None
    after = privacy.together(state.spent(member), privacy.cost(terms, event, state.charter.model.layout))
    epsilon = privacy.epsilon_ppm(terms, after)
    if epsilon <= terms.epsilon_max_ppm:
        return None
    spent, would, budget = map(
        privacy.epsilon_text, (privacy.epsilon_ppm(terms, state.spent(member)), epsilon, terms.epsilon_max_ppm)
    )
    return f"ε {spent} spent, {would} with this increment, the budget is {budget}", epsilon


def start_first_turn(state: State, now_ms: int) -> None:
    """Give the first turn, which has none at genesis, its deadline."""
    state.put_turn(replace(state.turn, due_ms=now_ms + state.charter.schedule.turn_ms))


def close(state: State, candidate: Candidate, status: str, reason: str, now_ms: int) -> None:
    """End a candidate without a block; the turn goes on.

    Where the proposer is not to blame (nobody decided, or the chain moved on), its try does not count, and the same
    parameters may be offered again. Parameters that were never released are the proposer's own failure.
    """
    state.put_candidate(replace(candidate, status=status, asked=None, reason=reason, decided_ms=now_ms))
    state.put_candidate_ids(candidate.number, None)
    if status in (UNDECIDED, STALE) or (status == EXPIRED and candidate.status != PROPOSED):
        state.forgive(candidate)
    if status != STALE:
        next_turn(state, candidate.proposer, 0, now_ms)


def expire_unreleased(state: State, candidate: Candidate, now_ms: int) -> None:
    """The deadline for ``release`` has passed."""
    close(state, candidate, EXPIRED, "its parameters were never released", now_ms)


def complete(state: State, now_ms: int) -> bool:
    """Whether the charter's stop condition is met."""
    schedule = state.charter.schedule
    if schedule.stop_blocks is not None and state.increments >= schedule.stop_blocks:
        return True
    if schedule.stop_until_ms is not None and now_ms >= schedule.stop_until_ms:
        return True
    performance = state.block(state.tip).performance
    wanted = schedule.stop_performance_ppm
    return wanted is not None and performance is not None and performance.candidate_performance * 1_000_000 >= wanted


def finished(state: State, now_ms: int) -> bool:
    """Whether the charter's stop condition is met and nothing is on its way any more."""
    return state.pending is None and not state.open_candidates() and complete(state, now_ms)


def propose_subject(state: State, member: MemberId) -> Digest:
    """Names one duty to propose: a new one with every chance, and with every part of the data IDs declared."""
    declared = state.declared(member)
    return digest("tclearn/propose/1", state.chance(member), declared.count if declared else 0)


def _next_keeper(state: State, candidate: Candidate, missing: tuple[MemberId, ...]) -> Asked | None:
    # The height's order goes on from candidate to candidate: a keeper of chosen records could otherwise turn down all
    # candidates of a height, and with them all that could end it. It is asked again when all others were; and if they
    # are so few that all may plot with it, not at this height.
    able = [each for each in draw_keepers(state, candidate) if each.keeper not in missing]
    before = state.keepers_asked
    left = [each for each in able if each.keeper not in before]
    if not left and len(before) > faulty_max(len(state.members)):
        before, left = (), able
    if not left:
        return None
    state.put_keepers_asked((*before, left[0].keeper))
    return left[0]


def _check_parent(state: State, parent: Digest) -> None:
    if parent != state.block(state.tip).hash:
        raise refuse(Refusal.STALE_PARENT, f"the newest block is {state.tip}; train from that one")


def _check_data_ids(ids: bytes, samples: int) -> int:
    count, rest = divmod(len(ids), ID_BYTES)
    if rest or count > RECORDS_PER_CONTRIBUTION_MAX:
        raise refuse(Refusal.BAD_DATA_IDS, f"data IDs of {len(ids)} bytes; they have {ID_BYTES} each")
    if count != samples or samples < 1:
        raise refuse(Refusal.BAD_SAMPLES, f"{samples} samples and {count} data IDs; each record has one ID")
    if any(before >= after for before, after in pairwise(split_ids(ids))):
        raise refuse(Refusal.BAD_DATA_IDS, "data IDs must be ascending and all different")
    return count


def _cause_for_refusal(state: State, candidate: Candidate, ids: bytes) -> tuple[str, int]:
    if state.offered(candidate.parameters):
        return "these parameters were offered before", 0
    minimum = state.charter.schedule.minimum_batch
    trained = candidate.samples - candidate.set_aside  # what is put aside does not hide what is trained on
    if trained < minimum:
        return f"{trained} records trained on, the minimum batch is {minimum}", trained
    used = state.used_ids()
    duplicates = sum(data_id in used for data_id in split_ids(ids))
    if duplicates:
        return f"{duplicates} of {candidate.samples} records already used", duplicates
    return _privacy_fault(state, candidate)


def _privacy_fault(state: State, candidate: Candidate) -> tuple[str, int]:
    charter, event = state.charter, candidate.privacy
    trained = candidate.samples - candidate.set_aside
    reason = privacy.fault(charter.privacy, event, trained, charter.model.layout)
    if reason or charter.privacy is None or event is None:
        return reason, 0
    excess = over_budget(state, candidate.proposer, event)
    return excess if excess is not None else ("", 0)


def _spend(state: State, candidate: Candidate) -> None:
    # From now on the parameters may be in the store, whether or not their release is ever said or the block made.
    terms, event = state.charter.privacy, candidate.privacy
    if terms is not None and event is not None:
        own = privacy.cost(terms, event, state.charter.model.layout)
        state.put_spent(candidate.proposer, privacy.together(state.spent(candidate.proposer), own))
