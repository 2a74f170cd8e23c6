"""The calls of the TCLearn contract: one record per method."""

from __future__ import annotations

from dataclasses import dataclass

from tclearn.coalition.privacy import PrivacyEvent
from tclearn.coalition.verdict import Verdict
from tclearn.encoding import Digest
from tclearn.ledger import Call
from tclearn.ledger.cosigning import Cosignature
from tclearn.records import Record

CONTRACT = "tclearn/1"


@dataclass(frozen=True, slots=True)
class Propose(Record):
    """Offer a candidate for the next block.

    Attributes:
        parent: hash of the newest block, which the candidate was trained from.
        parameters: canonical digest of the candidate's parameters.
        locator: name that the parameters file will have in the store.
        samples: records of the contribution, put-aside ones included.
        set_aside: how many of them were put aside for L.
        data_ids: their IDs, 16 bytes each, ascending, after those declared before.
        privacy: what was done to keep them private; absent where the charter asks for nothing.
    """

    parent: Digest
    parameters: Digest
    locator: Digest
    samples: int
    set_aside: int
    data_ids: bytes
    privacy: PrivacyEvent | None = None


@dataclass(frozen=True, slots=True)
class Declare(Record):
    """Announce data IDs of the coming proposal, when they do not fit into one transaction."""

    parent: Digest
    data_ids: bytes


@dataclass(frozen=True, slots=True)
class Release(Record):
    """Say that the candidate's parameters are now in the store."""

    candidate: Digest


@dataclass(frozen=True, slots=True)
class Pass(Record):
    """Give the turn on, having nothing new to offer."""

    parent: Digest
    turn: int


@dataclass(frozen=True, slots=True)
class Hide(Record):
    """Commit to parts of one's own test records, to be shown one by one, each for one candidate.

    Attributes:
        first: number of the first of them.
        parts: commitments, in the order in which they will be shown.
    """

    first: int
    parts: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class Show(Record):
    """Show the hidden part that is asked for; its file is now in the store.

    Attributes:
        candidate: what it is shown for.
        first: number of the first part that was committed to together with it.
        number: which part it is.
        locator: name of its file in the store.
        records: digest of its records.
        n: how many they are.
        salt: opens the commitment.
    """

    candidate: Digest
    first: int
    number: int
    locator: Digest
    records: Digest
    n: int
    salt: bytes


@dataclass(frozen=True, slots=True)
class Commit(Record):
    """Commit to a verdict, unseen by the other validators."""

    candidate: Digest
    attempt: int
    commitment: Digest


@dataclass(frozen=True, slots=True)
class Reveal(Record):
    """Show the verdict committed to."""

    candidate: Digest
    attempt: int
    verdict: Verdict
    salt: bytes


@dataclass(frozen=True, slots=True)
class Timeout(Record):
    """Say that a deadline has passed; anybody may."""

    subject: Digest


@dataclass(frozen=True, slots=True)
class Seal(Record):
    """The general makes the block of the decided height, and shows the next link of its seed chain."""

    height: int
    reveal: Digest


@dataclass(frozen=True, slots=True)
class Endorse(Record):
    """Endorse a sealed block, and cosign the head of the ledger that contains the seal.

    Attributes:
        block: the block's hash.
        cosignature: of the head that ends with the block's seal.
    """

    block: Digest
    cosignature: Cosignature


@dataclass(frozen=True, slots=True)
class Finalize(Record):
    """Make the block without a general, after f + 1 of them failed to; anybody may."""

    height: int


@dataclass(frozen=True, slots=True)
class Change(Record):
    """Something that two thirds of the members decide.

    Attributes:
        kind: ``"revert"`` or ``"hyperparameters"``.
        target: index of the block whose model is restored (revert).
        values: new values by name (hyperparameters).
        nonce: tells apart two requests for the same change at different times: the height at which it is asked.
    """

    kind: str
    nonce: int
    target: int | None = None
    values: dict[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Request(Record):
    """Ask for a change; counts as the asker's approval."""

    change: Change


@dataclass(frozen=True, slots=True)
class Approve(Record):
    """Approve a change that was asked for."""

    change: Digest


@dataclass(frozen=True, slots=True)
class Renew(Record):
    """Commit to the tip of a fresh seed chain, used when the present one is at its end."""

    tip: Digest


METHODS: dict[str, type[Record]] = {
    record.__name__.lower(): record
    for record in (
        Propose,
        Declare,
        Release,
        Pass,
        Hide,
        Show,
        Commit,
        Reveal,
        Timeout,
        Seal,
        Endorse,
        Finalize,
        Request,
        Approve,
        Renew,
    )
}


def call(arguments: Record) -> Call:
    """The ledger call that carries these arguments."""
    return Call(CONTRACT, type(arguments).__name__.lower(), arguments.to_value())
