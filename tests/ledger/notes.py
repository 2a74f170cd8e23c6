"""A small contract to try the ledger with: members write notes, remove them, admit others, and cosign heads."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from tclearn.encoding import Digest, MemberId, Value
from tclearn.identity import PublicKey, Signer
from tclearn.ledger import Call, Context, Duty, Rejected, Transaction, View, Writes
from tclearn.ledger.cosigning import Cosignature, cosign
from tclearn.ledger.engines.memory import MemoryLedger
from tclearn.ledger.export import write_export
from tclearn.ledger.verify import Terms
from tclearn.records import Record

NAME = "notes/1"
EMPTY, MISSING = 10, 11
START_MS = 1_700_000_000_000
FOREVER_MS = START_MS + 10**9


@dataclass(frozen=True, slots=True)
class Add(Record):
    text: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drop(Record):
    number: int


@dataclass(frozen=True, slots=True)
class Admit(Record):
    member: MemberId
    key: bytes


@dataclass(frozen=True, slots=True)
class Endorse(Record):
    cosignature: Cosignature


@dataclass(frozen=True, slots=True)
class Board:
    """The typed reading of the state."""

    count: int
    notes: tuple[str, ...]


class Notes:
    def __init__(self, members: dict[MemberId, PublicKey]) -> None:
        self._members = members

    @property
    def name(self) -> str:
        return NAME

    def genesis(self) -> Writes:
        return {f"member/{key.hex()}": member for member, key in self._members.items()} | {"count": 0}

    def view(self, state: View) -> Board:
        notes = [state[key] for key in state if key.startswith("note/")]
        count = state["count"]
        assert isinstance(count, int)
        return Board(count, tuple(str(note["text"]) for note in notes if isinstance(note, dict)))

    def member_of(self, state: View, key: PublicKey) -> MemberId | None:
        member = state.get(f"member/{key.hex()}")
        return MemberId(member) if isinstance(member, str) else None

    def apply(self, state: View, call: Call, context: Context) -> Writes:
        if call.method == "add":
            add = Add.from_value(call.arguments, "add")
            if not add.text:
                raise Rejected(EMPTY, "a note without text")
            count = state["count"]
            assert isinstance(count, int)
            note: Value = {"text": add.text, "by": context.sender, "at": context.time_ms, "tags": add.tags}
            return {f"note/{count:06}": note, "count": count + 1}
        if call.method == "drop":
            drop = Drop.from_value(call.arguments, "drop")
            if f"note/{drop.number:06}" not in state:
                raise Rejected(MISSING, f"there is no note {drop.number}")
            return {f"note/{drop.number:06}": None}
        if call.method == "admit":
            admit = Admit.from_value(call.arguments, "admit")
            return {f"member/{admit.key.hex()}": admit.member}
        if call.method == "endorse":
            endorse = Endorse.from_value(call.arguments, "endorse")
            return {f"endorsed/{context.sender}": endorse.cosignature.size}
        if call.method == "crash":
            raise ZeroDivisionError("a fault of this contract")
        if call.method == "float":
            return {"x": 0.5}  # type: ignore[dict-item]
        if call.method == "reserved":
            return {"ledger/x": 1}
        raise Rejected(99, f"no method {call.method}")

    def duties(self, state: Board, member: MemberId, time_ms: int) -> Sequence[Duty]:
        return []

    def cosignature(self, call: Call, sender: MemberId) -> Cosignature | None:
        if call.method != "endorse":
            return None
        return Endorse.from_value(call.arguments, "endorse").cosignature

    def cosigners(self, state: View) -> Collection[MemberId]:
        return {MemberId(str(state[key])) for key in state if key.startswith("member/")}


class World:
    """A coalition of ``n`` members with seeded keys, and its transactions."""

    def __init__(self, n: int = 4, charter: bytes = b"a charter") -> None:
        self.charter = charter
        self.coalition = Digest(hashlib.sha256(charter).digest())
        self.log = signer("log")
        self.members = [MemberId(f"m{i}") for i in range(n)]
        self.signers = {member: signer(member) for member in self.members}
        self.contract = Notes({member: key.public for member, key in self.signers.items()})
        self.sequence = dict.fromkeys(self.members, -1)

    def call(
        self, member: int, method: str, arguments: dict[str, Value], *, expires_ms: int = FOREVER_MS, gap: int = 1
    ) -> Transaction:
        name = self.members[member]
        self.sequence[name] += gap
        call = Call(NAME, method, arguments)
        return Transaction.signed(
            self.signers[name], self.coalition, call, sequence=self.sequence[name], expires_ms=expires_ms
        )

    def add(self, member: int, text: str) -> Transaction:
        return self.call(member, "add", Add(text, ("a", "b")).to_value())

    def endorse(self, member: int, head, at_seconds: int = START_MS // 1000) -> Transaction:
        signed = cosign(self.signers[self.members[member]], self.coalition, head, at_seconds)
        return self.call(member, "endorse", Endorse(signed).to_value())

    def terms(self, charter: bytes) -> Terms[Board]:
        assert charter == self.charter
        return Terms(self.contract, self.log.public)

    def memory(self, clock: Callable[[], int] | None = None) -> MemoryLedger[Board]:
        return MemoryLedger(self.contract, self.coalition, clock=clock or Clock())

    def export(self, ledger, key: Signer | None = None) -> bytes:
        stream = io.BytesIO()
        write_export(stream, self.charter, ledger, key or self.log)
        return stream.getvalue()


class Clock:
    """Milliseconds that pass with every look."""

    def __init__(self, now_ms: int = START_MS, step_ms: int = 7) -> None:
        self.now_ms = now_ms
        self.step_ms = step_ms

    def __call__(self) -> int:
        self.now_ms += self.step_ms
        return self.now_ms


def signer(name: str) -> Signer:
    return Signer(hashlib.sha256(name.encode()).digest())
