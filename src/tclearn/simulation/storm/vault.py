"""The vault in a storm: it hands out what the ledger grants, and notes what it has handed out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from tclearn.encoding import Digest, MemberId
from tclearn.errors import Code, MessageError
from tclearn.ledger.contract import Rejected
from tclearn.protocols.tclearn.accessing import check_handed_out
from tclearn.protocols.tclearn.state import State
from tclearn.simulation.storm.sequencers import Sequencer
from tclearn.store import Store
from tclearn.store.interface import Readable


@dataclass(frozen=True)
class Handed:
    """A model that was handed out.

    Attributes:
        member: to whom.
        object: its name.
        size: how many entries the ledger had then.
    """

    member: MemberId
    object: Digest
    size: int


@dataclass
class StormVault:
    """The coalition's store at level B, as one member meets it; see ``tclearn.store.Store``.

    Attributes:
        kept: the objects.
        member: who asks.
        sequencers: the history, or both.
        handed: what was handed out so far, to all.
    """

    kept: Store
    member: MemberId
    sequencers: Sequence[Sequencer]
    handed: list[Handed]

    def put(self, data: bytes) -> Digest:
        """See ``Store.put``."""
        return self.kept.put(data)

    def put_stream(self, stream: Readable, *, size_max: int, name: Digest | None = None) -> Digest:
        """See ``Store.put_stream``."""
        return self.kept.put_stream(stream, size_max=size_max, name=name)

    def has(self, name: Digest) -> bool:
        """See ``Store.has``."""
        return self.kept.has(name)

    def size(self, name: Digest) -> int:
        """See ``Store.size``."""
        return self.kept.size(name)

    def get(self, name: Digest, *, size_max: int) -> bytes:
        """See ``Store.get``.

        Raises:
            MessageError: the ledger grants this member no such reading.
        """
        if not any(granted(each.ledger.state(), self.member, name) for each in self.sequencers):
            raise MessageError(Code.REFUSED, f"{self.member} has no access to the object {name.hex()[:16]}…")
        data = self.kept.get(name, size_max=size_max)
        self.handed.append(Handed(self.member, name, len(self.sequencers[0].ledger)))
        return data

    def open(self, name: Digest) -> BinaryIO:
        """See ``Store.open``; in a storm nobody streams what was handed out."""
        raise NotImplementedError


def granted(state: State, member: MemberId, name: Digest) -> bool:
    """Whether the ledger lets a member have an object now."""
    for purpose in ("use", "test"):
        access = state.granted(member, name, purpose)
        if access is not None:
            try:
                check_handed_out(state, access.number, member)
            except Rejected:
                continue
            return True
    return False
