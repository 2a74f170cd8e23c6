"""Cosignatures of members on checkpoints (C2SP tlog-cosignature, ``cosignature/v1``), and the heads of a quorum.

A cosignature travels inside a transaction of its member. A replica admits such a transaction only when the cosigned
head is its own: whoever shows a fork to a member cannot also show that member's cosignature to the others.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from tclearn.encoding import Digest, MemberId
from tclearn.errors import Code, MessageError
from tclearn.identity import PublicKey, Signer, verify
from tclearn.ledger.checkpoint import COSIGNATURE, Note, SignatureLine, body, key_id, origin
from tclearn.ledger.contract import Head, View
from tclearn.ledger.transaction import Call
from tclearn.records import Record


@dataclass(frozen=True, slots=True)
class Cosignature(Record):
    """A member's statement that it knows the log up to a head, and that the head is right.

    Attributes:
        size: number of entries.
        root: tree hash of the entries.
        results: head of the results chain.
        time_ms: ledger time of the last entry.
        at_seconds: when the member signed, seconds since 1970, by its own clock.
        signature: 64 bytes of Ed25519.
    """

    size: int
    root: Digest
    results: Digest
    time_ms: int
    at_seconds: int
    signature: bytes

    @property
    def head(self) -> Head:
        """What was cosigned."""
        return Head(self.size, self.root, self.results, self.time_ms)


@runtime_checkable
class Cosigning(Protocol):
    """What a contract offers when its transactions carry cosignatures."""

    def cosignature(self, call: Call, sender: MemberId) -> Cosignature | None:
        """The cosignature in a call; ``None``: it carries none, or none that can be read."""

    def cosigners(self, state: View) -> Collection[MemberId]:
        """The members whose cosignatures count at this point of the ledger."""


def cosign(signer: Signer, coalition: Digest, head: Head, at_seconds: int) -> Cosignature:
    """Cosign a head that the member has checked against its own replica.

    Args:
        signer: the member's transaction key.
        coalition: whose log it is.
        head: the head of a prefix.
        at_seconds: the member's clock, seconds since 1970.
    """
    signature = signer.sign(_message(coalition, head, at_seconds))
    return Cosignature(head.size, head.root, head.results, head.time_ms, at_seconds, signature)


def verify_cosignature(key: PublicKey, coalition: Digest, cosignature: Cosignature) -> None:
    """Check that a key made a cosignature; returns nothing.

    Raises:
        MessageError: the signature does not hold.
    """
    verify(key, _message(coalition, cosignature.head, cosignature.at_seconds), cosignature.signature)


def cosigned_note(note: Note, member: MemberId, key: PublicKey, cosignature: Cosignature) -> Note:
    """The note with a member's cosignature as one more line, for readers of C2SP checkpoints.

    Args:
        note: a checkpoint at the head that was cosigned.
        member: becomes the key name ``tclearn/<coalition>/<member>``.
        key: the member's public key.
        cosignature: of that head.
    """
    name = f"{origin(note.coalition)}/{member}"
    signature = cosignature.at_seconds.to_bytes(8, "big") + cosignature.signature
    line = SignatureLine(name, key_id(name, COSIGNATURE, key), signature)
    return Note(note.coalition, note.head, (*note.lines, line))


def read_cosignature(note: Note, line: SignatureLine, member: MemberId, key: PublicKey) -> Cosignature:
    """The checked cosignature that a line of a note holds, as ``cosigned_note`` adds it.

    Args:
        note: the checkpoint.
        line: one of its lines.
        member: whose cosignature it must be.
        key: the member's public key.

    Raises:
        MessageError: the line is not of this key, or the signature does not hold.
    """
    name = f"{origin(note.coalition)}/{member}"
    if line.name != name or line.key_id != key_id(name, COSIGNATURE, key) or len(line.signature) != 72:
        raise MessageError(Code.SIGNATURE, f"a line of a checkpoint that is not {member}'s cosignature", expected=name)
    head, at_seconds = note.head, int.from_bytes(line.signature[:8], "big")
    signed = Cosignature(head.size, head.root, head.results, head.time_ms, at_seconds, line.signature[8:])
    verify_cosignature(key, note.coalition, signed)
    return signed


def quorum(members: int) -> int:
    """How many of ``members`` must cosign a head: ⌊2N/3⌋ + 1; two such sets share an honest member when f < N/3."""
    return 2 * members // 3 + 1


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A head that a quorum has cosigned.

    Attributes:
        head: the head.
        members: who cosigned it, sorted.
    """

    head: Head
    members: tuple[MemberId, ...]


class CosignedHeads:
    """Counts checked cosignatures, head by head, and keeps the newest head with a quorum."""

    __slots__ = ("_open", "newest", "seen")

    def __init__(self) -> None:
        self._open: dict[int, tuple[Head, set[MemberId]]] = {}
        self.newest: Cosigned | None = None
        self.seen = 0

    def add(self, head: Head, member: MemberId, entitled: Collection[MemberId]) -> None:
        """Count one member's cosignature of a head of this ledger.

        Args:
            head: the head; already compared with the ledger's own.
            member: who cosigned.
            entitled: the members whose cosignatures count now.
        """
        self.seen += 1
        if self.newest is not None and head.size < self.newest.head.size:
            return
        _, members = self._open.setdefault(head.size, (head, set()))
        members.add(member)
        counted = members.intersection(entitled)
        if len(counted) >= quorum(len(entitled)):
            self.newest = Cosigned(head, tuple(sorted(counted)))
            self._open = {size: entry for size, entry in self._open.items() if size >= head.size}


def _message(coalition: Digest, head: Head, at_seconds: int) -> bytes:
    # C2SP tlog-cosignature, "Ed25519 signed message"
    return b"cosignature/v1\ntime %d\n" % at_seconds + body(coalition, head)
