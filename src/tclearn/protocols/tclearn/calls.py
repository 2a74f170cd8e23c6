"""The calls of the TCLearn contract: one record per method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tclearn.coalition.privacy import PrivacyEvent
from tclearn.coalition.terms import MemberRecord
from tclearn.coalition.verdict import Verdict
from tclearn.encoding import Digest, MemberId
from tclearn.ledger import Call
from tclearn.ledger.cosigning import Cosignature
from tclearn.records import Record

CONTRACT = "tclearn/1"
REVERT: Final = "revert"
HYPERPARAMETERS: Final = "hyperparameters"
ADMIT: Final = "admit"
EXPEL: Final = "expel"
ROTATE: Final = "rotate"
"""Kinds of changes."""
OF_MEMBERS: Final = frozenset({ADMIT, EXPEL, ROTATE})
"""Those that change who the members are, or their keys."""
TRAIN: Final = "train"
TEST: Final = "test"
USE: Final = "use"
"""What an object of the vault is read for."""


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
        kind: ``"revert"``, ``"hyperparameters"``, ``"admit"`` or ``"expel"``; ``"rotate"`` in the state only, for what
            ``Rotate`` asks.
        target: index of the block whose model is restored (revert).
        values: new values by name (hyperparameters).
        nonce: tells apart two requests for the same change at different times: the height at which it is asked.
        member: the new record of a member: of one that is none yet, or with other keys of one that is (admit, rotate).
        enrolment: the ``.pem`` file that the record is made from, byte for byte (admit, rotate).
        expelled: who shall be a member no longer (expel).
    """

    kind: str
    nonce: int
    target: int | None = None
    values: dict[str, int] | None = None
    member: MemberRecord | None = None
    enrolment: bytes | None = None
    expelled: MemberId | None = None


@dataclass(frozen=True, slots=True)
class Request(Record):
    """Ask for a change; counts as the asker's approval."""

    change: Change


@dataclass(frozen=True, slots=True)
class Approve(Record):
    """Approve a change that was asked for."""

    change: Digest


@dataclass(frozen=True, slots=True)
class Rotate(Record):
    """Take new keys of one's own, in the place of those that sign this.

    Attributes:
        member: the sender's new record.
        enrolment: the ``.pem`` file that it is made from: the new transaction key has signed it.
    """

    member: MemberRecord
    enrolment: bytes


@dataclass(frozen=True, slots=True)
class Renew(Record):
    """Commit to the tip of a fresh seed chain, used when the present one is at its end."""

    tip: Digest


@dataclass(frozen=True, slots=True)
class Access(Record):
    """Ask to read an object of the vault (level B).

    Attributes:
        object: its name in the store.
        purpose: ``"train"``, ``"test"`` or ``"use"``.
        candidate: what is tested with it.
        block: index of the block whose model it is, for use.
    """

    object: Digest
    purpose: str
    candidate: Digest | None = None
    block: int | None = None


@dataclass(frozen=True, slots=True)
class Delivered(Record):
    """Confirm that one has what an access has granted (level B)."""

    access: int


@dataclass(frozen=True, slots=True)
class Witness(Record):
    """Cosign a head with readings in it that wait for that (level B)."""

    cosignature: Cosignature


OF_VAULT: Final = frozenset({Access, Delivered, Witness})
"""The calls that there are where the charter has a vault, and not elsewhere."""
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
        Rotate,
        Renew,
        Access,
        Delivered,
        Witness,
    )
}


def call(arguments: Record) -> Call:
    """The ledger call that carries these arguments."""
    return Call(CONTRACT, type(arguments).__name__.lower(), arguments.to_value())
