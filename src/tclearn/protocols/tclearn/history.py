"""What happened in a coalition, step by step: a query of the state that report, ``status`` and ``demo`` all print."""

from __future__ import annotations

from dataclasses import dataclass

from tclearn.coalition.block import REVERT, Block, Vote
from tclearn.coalition.evidence import Paired
from tclearn.encoding import MemberId
from tclearn.protocols.tclearn.records import ACCEPTED, OPEN, Candidate, ChainedBlock
from tclearn.protocols.tclearn.state import State
from tclearn.protocols.tclearn.voting import judgement, votes

PENDING = "pending"
REVERTED = "reverted"


@dataclass(frozen=True, slots=True)
class Ballot:
    """One validator's vote on one candidate.

    Attributes:
        member: the validator.
        vote: ``"yes"``, ``"no"``, ``"unavailable"`` or ``"missing"``.
        reason: the rule's comparison in words, where there is one.
        on_global: performance of the candidate on G that it reported, 0 to 1.
        on_local: performance of the candidate on its L, 0 to 1.
        local_n: records in its L; 0: it had none, and voted on G alone.
        deviating: whether its result on G is not the agreed one.
        on_hidden: performance of the candidate on the hidden part, 0 to 1.
    """

    member: MemberId
    vote: str
    reason: str
    on_global: float | None
    on_local: float | None
    local_n: int
    deviating: bool
    on_hidden: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One candidate or one revert, and what became of it.

    Attributes:
        entry: ledger index of the proposal, or of a revert's seal.
        block: index of the block it became; ``None``: it became none.
        member: who proposed it, or asked for the revert; empty: nobody did, hidden parts decided it.
        status: ``"accepted"``, ``"rejected"``, ``"refused"``, ``"undecided"``, ``"stale"``, ``"expired"``,
            ``"pending"``, ``"reverted"`` (a block that restores an earlier one), or an open candidate's phase.
        reason: why, in words.
        count: the number the reason is about.
        samples: records of the contribution.
        ballots: the votes, in the order of the committee.
        performance: performance on G that the quorum agreed on, else the median reported, 0 to 1.
        reference: index of the block it was measured against.
    """

    entry: int
    block: int | None
    member: MemberId
    status: str
    reason: str
    count: int
    samples: int
    ballots: tuple[Ballot, ...]
    performance: float | None
    reference: int | None

    @property
    def yes(self) -> int:
        """Votes for it."""
        return sum(ballot.vote == "yes" for ballot in self.ballots)

    @property
    def closed(self) -> bool:
        """Whether nothing about it can change any more, but late verdicts for the record."""
        return self.status not in OPEN and self.status != PENDING


def history(state: State) -> list[Step]:
    """All steps so far, in the order of the ledger."""
    steps = [_of_candidate(state, state.candidate(number)) for number in range(state.candidates)]
    reverts = [_of_revert(chained) for chained in state.blocks() if chained.block.kind == REVERT]
    return sorted(steps + reverts, key=lambda step: step.entry)


def step_of(state: State, number: int) -> Step:
    """The step of one candidate."""
    return _of_candidate(state, state.candidate(number))


def why_back(block: Block) -> str:
    """In words what a revert restores; where hidden parts decided it, what it undoes and what they have said."""
    words = f"back to block {block.reverts}"
    drift = block.hidden.drift if block.hidden else None
    if drift is None or block.reverts is None:
        return words
    undone = range(block.reverts + 1, block.index)
    blocks = f"block{'s' if len(undone) > 1 else ''} {', '.join(map(str, undone))}"
    return f"{words}, undoing {blocks}: {drift.lost} lost, {drift.gained} gained of {drift.n} on hidden parts"


def _of_candidate(state: State, candidate: Candidate) -> Step:
    in_chain = candidate.status == ACCEPTED and state.tip >= candidate.height
    status = PENDING if candidate.status == ACCEPTED and not in_chain else candidate.status
    # A sealed block has the votes for good; until then they follow the verdicts revealed so far.
    cast = state.block(candidate.height).votes if in_chain else votes(state, candidate)
    ballots = tuple(_ballot(state, candidate, vote) for vote in cast)
    return Step(
        entry=candidate.entry,
        block=candidate.height if in_chain else None,
        member=candidate.proposer,
        status=status,
        reason=candidate.reason,
        count=candidate.count,
        samples=candidate.samples,
        ballots=ballots,
        performance=_performance(candidate, ballots),
        reference=candidate.reference,
    )


def _of_revert(chained: ChainedBlock) -> Step:
    block = chained.block
    ballots = tuple(Ballot(vote.member, vote.vote, "", None, None, 0, False) for vote in block.votes)
    return Step(
        entry=chained.entry or 0,
        block=block.index,
        member=MemberId(block.contributor or ""),
        status=REVERTED,
        reason=why_back(block),
        count=block.reverts or 0,
        samples=0,
        ballots=ballots,
        performance=_share(block.performance),
        reference=block.reverts,
    )


def _ballot(state: State, candidate: Candidate, vote: Vote) -> Ballot:
    verdict = candidate.reveals.get(vote.member)
    judged = judgement(state, verdict) if verdict else None
    return Ballot(
        member=vote.member,
        vote=vote.vote,
        reason=judged.reason if judged else "",
        on_global=_share(vote.on_global),
        on_local=_share(vote.on_local),
        local_n=vote.on_local.n if vote.on_local else 0,
        deviating=bool(vote.deviating),
        on_hidden=_share(vote.on_hidden),
    )


def _performance(candidate: Candidate, ballots: tuple[Ballot, ...]) -> float | None:
    if candidate.performance is not None:
        return _share(candidate.performance)
    reported = sorted(ballot.on_global for ballot in ballots if ballot.on_global is not None)
    return reported[len(reported) // 2] if reported else None


def _share(paired: Paired | None) -> float | None:
    return paired.candidate / paired.scale if paired else None
