"""From a decision to a block: the general seals, the validators endorse (Lugan et al. 2019, §III.A).

The block's body is a function of the contract's state, so a general has no power over what it says: it adds its name,
the time, and the next link of its seed chain. A general that fails is switched; after f + 1 of them anybody may
finalize.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from tclearn.coalition.block import INCREMENT, REVERT, Block, Vote, data_ids_root, strengths_ppm
from tclearn.coalition.evidence import Paired
from tclearn.coalition.hidden import Hidden
from tclearn.coalition.quorum import faulty_max, quorum
from tclearn.coalition.rate import Plateau
from tclearn.encoding import Digest, MemberId, digest
from tclearn.identity.seed_chain import follows
from tclearn.ledger import Context
from tclearn.protocols.tclearn.accessing import count_cosignature
from tclearn.protocols.tclearn.calls import Endorse, Finalize, Renew, Seal
from tclearn.protocols.tclearn.drawing import next_link
from tclearn.protocols.tclearn.proposing import next_turn
from tclearn.protocols.tclearn.records import AnyPending, ChainedBlock, PendingIncrement, PendingRevert, SeedChain
from tclearn.protocols.tclearn.refusals import Refusal, refuse
from tclearn.protocols.tclearn.reverting import follow_drift, lock_for_revert, take_back
from tclearn.protocols.tclearn.state import State
from tclearn.protocols.tclearn.voting import votes

GRACE_PARTS: Final = 10


def seal(state: State, arguments: Seal, context: Context) -> None:
    """The general makes the block and shows the next link of its seed chain."""
    pending = _pending(state, arguments.height)
    check_seal(state, pending, context.sender, context.time_ms)
    state.put_seed_chain(context.sender, _shown(state, context.sender, arguments.reveal))
    sealed = ChainedBlock(_body(state, pending, context.sender, context.time_ms), context.index, {})
    due_ms = context.time_ms + state.charter.schedule.seal_ms
    state.put_pending(replace(pending, sealed=sealed, due_ms=due_ms))


def endorse(state: State, arguments: Endorse, context: Context) -> None:
    """A member endorses the sealed block; ⌈2m/3⌉ of its committee bring it into the chain.

    Any member may endorse, and later ones may endorse the newest block: their cosignatures protect the ledger's head.
    """
    chained = next((each for each in to_endorse(state) if each.block.hash == arguments.block), None)
    if chained is None:
        raise refuse(Refusal.UNKNOWN_BLOCK, "not the sealed block, nor the newest of the chain")
    check_endorse(chained, context.sender)
    if chained.entry is None or arguments.cosignature.size != chained.entry + 1:
        raise refuse(Refusal.WRONG_HEAD, "the cosigned head must end with the block's seal")
    count_cosignature(state, context.sender, arguments.cosignature.size, context.time_ms)
    endorsed = replace(chained, endorsements={**chained.endorsements, context.sender: context.index})
    pending = state.pending
    if pending is None or endorsed.block.index != pending.height:
        state.put_block(endorsed, tip=False)
    elif sum(member in endorsed.endorsements for member in pending.committee) < quorum(len(pending.committee)):
        state.put_pending(replace(pending, sealed=endorsed))
    else:
        shown = state.seed_chain(pending.general).last
        _append(state, pending, endorsed, digest("tclearn/seed/1", state.seed, shown), context.time_ms)


def finalize(state: State, arguments: Finalize, context: Context) -> None:
    """The block comes into the chain without a general, after f + 1 of them failed."""
    pending = _pending(state, arguments.height)
    check_finalize(state, pending)
    chained = ChainedBlock(_body(state, pending, None, context.time_ms), context.index, {})
    seed = digest("tclearn/seed/1", state.seed, "withheld", pending.misses)
    _append(state, pending, chained, seed, context.time_ms)


def renew(state: State, arguments: Renew, context: Context) -> None:
    """A member commits to its next seed chain, which takes over when the present one is used up."""
    chain = state.seed_chain(context.sender)
    check_renew(chain)
    # The link of the coming block's general may have been shown already, so that block does not count yet.
    following = replace(chain, following=arguments.tip, from_height=state.tip + 2)
    state.put_seed_chain(context.sender, following)


def check_seal(state: State, pending: AnyPending, member: MemberId, now_ms: int) -> None:
    """Whether a member may seal now.

    A decision needs only a quorum. The general waits until all verdicts committed to are revealed, or their grace has
    passed, so that the block names every validator's vote, also those it dislikes.

    Raises:
        Rejected: it may not.
    """
    if pending.sealed is not None:
        raise refuse(Refusal.ALREADY_DONE, f"block {pending.height} is sealed by {pending.general}")
    if generals_exhausted(state, pending) or member != pending.general:
        raise refuse(Refusal.NOT_GENERAL, f"{member} is not the general now")
    if isinstance(pending, PendingIncrement):
        candidate = state.candidate(pending.candidate)
        grace_ms = state.charter.schedule.seal_ms // GRACE_PARTS
        if len(candidate.reveals) < len(candidate.commits) and now_ms < pending.since_ms + grace_ms:
            raise refuse(Refusal.TOO_EARLY, "validators that have committed may still reveal")
    if next_link(state, member) is None:
        raise refuse(Refusal.BAD_SEED_REVEAL, f"{member} has no seed chain that may be used yet")


def check_endorse(chained: ChainedBlock, member: MemberId) -> None:
    """Whether a member may endorse one of the blocks ``to_endorse``.

    Raises:
        Rejected: it may not.
    """
    if member in chained.endorsements:
        raise refuse(Refusal.ALREADY_DONE, f"{member} has endorsed this block already")


def check_finalize(state: State, pending: AnyPending) -> None:
    """Whether anybody may finalize.

    Raises:
        Rejected: nobody may.
    """
    if not generals_exhausted(state, pending):
        raise refuse(Refusal.GENERALS_LEFT, f"{pending.general} is general")


def check_renew(chain: SeedChain) -> None:
    """Whether a member with this seed chain may commit to the next one.

    Raises:
        Rejected: it may not.
    """
    if chain.following is not None:
        raise refuse(Refusal.ALREADY_DONE, "there is a following seed chain already")
    if not chain.near_end:
        raise refuse(Refusal.TOO_EARLY, f"{chain.used} links of the seed chain are used; there are enough left")


def to_endorse(state: State) -> Iterator[ChainedBlock]:
    """The blocks that take endorsements: the sealed one, and the newest of the chain."""
    pending, newest = state.pending, state.chained(state.tip)
    if pending is not None and pending.sealed is not None:
        yield pending.sealed
    if newest.entry is not None:
        yield newest


def switch_general(state: State, pending: AnyPending, now_ms: int) -> None:
    """The general has not sealed in time, or its block was not endorsed in time: the next one takes over."""
    due_ms = now_ms + state.charter.schedule.seal_ms
    state.put_pending(replace(pending, sealed=None, misses=pending.misses + 1, due_ms=due_ms))


def generals_exhausted(state: State, pending: AnyPending) -> bool:
    """Whether f + 1 generals have failed, so that anybody may finalize."""
    return pending.sealed is None and pending.misses > faulty_max(len(state.members))


def members_digest(state: State) -> Digest:
    """Digest of the member set that a block belongs to."""
    return digest("tclearn/members/1", *(member.to_value() for member in state.member_records))


def _pending(state: State, height: int) -> AnyPending:
    pending = state.pending
    if pending is None or pending.height != height:
        raise refuse(Refusal.NOTHING_PENDING, f"no decided block {height} waits to be sealed")
    return pending


def _shown(state: State, member: MemberId, reveal: Digest) -> SeedChain:
    chain = state.seed_chain(member)
    link = next_link(state, member)
    if link is not None and link[0] != chain.epoch and chain.following is not None:
        chain = SeedChain(chain.epoch + 1, chain.following, 0)
    if not follows(chain.last, reveal):
        raise refuse(Refusal.BAD_SEED_REVEAL, "not the next link of the seed chain committed to")
    return replace(chain, last=reveal, used=chain.used + 1)


def _body(state: State, pending: AnyPending, general: MemberId | None, now_ms: int) -> Block:
    if isinstance(pending, PendingIncrement):
        return _increment(state, pending, general, now_ms)
    return _revert(state, pending, general, now_ms)


def _increment(state: State, pending: PendingIncrement, general: MemberId | None, now_ms: int) -> Block:
    previous = state.block(state.tip)
    candidate = state.candidate(pending.candidate)
    own = previous.contributions.get(candidate.proposer, 0)
    contributions = _counting(state, {**previous.contributions, candidate.proposer: own + candidate.samples})
    return Block(
        index=pending.height,
        time_ms=now_ms,
        previous=previous.hash,
        kind=INCREMENT,
        parameters=candidate.parameters,
        contributor=candidate.proposer,
        locator=candidate.locator,
        samples=candidate.samples,
        set_aside=candidate.set_aside,
        contributions=contributions,
        strengths=strengths_ppm(contributions, state.members),
        data_ids=data_ids_root(state.candidate_ids(candidate.number)),
        hyperparameters=candidate.hyperparameters,
        committee=candidate.committee,
        votes=votes(state, candidate),
        performance=candidate.performance,
        best=_best(state, pending.height, candidate.performance),
        reverts=None,
        general=general,
        members=members_digest(state),
        privacy=state.block_privacy(candidate.privacy),
        hidden=candidate.hidden,
    )


def _revert(state: State, pending: PendingRevert, general: MemberId | None, now_ms: int) -> Block:
    previous = state.block(state.tip)
    asked = state.asked(pending.change) if pending.change else None
    target = state.block(pending.target)
    contributions = _counting(state, target.contributions)
    return Block(
        index=pending.height,
        time_ms=now_ms,
        previous=previous.hash,
        kind=REVERT,
        parameters=target.parameters,
        contributor=asked.asked_by if asked else None,
        locator=target.locator,
        samples=0,
        set_aside=0,
        contributions=contributions,
        strengths=strengths_ppm(contributions, state.members),
        data_ids=data_ids_root(b""),
        hyperparameters=state.hyperparameters,
        committee=pending.committee,
        votes=tuple(Vote(m, "yes" if m in asked.approvals else "missing") for m in pending.committee) if asked else (),
        performance=target.performance,
        best=target.best,
        reverts=target.index,
        general=general,
        members=members_digest(state),
        privacy=state.block_privacy(None),
        hidden=Hidden(drift=pending.drift) if pending.drift else None,
    )


def _counting(state: State, contributions: Mapping[str, int]) -> dict[str, int]:
    # Of every member, and of those former ones whose records are in the model still.
    former = {name: own for name, own in contributions.items() if own and name not in state.members}
    return {**former, **{member: contributions.get(member, 0) for member in state.members}}


def _best(state: State, height: int, performance: Paired | None) -> int:
    before = state.block(state.tip).best
    best = state.block(before).performance
    if best is None or performance is None or performance.candidate_performance >= best.candidate_performance:
        return height
    return before


def _append(state: State, pending: AnyPending, chained: ChainedBlock, seed: Digest, now_ms: int) -> None:
    state.put_block(chained, tip=True)
    state.put_pending(None)
    state.put_seed(seed)
    state.put_tries({})
    if isinstance(pending, PendingIncrement):
        _count_increment(state, pending, chained.block, now_ms)
    else:
        _count_revert(state, pending, chained.block, now_ms)
    for name in state.changes():
        asked = state.asked(name)
        if asked.status == "approved" and asked.change.target is not None:
            lock_for_revert(state, asked.change.target, now_ms, change=name)
            return
    take_back(state, now_ms)


def _count_increment(state: State, pending: PendingIncrement, block: Block, now_ms: int) -> None:
    candidate = state.candidate(pending.candidate)
    state.put_data_ids(block.index, state.candidate_ids(candidate.number))
    state.put_candidate_ids(candidate.number, None)
    follow_drift(state, candidate)
    _follow_performance(state, block)
    next_turn(state, candidate.proposer, 0, now_ms)


def _count_revert(state: State, pending: PendingRevert, block: Block, now_ms: int) -> None:
    state.forget_drift()
    if pending.change is not None:
        state.put_change(pending.change, replace(state.asked(pending.change), status="done"))
    if state.rate is not None and block.performance is not None:
        best, scale = block.performance.candidate, block.performance.scale
        state.put_rate(replace(state.rate, best=best, scale=scale, bad_blocks=0))
    next_turn(state, state.turn.member or state.members[-1], 0, now_ms)


def _follow_performance(state: State, block: Block) -> None:
    rate, rule = state.rate, state.charter.learning_rate
    if rate is None or rule is None or block.performance is None:
        return
    rate = Plateau(rule.factor_ppm, rule.patience, rule.minimum_ppm).next(rate, block.performance)
    state.put_rate(rate)
    state.put_hyperparameters({**state.hyperparameters, "learning_rate": rate.rate_ppm})
