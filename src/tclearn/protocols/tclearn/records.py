"""What the state of a TCLearn coalition consists of: turns, candidates, blocks on their way and chained, changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from tclearn.coalition.block import Block
from tclearn.coalition.evidence import Paired
from tclearn.coalition.hidden import Hidden
from tclearn.coalition.privacy import PrivacyEvent
from tclearn.coalition.verdict import Verdict
from tclearn.encoding import Digest, MemberId, digest
from tclearn.limits import SEED_CHAIN_LENGTH
from tclearn.protocols.tclearn.calls import OF_MEMBERS, Change
from tclearn.records import Record

PROPOSED: Final = "proposed"
"""Announced; its parameters are not in the store yet."""
SHOWING: Final = "showing"
"""Released; a hidden part is to be shown before anybody tests."""
TESTING: Final = "testing"
REVEALING: Final = "revealing"
ACCEPTED: Final = "accepted"
REJECTED: Final = "rejected"
UNDECIDED: Final = "undecided"
STALE: Final = "stale"
EXPIRED: Final = "expired"
REFUSED: Final = "refused"
OPEN: Final = frozenset({PROPOSED, SHOWING, TESTING, REVEALING})

ASKED: Final = "asked"
APPROVED: Final = "approved"
"""Decided, and waits until it can take effect."""
DONE: Final = "done"
VOID: Final = "void"
"""Nothing came of it: it cannot be done any more, or nobody is left who wants it."""


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
class Kept(Record):
    """The hidden parts that a member has committed to last.

    Attributes:
        first: number of the first of them; those before were committed to earlier, and are all spent.
        parts: the commitments.
        entry: ledger index of the call that made them.
        spent: how many of them were asked for, and shown or not: none is asked for twice.
    """

    first: int
    parts: tuple[Digest, ...]
    entry: int
    spent: int


@dataclass(frozen=True, slots=True)
class Asked(Record):
    """A hidden part that is asked for.

    Attributes:
        keeper: whose it is.
        first: number of the first part that was committed to together with it.
        number: which part it is.
        commitment: what it must open.
    """

    keeper: MemberId
    first: int
    number: int
    commitment: Digest


@dataclass(frozen=True, slots=True)
class Askings(Record):
    """Which keepers were asked for a part at a height, since the last time that all had been.

    Attributes:
        height: the height; at another one it all starts anew.
        keepers: those asked, in this order.
    """

    height: int
    keepers: tuple[MemberId, ...]


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
        reference: index of the block that validators measure it against.
        due_ms: deadline of the present phase.
        reason: why, in words, once it is closed.
        count: the number the reason is about (duplicates found, for one).
        attempt: draws of a committee so far, from 0.
        committee: the validators, in the order drawn.
        commits: commitments by validator.
        reveals: verdicts by validator.
        performance: result on G that the quorum agreed on.
        decided_ms: when it was accepted or rejected.
        privacy: what was done to it, as its proposer says.
        asked: the hidden part that is asked for.
        hidden: what hidden parts had to say; absent while no keeper was asked.
        proposed_ms: when it was proposed; absent at level A, where nobody asks who had a model when.
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
    reason: str
    count: int
    attempt: int
    committee: tuple[MemberId, ...]
    commits: dict[str, Digest]
    reveals: dict[str, Verdict]
    performance: Paired | None
    decided_ms: int | None
    privacy: PrivacyEvent | None = None
    asked: Asked | None = None
    hidden: Hidden | None = None
    proposed_ms: int | None = None

    @property
    def hidden_n(self) -> int | None:
        """Records of the hidden part that was shown; ``None``: none was."""
        return self.hidden.part.n if self.hidden and self.hidden.part else None

    @property
    def round(self) -> Digest:
        """Names this candidate's present attempt, as the subject of its duties and deadlines."""
        if self.status == SHOWING and self.asked is not None:
            return digest("tclearn/showing/1", self.id, self.asked.keeper)
        return digest("tclearn/round/1", self.id, self.attempt, self.status)


@dataclass(frozen=True, slots=True)
class ChainedBlock(Record):
    """A block of the chain, or a sealed one on its way there, with its endorsements.

    Attributes:
        block: the block.
        entry: ledger index of its seal; ``None`` for genesis.
        endorsements: ledger index of each member's endorsement.
    """

    block: Block
    entry: int | None
    endorsements: dict[str, int]


@dataclass(frozen=True, slots=True)
class Pending(Record):
    """A decided block on its way into the chain: what both kinds share. While it is there, the height is locked.

    Attributes:
        height: the block's index.
        committee: who endorses.
        generals: who seals, in order.
        misses: generals that failed so far.
        due_ms: deadline of the present step.
        since_ms: when the height was locked.
        sealed: the block, while endorsements are collected.
    """

    height: int
    committee: tuple[MemberId, ...]
    generals: tuple[MemberId, ...]
    misses: int
    due_ms: int
    since_ms: int
    sealed: ChainedBlock | None

    @property
    def general(self) -> MemberId:
        """Whose turn it is to seal."""
        return self.generals[self.misses % len(self.generals)]

    @property
    def block(self) -> Block | None:
        """The sealed block."""
        return self.sealed.block if self.sealed else None

    @property
    def step(self) -> Digest:
        """Names the present step, as the subject of its duty and its deadline."""
        stage = "seal" if self.sealed is None else "endorse"
        return digest("tclearn/pending/1", self.height, self.misses, stage)


@dataclass(frozen=True, slots=True)
class PendingIncrement(Pending):
    """An accepted candidate on its way.

    Attributes:
        candidate: its number.
    """

    candidate: int


@dataclass(frozen=True, slots=True)
class PendingRevert(Pending):
    """A revert on its way.

    Attributes:
        target: index of the block whose model it restores.
        change: name of the approved change; absent where nobody asked for it.
        drift: what then decided: the newest model beside the target's, counts added up over the hidden
            parts of the keepers whose counts ask for it.
    """

    target: int
    change: Digest | None = None
    drift: Paired | None = None


@dataclass(frozen=True, slots=True)
class Drift(Record):
    """What hidden parts have said of the newest model beside the best one.

    Attributes:
        best: index of the best one's block.
        shown: counts by keeper, each its own parts' added up.
    """

    best: int
    shown: dict[str, Paired]


AnyPending: TypeAlias = PendingIncrement | PendingRevert


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
        from_height: the next chain may be used once all blocks before this one are settled
            (``tclearn.protocols.tclearn.drawing.settled``), so that its first link meets a seed that nobody knew when
            it was committed to. Of a chain without a following one, of which no link was shown: the same for itself.
        early: 1: the next chain takes over as soon as it may be used, since the member has other keys now. 2: so too,
            and this one waits as long: it was a newcomer's that might not be used yet.
    """

    epoch: int
    last: Digest
    used: int
    following: Digest | None = None
    from_height: int = 0
    early: int | None = None

    @property
    def near_end(self) -> bool:
        """Whether it is time to commit to the next chain."""
        return self.used >= SEED_CHAIN_LENGTH * 3 // 4

    @property
    def fresh(self) -> bool:
        """Whether none of its links was shown, and ``from_height`` is its own."""
        return self.used == 0 and (self.following is None or self.early == 2)

    def next_link(self, settled: int) -> tuple[int, int] | None:
        """Epoch of the chain that the next link belongs to, and how many of its links were shown before.

        Args:
            settled: index of the newest settled block.

        Returns:
            ``None`` when the chain is used up and no other may be used yet, or it is a newcomer's that may not.
        """
        ready = settled + 1 >= self.from_height
        if self.fresh and not ready:
            return None
        if self.used < SEED_CHAIN_LENGTH and not (self.early and ready):
            return self.epoch, self.used
        if self.following is not None and ready:
            return self.epoch + 1, 0
        return None


@dataclass(frozen=True, slots=True)
class ChangeState(Record):
    """A change asked for, and what became of it.

    Attributes:
        change: what is to change; once nothing can come of it any more, without its enrolment.
        asked_by: who has asked for it, or has taken it over.
        entry: ledger index of the call that asked.
        approvals: who has approved it; who asked, too.
        status: one of the constants above.
        key: the transaction key that has signed it, where nobody else had to approve.
        passed: 1: who asked first has withdrawn, or is no member any more; ``asked_by`` has approved next.
    """

    change: Change
    asked_by: MemberId
    entry: int
    approvals: tuple[MemberId, ...]
    status: str
    key: bytes | None = None
    passed: int | None = None

    def ended(self, status: str) -> ChangeState:
        """The same, done or void. The ledger has the enrolment; the state need not keep each that was asked for."""
        return replace(self, status=status, change=replace(self.change, enrolment=None))

    def without(self, member: MemberId) -> ChangeState:
        """The same without a member's approval. Where it has asked, whoever approved next takes the change over.

        A member could else undo what others have approved. Others may not take over what they might not have asked for:
        changes of other kinds than the members are void.
        """
        left = tuple(other for other in self.approvals if other != member)
        if self.asked_by != member:
            return replace(self, approvals=left)
        # Not by whom it expels: that would be a departure.
        heir = next((other for other in left if other != self.change.expelled), None)
        if heir is None or self.change.kind not in OF_MEMBERS:
            return self.ended(VOID)
        return replace(self, asked_by=heir, approvals=left, passed=1)


@dataclass(frozen=True, slots=True)
class Asks(Record):
    """How many changes of the members each has asked for since the newest block, and since the last that was made.

    Attributes:
        height: index of the coming block; at another one it all starts anew.
        counts: by member.
    """

    height: int
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class AccessState(Record):
    """A reading of the vault that was granted (level B).

    Attributes:
        number: counts all of them.
        member: who reads.
        object: name of the object in the store.
        purpose: ``"train"``, ``"test"`` or ``"use"``.
        block: index of the block whose model it is, for use.
        candidate: what is tested with it.
        entry: ledger index of the call.
        time_ms: when it was granted.
        delivered_ms: when the member confirmed that it has it; absent: it may have it or not.
        height: index of the block that was coming then.
        witnessed_ms: when a quorum had cosigned a head with it; absent: not yet, or nobody waits for that.
    """

    number: int
    member: MemberId
    object: Digest
    purpose: str
    block: int | None
    candidate: Digest | None
    entry: int
    time_ms: int
    delivered_ms: int | None
    height: int
    witnessed_ms: int | None = None
