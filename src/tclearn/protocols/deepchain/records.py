"""What the state of a DeepChain coalition consists of: assets, the group, the iteration that runs, blocks, results."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from tclearn.encoding import Digest, MemberId, digest
from tclearn.records import Record

FOUNDING: Final = "founding"
"""Members join and lock their deposits."""
RUNNING: Final = "running"
WAITING: Final = "waiting"
"""Too few have a deposit for an iteration to begin."""
COMPLETE: Final = "complete"
DISSOLVED: Final = "dissolved"
ENDED: Final = frozenset({COMPLETE, DISSOLVED})

GRADIENTS: Final = "gradients"
"""The deposit for gradient collecting."""
DECRYPTION: Final = "decryption"
"""The deposit for collaborative decryption."""
WORK: Final = "work"
"""The deposit of a worker."""

SUMS: Final = "sums"
EMPTY: Final = "empty"
VOID: Final = "void"


@dataclass(frozen=True, slots=True)
class Asset(Record):
    """An asset as it was stated.

    Attributes:
        member: who stated it.
        pseudonym: Ed25519 public key.
        data: root over digests of its blocks.
        blocks: how many.
        size: records.
        format: how they are encoded.
        topic: what they are about.
        description: what they can be used for.
    """

    member: MemberId
    pseudonym: bytes
    data: Digest
    blocks: int
    size: int
    format: str
    topic: str
    description: str


@dataclass(frozen=True, slots=True)
class Joined(Record):
    """That a member has joined the group.

    Attributes:
        entry: ledger index of its call.
        asset: the asset it brings, if it is a party.
        sealed: digest of its sealed key share, if it is a party.
        lost: how many deposits it has lost since, by what they were for; what was never lost is not in it.
    """

    entry: int
    lost: dict[str, int]
    asset: Digest | None = None
    sealed: Digest | None = None

    @property
    def losses(self) -> int:
        """All deposits that it has lost since."""
        return sum(self.lost.values())


@dataclass(frozen=True, slots=True)
class Group(Record):
    """Where the group stands.

    Attributes:
        status: one of the first constants above.
        joined: who has joined.
        rounds: iterations that succeeded.
        iterations: all that were begun.
        voids: failed ones since the last that succeeded.
        since_ms: since when it is founded or waits; 0 before the first has joined.
        blocks: blocks of the chain.
    """

    status: str
    joined: dict[str, Joined]
    rounds: int
    iterations: int
    voids: int
    since_ms: int
    blocks: int


@dataclass(frozen=True, slots=True)
class Handed(Record):
    """A gradient, shares or a sum that was handed in.

    Attributes:
        entry: ledger index of the call.
        root: over its batches.
        locator: name of its file in the store.
    """

    entry: int
    root: Digest
    locator: Digest


@dataclass(frozen=True, slots=True)
class Reported(Record):
    """What a party says of the opened sum; see ``calls.Report``."""

    missing: tuple[MemberId, ...]
    opened: Digest | None = None


@dataclass(frozen=True)  # no slots: the hash is kept once it is known
class Block(Record):
    """A block of the processing contract.

    Attributes:
        number: from 0.
        previous: hash of the block before; zeros for the first.
        kind: ``"sums"``; ``"empty"``: the leader failed; ``"void"``: the block before has a wrong sum, or one that is
            not to be had.
        iteration: its number.
        attempt: blocks of it before this one.
        time_ms: when it was made.
        counted: whose gradients are in the sum.
        committee: who signs it: everybody with a transaction in it.
        reason: why it is empty or void.
        leader: who added up, or should have.
        root: over the batches of sums.
        locator: name of their file.
    """

    number: int
    previous: Digest
    kind: str
    iteration: int
    attempt: int
    time_ms: int
    counted: tuple[MemberId, ...]
    committee: tuple[MemberId, ...]
    reason: str
    leader: MemberId | None = None
    root: Digest | None = None
    locator: Digest | None = None

    @cached_property
    def hash(self) -> Digest:
        """The block hash: a digest over all fields."""
        return digest("tclearn/deepchain/block/1", self.to_value())


@dataclass(frozen=True)  # no slots: the name of its step is kept once it is known
class Iteration(Record):
    """The iteration that runs.

    Attributes:
        number: counts all iterations, from 1; proofs are bound to it.
        start_ms: when it began.
        late_ms: by how much phases were ended too late so far; all later deadlines are put off by it.
        phase: one of ``times.PHASES``.
        attempt: blocks that stayed empty.
        parties: those with full deposits when it began.
        workers: likewise.
        gradients: handed in, by party.
        convicted: parties with a batch that was shown to be wrong.
        doubts: of each worker that voted, the parties whose gradients it does not approve: mostly none.
        verified: parties that a quorum of the workers approves.
        attached: those of them that have attached their gradients.
        counted: those whose gradients are summed.
        out: workers that lost their deposit.
        fined: everybody that lost a deposit in it, whichever.
        checks: 1 or 0 of each worker on the present sum; the leader's is 1.
        takes: 1 or 0 of each party on the sum that it was to fetch; those without a word have lost their deposits.
        shares: handed in, by party.
        unshared: parties with shares that were shown to be wrong.
        reports: by party.
        unfounded: accusations by each member that proved nothing.
        signed: who has signed the block.
        leader: who is to add up.
        sum: what it gave.
        block: the block that is made of it.
    """

    number: int
    start_ms: int
    late_ms: int
    phase: str
    attempt: int
    parties: tuple[MemberId, ...]
    workers: tuple[MemberId, ...]
    gradients: dict[str, Handed]
    convicted: tuple[MemberId, ...]
    doubts: dict[str, tuple[MemberId, ...]]
    verified: tuple[MemberId, ...]
    attached: tuple[MemberId, ...]
    counted: tuple[MemberId, ...]
    out: tuple[MemberId, ...]
    fined: tuple[MemberId, ...]
    checks: dict[str, int]
    takes: dict[str, int]
    shares: dict[str, Handed]
    unshared: tuple[MemberId, ...]
    reports: dict[str, Reported]
    unfounded: dict[str, int]
    signed: tuple[MemberId, ...]
    leader: MemberId | None = None
    sum: Handed | None = None
    block: Block | None = None

    @classmethod
    def begun(
        cls, number: int, start_ms: int, phase: str, parties: tuple[MemberId, ...], workers: tuple[MemberId, ...]
    ) -> Iteration:
        """An iteration in which nobody has spoken yet."""
        return cls(
            number=number,
            start_ms=start_ms,
            late_ms=0,
            phase=phase,
            attempt=0,
            parties=parties,
            workers=workers,
            gradients={},
            convicted=(),
            doubts={},
            verified=(),
            attached=(),
            counted=(),
            out=(),
            fined=(),
            checks={},
            takes={},
            shares={},
            unshared=(),
            reports={},
            unfounded={},
            signed=(),
        )

    @cached_property
    def step(self) -> Digest:
        """Names the present phase, as the subject of its duties and its deadline."""
        return digest("tclearn/deepchain/step/1", self.number, self.attempt, self.phase)

    @property
    def signatures(self) -> int:
        """Signatures of the block by its committee."""
        return sum(member in self.signed for member in self.block.committee) if self.block else 0

    @property
    def openers(self) -> tuple[MemberId, ...]:
        """Parties that are asked for decryption shares: those that have said whether they have the sum."""
        return tuple(party for party in self.parties if party in self.takes)

    @property
    def voters(self) -> tuple[MemberId, ...]:
        """Workers that may still vote and lead."""
        return tuple(worker for worker in self.workers if worker not in self.out)


@dataclass(frozen=True, slots=True)
class Result(Record):
    """An iteration that succeeded.

    Attributes:
        round: counts those that did, from 1.
        iteration: its number.
        block: number of its block.
        opened: digest of the opened sum.
        divisor: by what it is divided: the weights of the gradients in it.
        paid: rewards by member.
    """

    round: int
    iteration: int
    block: int
    opened: Digest
    divisor: int
    paid: dict[str, int]


@dataclass(frozen=True, slots=True)
class Links(Record):
    """How far a worker's seed chain is used: the link shown last (the tip at first), and how many were shown."""

    last: Digest
    used: int
