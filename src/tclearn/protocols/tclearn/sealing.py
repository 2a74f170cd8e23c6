"""From a decision to a block: the general seals, the validators endorse (Lugan et al. 2019, §III.A).

The block's body is a function of the contract's state, so a general has no power over what it says: it adds its name,
the time, and the next link of its seed chain. A general that fails is switched; after f + 1 of them anybody may
finalize.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tclearn.coalition.block import INCREMENT, REVERT, Block, Vote, data_ids_root, strengths_ppm
from tclearn.coalition.evidence import Paired
from tclearn.coalition.quorum import faulty_max, quorum
from tclearn.coalition.rate import Plateau
from tclearn.encoding import Digest, MemberId, digest
from tclearn.identity.seed_chain import follows
from tclearn.ledger import Context
from tclearn.protocols.tclearn.calls import Endorse, Finalize, Renew, Seal
from tclearn.protocols.tclearn.proposing import draw_generals, next_turn
from tclearn.protocols.tclearn.records import ChainedBlock, ChangeState, Pending, SeedChain
from tclearn.protocols.tclearn.refusals import Refusal, refuse
from tclearn.protocols.tclearn.state import State
from tclearn.protocols.tclearn.voting import votes

RENEWED_AFTER_BLOCKS: Final = 3
GRACE_PARTS: Final = 10


def seal(state: State, arguments: Seal, context: Context) -> None:
    """The general makes the block and shows the next link of its seed chain."""
    pending = _pending(state, arguments.height)
    if pending.block is not None:
        raise refuse(Refusal.ALREADY_DONE, f"block {pending.height} is sealed by {pending.block.general}")
    if generals_exhausted(state, pending) or context.sender != pending.general:
        raise refuse(Refusal.NOT_GENERAL, f"{context.sender} is not the general now")
    if not verdicts_are_in(state, pending, context.time_ms):
        raise refuse(Refusal.TOO_EARLY, "validators that have committed may still reveal")
    state.put_seed_chain(context.sender, _shown(state.seed_chain(context.sender), arguments.reveal, pending.height))
    block = _body(state, pending, context.sender, context.time_ms)
    due_ms = context.time_ms + state.charter.schedule.seal_ms
    state.put_pending(replace(pending, block=block, entry=context.index, due_ms=due_ms, seed=arguments.reveal))


def endorse(state: State, arguments: Endorse, context: Context) -> None:
    """A member endorses the sealed block; ⌈2m/3⌉ of its committee bring it into the chain.

    Any member may endorse, and later ones may endorse the newest block: their cosignatures protect the ledger's head.
    """
    pending = state.pending
    if pending is not None and pending.block is not None and pending.block.hash == arguments.block:
        chained = ChainedBlock(pending.block, pending.entry, pending.endorsements)
    else:
        chained = state.chained(state.tip)
        if chained.block.hash != arguments.block or chained.entry is None:
            raise refuse(Refusal.UNKNOWN_BLOCK, "not the sealed block, nor the newest of the chain")
        pending = None
    if context.sender in chained.endorsements:
        raise refuse(Refusal.ALREADY_DONE, f"{context.sender} has endorsed this block already")
    if chained.entry is None or arguments.cosignature.size != chained.entry + 1:
        raise refuse(Refusal.WRONG_HEAD, "the cosigned head must end with the block's seal")
    endorsements = {**chained.endorsements, context.sender: context.index}
    if pending is None:
        state.put_block(replace(chained, endorsements=endorsements), tip=False)
        return
    if sum(member in endorsements for member in pending.committee) < quorum(len(pending.committee)):
        state.put_pending(replace(pending, endorsements=endorsements))
        return
    seed = digest("tclearn/seed/1", state.seed, pending.seed or b"")
    _append(state, pending, replace(chained, endorsements=endorsements), seed, context.time_ms)


def finalize(state: State, arguments: Finalize, context: Context) -> None:
    """The block comes into the chain without a general, after f + 1 of them failed."""
    pending = _pending(state, arguments.height)
    if not generals_exhausted(state, pending):
        raise refuse(Refusal.GENERALS_LEFT, f"{pending.general} is general")
    block = _body(state, pending, None, context.time_ms)
    seed = digest("tclearn/seed/1", state.seed, "withheld", pending.misses)
    _append(state, pending, ChainedBlock(block, context.index, {}), seed, context.time_ms)


def renew(state: State, arguments: Renew, context: Context) -> None:
    """A member commits to its next seed chain, which takes over when the present one is used up."""
    chain = state.seed_chain(context.sender)
    if chain.following is not None:
        raise refuse(Refusal.ALREADY_DONE, f"{context.sender} has a following seed chain already")
    following = replace(chain, following=arguments.tip, from_height=state.tip + RENEWED_AFTER_BLOCKS)
    state.put_seed_chain(context.sender, following)


def verdicts_are_in(state: State, pending: Pending, now_ms: int) -> bool:
    """Whether the block may be sealed: all verdicts committed to are revealed, or their grace has passed.

    A decision needs only a quorum; the wait lets the block name every validator's vote, also those a general dislikes.
    """
    if pending.candidate is None or now_ms >= pending.since_ms + state.charter.schedule.seal_ms // GRACE_PARTS:
        return True
    candidate = state.candidate(pending.candidate)
    return len(candidate.reveals) == len(candidate.commits)


def switch_general(state: State, pending: Pending, now_ms: int) -> None:
    """The general has not sealed in time, or its block was not endorsed in time: the next one takes over."""
    due_ms = now_ms + state.charter.schedule.seal_ms
    cleared = replace(pending, block=None, entry=None, endorsements={}, seed=None)
    state.put_pending(replace(cleared, misses=pending.misses + 1, due_ms=due_ms))


def generals_exhausted(state: State, pending: Pending) -> bool:
    """Whether f + 1 generals have failed, so that anybody may finalize."""
    return pending.block is None and pending.misses > faulty_max(len(state.members))


def lock_for_revert(state: State, change: Digest, now_ms: int) -> None:
    """An approved revert becomes the pending block; all members are its committee."""
    height = state.tip + 1
    state.put_pending(
        Pending(
            height=height,
            candidate=None,
            change=change,
            committee=state.members,
            generals=draw_generals(state, height, state.members),
            misses=0,
            due_ms=now_ms + state.charter.schedule.seal_ms,
            since_ms=now_ms,
        )
    )


def members_digest(state: State) -> Digest:
    """Digest of the member set that a block belongs to."""
    return digest("tclearn/members/1", *(member.to_value() for member in state.charter.members))


def _pending(state: State, height: int) -> Pending:
    pending = state.pending
    if pending is None or pending.height != height:
        raise refuse(Refusal.NOTHING_PENDING, f"no decided block {height} waits to be sealed")
    return pending


def _shown(chain: SeedChain, reveal: Digest, height: int) -> SeedChain:
    link = chain.next_link(height)
    if link is None:
        raise refuse(Refusal.BAD_SEED_REVEAL, "the seed chain is used up, and its successor may not be used yet")
    if link[0] != chain.epoch and chain.following is not None:
        chain = SeedChain(chain.epoch + 1, chain.following, 0)
    if not follows(chain.last, reveal):
        raise refuse(Refusal.BAD_SEED_REVEAL, "not the next link of the seed chain committed to")
    return replace(chain, last=reveal, used=chain.used + 1)


def _body(state: State, pending: Pending, general: MemberId | None, now_ms: int) -> Block:
    if pending.candidate is not None:
        return _increment(state, pending, general, now_ms)
    return _revert(state, pending, general, now_ms)


def _increment(state: State, pending: Pending, general: MemberId | None, now_ms: int) -> Block:
    previous = state.block(state.tip)
    candidate = state.candidate(pending.candidate or 0)
    own = previous.contributions.get(candidate.proposer, 0)
    contributions = {**previous.contributions, candidate.proposer: own + candidate.samples}
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
        strengths=strengths_ppm(contributions),
        data_ids=data_ids_root(state.candidate_ids(candidate.number)),
        hyperparameters=candidate.hyperparameters,
        committee=candidate.committee,
        votes=votes(state, candidate),
        performance=candidate.performance,
        best=_best(state, pending.height, candidate.performance),
        reverts=None,
        general=general,
        members=members_digest(state),
    )


def _revert(state: State, pending: Pending, general: MemberId | None, now_ms: int) -> Block:
    previous = state.block(state.tip)
    asked = _asked(state, pending)
    target = state.block(asked.change.target or 0)
    return Block(
        index=pending.height,
        time_ms=now_ms,
        previous=previous.hash,
        kind=REVERT,
        parameters=target.parameters,
        contributor=asked.asked_by,
        locator=target.locator,
        samples=0,
        set_aside=0,
        contributions=target.contributions,
        strengths=target.strengths,
        data_ids=data_ids_root(b""),
        hyperparameters=state.hyperparameters,
        committee=pending.committee,
        votes=tuple(Vote(m, "yes" if m in asked.approvals else "missing") for m in pending.committee),
        performance=target.performance,
        best=target.best,
        reverts=target.index,
        general=general,
        members=members_digest(state),
    )


def _best(state: State, height: int, performance: Paired | None) -> int:
    before = state.block(state.tip).best
    best = state.block(before).performance
    if best is None or performance is None or performance.candidate_performance >= best.candidate_performance:
        return height
    return before


def _append(state: State, pending: Pending, chained: ChainedBlock, seed: Digest, now_ms: int) -> None:
    block = chained.block
    state.put_block(chained, tip=True)
    state.put_pending(None)
    state.put_seed(seed)
    state.put_tries({})
    if pending.candidate is not None:
        state.put_data_ids(block.index, state.candidate_ids(pending.candidate))
        state.put_candidate_ids(pending.candidate, None)
        _follow_performance(state, block)
        next_turn(state, MemberId(block.contributor or ""), 0, now_ms)
    else:
        asked = _asked(state, pending)
        state.put_change(pending.change or Digest(b""), replace(asked, status="done"))
        if state.rate is not None and block.performance is not None:
            best, scale = block.performance.candidate, block.performance.scale
            state.put_rate(replace(state.rate, best=best, scale=scale, bad_blocks=0))
        next_turn(state, state.turn.member or state.members[-1], 0, now_ms)
    waiting = next((change for change in state.changes() if _waits(state, change)), None)
    if waiting is not None:
        lock_for_revert(state, waiting, now_ms)


def _follow_performance(state: State, block: Block) -> None:
    rate, rule = state.rate, state.charter.learning_rate
    if rate is None or rule is None or block.performance is None:
        return
    rate = Plateau(rule.factor_ppm, rule.patience, rule.minimum_ppm).next(rate, block.performance)
    state.put_rate(rate)
    state.put_hyperparameters({**state.hyperparameters, "learning_rate": rate.rate_ppm})


def _waits(state: State, change: Digest) -> bool:
    asked = state.change(change)
    return asked is not None and asked.status == "approved"


def _asked(state: State, pending: Pending) -> ChangeState:
    asked = state.change(pending.change or Digest(b""))
    if asked is None:
        raise refuse(Refusal.UNKNOWN_CHANGE, "no such change")
    return asked
