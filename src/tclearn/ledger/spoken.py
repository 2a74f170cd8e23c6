"""What the members of a charter have signed in one or more records, as far as it can contradict something."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Generic

from tclearn.encoding import Digest, MemberId
from tclearn.errors import MessageError
from tclearn.identity import PublicKey
from tclearn.ledger.checkpoint import Note
from tclearn.ledger.contract import Head, S
from tclearn.ledger.cosigning import Cosignature, Cosigning, cosigned_note, verify_cosignature
from tclearn.ledger.evidence import Contradicting
from tclearn.ledger.founding import Founding
from tclearn.ledger.transaction import Entry, Transaction

_CALLS_PER_TOPIC_MAX: Final = 8

Place = tuple[int, int]
"""Number of a record, index of an entry in it."""


@dataclass
class Cosigner:
    """A member with the heads that it has cosigned.

    Attributes:
        member: who it is.
        key: its key.
        coalition: whose heads they are.
        heads: its cosignature, checked, of each head.
    """

    member: MemberId
    key: PublicKey
    coalition: Digest
    heads: dict[Head, Cosignature] = field(default_factory=dict)

    def note(self, head: Head) -> bytes:
        """The checkpoint of a head with this member's cosignature alone."""
        return cosigned_note(Note(self.coalition, head, ()), self.member, self.key, self.heads[head]).encode()


@dataclass
class Spoken(Generic[S]):
    """Collects what is signed, entry by entry.

    Attributes:
        founded: the coalition; keys that its charter does not name are left aside.
        cosigners: the members that have cosigned heads.
        twice: where a member's two calls under one sequence number are.
        contradicting: two signed transactions of a member that contradict each other.
    """

    founded: Founding[S]
    cosigners: dict[MemberId, Cosigner] = field(default_factory=dict)
    twice: dict[MemberId, tuple[Place, Place]] = field(default_factory=dict)
    contradicting: dict[MemberId, tuple[bytes, bytes]] = field(default_factory=dict)
    _numbers: dict[tuple[PublicKey, int], tuple[Digest, Place]] = field(default_factory=dict, repr=False)
    _topics: dict[tuple[PublicKey, str], list[Transaction]] = field(default_factory=dict, repr=False)

    def hear(self, data: bytes, place: Place) -> None:
        """Take in one entry; what no member of the charter has signed says nothing about anybody.

        Args:
            data: the entry's encoding.
            place: where it is.
        """
        try:
            said = Transaction.parse_checked(Entry.parse(data).transaction, self.founded.coalition)
        except MessageError:
            return
        member = self.founded.member_of(said.signer)
        if member is None:
            return
        self._number(said, member, place)
        if said.call.contract == self.founded.contract.name:
            self._cosignature(said, member)
            self._word(said, member)

    def in_order(self) -> Iterator[Cosigner]:
        """The cosigners, sorted by name."""
        yield from (self.cosigners[member] for member in sorted(self.cosigners))

    def _number(self, said: Transaction, member: MemberId, place: Place) -> None:
        call = Digest(hashlib.sha256(said.call.encode()).digest())
        before, first = self._numbers.setdefault((said.signer, said.sequence), (call, place))
        if before != call:
            self.twice.setdefault(member, (first, place))

    def _cosignature(self, said: Transaction, member: MemberId) -> None:
        if not isinstance(self.founded.contract, Cosigning):
            return
        try:
            cosignature = self.founded.contract.cosignature(said.call, member)
            if cosignature is not None:
                verify_cosignature(said.signer, self.founded.coalition, cosignature)
        except MessageError:
            return
        if cosignature is not None:
            own = self.cosigners.setdefault(member, Cosigner(member, said.signer, self.founded.coalition))
            own.heads.setdefault(cosignature.head, cosignature)

    def _word(self, said: Transaction, member: MemberId) -> None:
        contract = self.founded.contract
        if not isinstance(contract, Contradicting) or member in self.contradicting:
            return
        topic = contract.topic(said.call)
        if topic is None:
            return
        others = self._topics.setdefault((said.signer, topic), [])
        for other in others:
            if contract.contradiction(other.call, said.call, member) is not None:
                self.contradicting[member] = other.raw, said.raw
                return
        if len(others) < _CALLS_PER_TOPIC_MAX and all(other.call != said.call for other in others):
            others.append(said)
