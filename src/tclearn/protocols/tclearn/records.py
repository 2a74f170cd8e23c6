"""What the state of a TCLearn coalition consists of: turns, candidates, blocks on their way and chained, changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from tclearn.coalition.block import Block
from tclearn.coalition.evidence import Paired
from tclearn.coalition.verdict import Verdict
from tclearn.encoding import Digest, MemberId, digest
from tclearn.limits import SEED_CHAIN_LENGTH
from tclearn.protocols.tclearn.calls import Change
from tclearn.records import Record

PROPOSED: Final = "proposed"
"""Announced; its parameters are not in the store yet."""
TESTING: Final = "testing"
REVEALING: Final = "revealing"
ACCEPTED: Final = "accepted"
REJECTED: Final = "rejected"
UNDECIDED: Final = "undecided"
STALE: Final = "stale"
EXPIRED: Final = "expired"
REFUSED: Final = "refused"
OPEN: Final = frozenset({PROPOSED, TESTING, REVEALING})


@dataclass(frozen=True, slots=True)
class Turn(Record):
    """Whose turn it is to propose.

    Attributes:
        number: counts the turns of the whole chain.
        member: whose turn; ``None``: anybody's.
        due_ms: when it passes on; ``None``: not by itself, for now.
        passes: turns in a row that brought no proposal.
    """

    number: int
    member: MemberId | None
    due_ms: int | None
    passes: int


@dataclass(frozen=True, slots=True)
class Candidate(Record):
    """A proposed increment and what became of it.

    Attributes:
        id: digest of height, proposer, parent and parameters.
        number: counts all candidates.
        height: index of the block it would become.
        entry: ledger index of the proposal.
        proposer: who offers it.
        parent: hash of the block it was trained from.
        parameters: canonical digest of its parameters.
        locator: name of the parameters file in the store.
        samples: records of the contribution.
        set_aside: how many of them were put aside.
        hyperparameters: those in force when it was proposed.
        status: one of the constants above.
        reason: why, in words, once it is closed.
        count: the number the reason is about (duplicates found, for one).
        reference: index of the block that validators measure it against.
        attempt: draws of a committee so far, from 0.
        committee: the validators, in the order drawn.
        due_ms: deadline of the present phase.
        commits: commitments by validator.
        reveals: verdicts by validator.
        performance: result on G that the quorum agreed on.
        decided_ms: when it was accepted or rejected.
    """

    id: Digest
    number: int
    height: int
    entry: int
    proposer: MemberId
    parent: Digest
    parameters: Digest
    locator: Digest
    samples: int
    set_aside: int
    hyperparameters: dict[str, int]
    status: str
    reference: int
    due_ms: int
    reason: str = ""
    count: int = 0
    attempt: int = 0
    committee: tuple[MemberId, ...] = ()
    commits: dict[str, Digest] = field(default_factory=dict)
    reveals: dict[str, Verdict] = field(default_factory=dict)
    performance: Paired | None = None
    decided_ms: int | None = None

    @property
    def round(self) -> Digest:
        """Names this candidate's present attempt, as the subject of its duties and deadlines."""
        return digest("tclearn/round/1", self.id, self.attempt, self.status)


@dataclass(frozen=True, slots=True)
class Pending(Record):
    """A decided block on its way into the chain. While it is there, the height is locked.

    Attributes:
        height: the block's index.
        candidate: number of the accepted candidate; absent for a revert.
        change: the approved revert; absent for an increment.
        committee: who endorses.
        generals: who seals, in order.
        misses: generals that failed so far.
        due_ms: deadline of the present step.
        since_ms: when the height was locked.
        block: the sealed block, while endorsements are collected.
        entry: ledger index of its seal.
        seed: the link of its seed chain that the general showed.
        endorsements: ledger index of each member's endorsement.
    """

    height: int
    candidate: int | None
    change: Digest | None
    committee: tuple[MemberId, ...]
    generals: tuple[MemberId, ...]
    misses: int
    due_ms: int
    since_ms: int
    block: Block | None = None
    entry: int | None = None
    seed: Digest | None = None
    endorsements: dict[str, int] = field(default_factory=dict)

    @property
    def general(self) -> MemberId:
        """Whose turn it is to seal."""
        return self.generals[self.misses % len(self.generals)]

    @property
    def step(self) -> Digest:
        """Names the present step, as the subject of its duty and its deadline."""
        stage = "seal" if self.block is None else "endorse"
        return digest("tclearn/pending/1", self.height, self.misses, stage)


@dataclass(frozen=True, slots=True)
class ChainedBlock(Record):
    """A block of the chain with its endorsements.

    Attributes:
        block: the block.
        entry: ledger index of its seal; ``None`` for genesis.
        endorsements: ledger index of each member's endorsement.
    """

    block: Block
    entry: int | None
    endorsements: dict[str, int]


@dataclass(frozen=True, slots=True)
class Declared(Record):
    """Data IDs that a member has declared for its coming proposal.

    Attributes:
        chance: the chance to propose that they are for.
        parts: how many parts there are.
        count: how many IDs they hold together.
        last: the last ID of all.
    """

    chance: Digest
    parts: int
    count: int
    last: bytes


@dataclass(frozen=True, slots=True)
class SeedChain(Record):
    """A member's hash chain of seed reveals.

    Attributes:
        epoch: counts the member's chains, from 0.
        last: the link shown last; the tip, before any was.
        used: how many links were shown.
        following: tip of the next chain, once committed to.
        from_height: block from which on the next chain may be used: two after the one it was committed to at, so that
            its first link meets a seed that nobody knew then.
    """

    epoch: int
    last: Digest
    used: int
    following: Digest | None = None
    from_height: int = 0

    def next_link(self, height: int) -> tuple[int, int] | None:
        """Epoch of the chain that the link for a block belongs to, and how many of its links were shown before.

        Args:
            height: index of the block.

        Returns:
            ``None`` when the chain is used up and no other may be used yet.
        """
        if self.used < SEED_CHAIN_LENGTH:
            return self.epoch, self.used
        if self.following is not None and height >= self.from_height:
            return self.epoch + 1, 0
        return None


@dataclass(frozen=True, slots=True)
class ChangeState(Record):
    """A change asked for: by whom, approved by whom, and ``"asked"``, ``"approved"`` or ``"done"``."""

    change: Change
    asked_by: MemberId
    entry: int
    approvals: tuple[MemberId, ...]
    status: str
