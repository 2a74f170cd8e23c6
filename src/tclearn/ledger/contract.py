"""The seams of the ledger: what a protocol is to it, and what it is to a member.

A protocol is a ``Contract``: pure and deterministic. It reads a key–value view, and answers a call with writes or with
a coded rejection; and it says which duties the state now lays on a member. Nothing else reaches it: no clock, no
randomness, no network, no order of arrival but the ledger's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ParamSpec, Protocol, TypeVar

from tclearn.encoding import Digest, MemberId, Value, digest
from tclearn.identity import PublicKey
from tclearn.ledger.transaction import Call, Transaction

View = Mapping[str, Value]
"""The state: text keys, closed-schema values. Values are never changed in place."""
Writes = Mapping[str, Value | None]
"""New values by key; ``None`` deletes."""
P = ParamSpec("P")
S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)


class Rejected(Exception):
    """A contract's refusal of one call. Only ``code`` is recorded; ``reason`` is for people, and replay recomputes it.

    Args:
        code: the contract's own number, from 10; lower numbers are the ledger's.
        reason: what is wrong and what would be right.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def allows(guard: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> bool:
    """Whether a guard lets something pass: a guard raises a refusal, or does not."""
    try:
        guard(*args, **kwargs)
    except Rejected:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Context:
    """What a contract may know of an entry besides the call.

    Attributes:
        index: position of the entry in the log.
        time_ms: ledger time, milliseconds since 1970, never running backwards.
        sender: the member whose key signed the transaction.
    """

    index: int
    time_ms: int
    sender: MemberId


@dataclass(frozen=True, slots=True)
class Duty:
    """Something that the state asks of a member.

    Attributes:
        kind: what is asked, in the protocol's words (``"test"``, ``"reveal"``, ``"seal"``).
        subject: what it is about.
        member: who is asked.
        due_ms: ledger time after which anybody may submit ``timeout``; ``None`` makes the duty an invitation.
    """

    kind: str
    subject: Digest
    member: MemberId
    due_ms: int | None
    id: Digest = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", digest("tclearn/duty/1", self.kind, self.subject, self.member))


class Contract(Protocol[S]):
    """A protocol's rules. Implementations hold no state of their own."""

    @property
    def name(self) -> str:
        """Name and version, as transactions say it: ``"tclearn/1"``."""

    def genesis(self) -> Writes:
        """The state before the first entry, fixed by the charter that the contract was made from."""

    def view(self, state: View) -> S:
        """A typed reading of the state."""

    def member_of(self, state: View, key: PublicKey) -> MemberId | None:
        """Whose transaction key this is at this point of the ledger; ``None``: nobody's."""

    def apply(self, state: View, call: Call, context: Context) -> Writes:
        """The effect of a call.

        Raises:
            Rejected: the call is refused; the state stays as it was.
        """

    def duties(self, state: S, member: MemberId, time_ms: int) -> Sequence[Duty]:
        """What the state asks of a member at a ledger time, most pressing first."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a transaction.

    Attributes:
        index: its position in the log.
        code: 0, or the contract's rejection code.
        reason: the rejection in words; empty when accepted.
    """

    index: int
    code: int
    reason: str


class Ledger(Protocol[S_co]):
    """What a member sees of the ledger, in process or over a network."""

    def state(self) -> S_co:
        """The present state, as a typed reading that later entries do not change."""

    def time_ms(self) -> int:
        """The ledger's clock, for judging deadlines."""

    def next_sequence(self, key: PublicKey) -> int:
        """The lowest sequence number that this key may use next."""

    def submit(self, transaction: Transaction) -> Digest:
        """Hand in a transaction; returns its id once it is durably logged.

        Raises:
            MessageError: it is not admissible (signature, sequence, expiry, size) and was not logged.
        """

    def outcome(self, transaction_id: Digest) -> Outcome | None:
        """What became of a transaction; ``None``: not logged."""

    def head(self, size: int) -> Head:
        """The roots of the first ``size`` entries, as a member cosigns them.

        Raises:
            StorageError: the ledger has fewer entries.
        """


@dataclass(frozen=True, slots=True)
class Head:
    """Roots of a prefix of the ledger.

    Attributes:
        size: number of entries.
        root: RFC 9162 Merkle tree hash of the entries.
        results: head of the results chain (every entry's code and writes).
        time_ms: ledger time of the last entry.
    """

    size: int
    root: Digest
    results: Digest
    time_ms: int
