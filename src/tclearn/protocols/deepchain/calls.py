"""The calls of the DeepChain contract: one record per method."""

from __future__ import annotations

from dataclasses import dataclass

from tclearn.encoding import Digest, MemberId
from tclearn.ledger import Call
from tclearn.ledger.cosigning import Cosignature
from tclearn.records import Record

CONTRACT = "deepchain/1"


@dataclass(frozen=True, slots=True)
class Declare(Record):
    """State an asset: data that a party has and would train on (§4.3.2).

    Attributes:
        pseudonym: Ed25519 public key (32 bytes) under which the asset is offered.
        data: root over digests of its data blocks.
        blocks: how many there are.
        size: records in it.
        format: how they are encoded, in words.
        topic: what they are about.
        description: what they can be used for.
        signature: by the pseudonym, over ``founding.asset_message``.
    """

    pseudonym: bytes
    data: Digest
    blocks: int
    size: int
    format: str
    topic: str
    description: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Join(Record):
    """Commit to the group's collaborative information, ``Tran_co``, and lock the deposits of one's roles (§4.3.3).

    Attributes:
        terms: digest of what is agreed on.
        asset: the asset that a party brings; absent for who is only a worker.
        sealed: digest of the party's key share, sealed and signed by whoever dealt it; absent likewise.
    """

    terms: Digest
    asset: Digest | None = None
    sealed: Digest | None = None


@dataclass(frozen=True, slots=True)
class Stake(Record):
    """Lock again the deposits that one has lost, to take part from the next iteration on.

    Attributes:
        losses: how many deposits the member had lost when it decided so.
    """

    losses: int


@dataclass(frozen=True, slots=True)
class Contribute(Record):
    """Hand in an encrypted gradient (algorithm 1, line 1; algorithm 3, line 1).

    Attributes:
        iteration: its number.
        root: Merkle root over the batches of ciphertexts, each with its proof.
        locator: name of the file with them in the store, where it is already.
    """

    iteration: int
    root: Digest
    locator: Digest


@dataclass(frozen=True, slots=True)
class Verify(Record):
    """A worker's vote on the gradients: which are there, and proved (algorithm 1, line 4).

    Attributes:
        iteration: its number.
        approved: parties whose gradients are; those that are not named are not.
    """

    iteration: int
    approved: tuple[MemberId, ...]


@dataclass(frozen=True, slots=True)
class Attach(Record):
    """Attach one's verified gradient to the group's address (algorithm 1, line 7)."""

    iteration: int


@dataclass(frozen=True, slots=True)
class Update(Record):
    """The leader has added up the gradients (algorithm 2, line 1), and shows the next link of its seed chain.

    Attributes:
        iteration: its number.
        attempt: blocks of it that stayed empty.
        root: Merkle root over the batches of sums.
        locator: name of the file with them in the store.
        link: the next link of the leader's seed chain.
    """

    iteration: int
    attempt: int
    root: Digest
    locator: Digest
    link: Digest


@dataclass(frozen=True, slots=True)
class Check(Record):
    """A worker's vote on the sum (algorithm 2, line 4).

    Attributes:
        iteration: its number.
        attempt: as in the leader's update.
        right: 1, or 0 when it is not there or is wrong.
    """

    iteration: int
    attempt: int
    right: int


@dataclass(frozen=True, slots=True)
class Append(Record):
    """A member of the committee signs the block (algorithm 2, line 7), and cosigns a head of the ledger.

    Attributes:
        block: its hash.
        cosignature: of the head that ends with the leader's update.
    """

    block: Digest
    cosignature: Cosignature


@dataclass(frozen=True, slots=True)
class Take(Record):
    """A party says whether it has the encrypted sum (algorithm 1, line 10).

    Attributes:
        iteration: its number.
        right: 1: it has it, and does not object; 0 when it is not there or is wrong.
    """

    iteration: int
    right: int


@dataclass(frozen=True, slots=True)
class Share(Record):
    """Hand in decryption shares of the sum (algorithm 1, line 13; algorithm 4, line 1).

    Attributes:
        iteration: its number.
        root: Merkle root over the batches of shares, each with its proof.
        locator: name of the file with them in the store, where it is already.
    """

    iteration: int
    root: Digest
    locator: Digest


@dataclass(frozen=True, slots=True)
class Report(Record):
    """Say what the sum is (algorithm 1, line 16).

    Attributes:
        iteration: its number.
        missing: parties whose shares are announced and not in the store.
        opened: digest of the opened sum; absent when too few shares are there to open it.
    """

    iteration: int
    missing: tuple[MemberId, ...]
    opened: Digest | None = None


@dataclass(frozen=True, slots=True)
class Accuse(Record):
    """Show that a batch of a gradient is wrong.

    Attributes:
        iteration: its number.
        party: whose gradient.
        batch: which batch.
        ciphertexts: the batch.
        proof: what its party gave as proof.
        path: from the batch to the gradient's root.
    """

    iteration: int
    party: MemberId
    batch: int
    ciphertexts: tuple[bytes, ...]
    proof: bytes
    path: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class Opened(Record):
    """One ciphertext out of a tree of batches.

    Attributes:
        ciphertext: its bytes.
        path: from it to the root of its batch.
        root: that root.
        proof: SHA-256 of its batch's proof; of nothing for a sum.
        batch_path: from the batch to the root of all.
    """

    ciphertext: bytes
    path: tuple[Digest, ...]
    root: Digest
    proof: Digest
    batch_path: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class Dispute(Record):
    """Show that one ciphertext of the sum is not the sum.

    Attributes:
        iteration: its number.
        attempt: as in the leader's update.
        batch: which batch.
        index: which ciphertext in it.
        addends: that of each gradient that is counted, in the order of the state.
        total: that of the sum.
    """

    iteration: int
    attempt: int
    batch: int
    index: int
    addends: tuple[Opened, ...]
    total: Opened


@dataclass(frozen=True, slots=True)
class Challenge(Record):
    """Show that a batch of decryption shares is wrong.

    Attributes:
        iteration: its number.
        party: whose shares.
        batch: which batch.
        ciphertexts: that batch of the sum.
        sum_path: from it to the sum's root.
        shares: the batch of shares.
        proof: what its party gave as proof.
        path: from the batch to the root of the party's shares.
    """

    iteration: int
    party: MemberId
    batch: int
    ciphertexts: tuple[bytes, ...]
    sum_path: tuple[Digest, ...]
    shares: tuple[bytes, ...]
    proof: bytes
    path: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class Timeout(Record):
    """Say that a deadline has passed; anybody may."""

    subject: Digest


METHODS: dict[str, type[Record]] = {
    record.__name__.lower(): record
    for record in (
        Declare,
        Join,
        Stake,
        Contribute,
        Verify,
        Attach,
        Update,
        Check,
        Append,
        Take,
        Share,
        Report,
        Accuse,
        Dispute,
        Challenge,
        Timeout,
    )
}


def call(arguments: Record) -> Call:
    """The ledger call that carries these arguments."""
    return Call(CONTRACT, type(arguments).__name__.lower(), arguments.to_value())
