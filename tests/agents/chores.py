"""A small protocol to try agents with: members say words in turn, each within a minute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tclearn.agents import Agent, MemoryOutbox, Outbox, Site, VirtualClock
from tclearn.encoding import Digest, MemberId, digest
from tclearn.identity import PublicKey, Signer
from tclearn.learning.trainer import Trainer
from tclearn.ledger import Call, Context, Duty, Ledger, Rejected, Transaction, View, Writes
from tclearn.ledger.engines.memory import MemoryLedger
from tclearn.store import MemoryStore

NAME = "chores/1"
MINUTE_MS = 60_000
START_MS = 1_767_225_600_000
COALITION = digest("a coalition of chores")
NOT_YOURS, EARLY, RUDE = 10, 11, 12


@dataclass(frozen=True)
class Said:
    """Who has said what so far; ``None`` for a turn that was let pass."""

    turn: int
    due_ms: int
    words: tuple[str, ...]


class Chores:
    """Turn k is member k's, modulo their number, and is over when a word is said or a minute has passed."""

    name = NAME

    def __init__(self, members: Sequence[MemberId], turns: int) -> None:
        self._members = list(members)
        self._turns = turns

    def genesis(self) -> Writes:
        return {"turn": 0, "due": START_MS + MINUTE_MS, "words": []}

    def view(self, state: View) -> Said:
        turn, due, words = state["turn"], state["due"], state["words"]
        assert isinstance(turn, int) and isinstance(due, int) and isinstance(words, list)
        return Said(turn, due, tuple(str(word) for word in words))

    def member_of(self, state: View, key: PublicKey) -> MemberId | None:
        return next((member for member in self._members if signer(member).public == key), None)

    def apply(self, state: View, call: Call, context: Context) -> Writes:
        said = self.view(state)
        if call.method == "pass" and context.time_ms < said.due_ms:
            raise Rejected(EARLY, "the minute is not over")
        if call.method == "say" and self._whose(said.turn) != context.sender:
            raise Rejected(NOT_YOURS, f"it is the turn of {self._whose(said.turn)}")
        word = str(call.arguments.get("word", "–"))
        if word == "rude":
            raise Rejected(RUDE, "not that word")
        return {"turn": said.turn + 1, "due": context.time_ms + MINUTE_MS, "words": [*said.words, word]}

    def duties(self, state: Said, member: MemberId, time_ms: int) -> Sequence[Duty]:
        if state.turn == self._turns:
            return []
        passed = [Duty("pass", digest("pass", state.turn), member, None)] if time_ms >= state.due_ms else []
        mine = self._whose(state.turn) == member
        return passed + ([Duty("say", digest("say", state.turn), member, state.due_ms)] if mine else [])

    def _whose(self, turn: int) -> MemberId:
        return self._members[turn % len(self._members)]


@dataclass
class Speaker:
    """Plays the protocol with words from a function."""

    contract: Chores
    words: Callable[[Duty], str | None]
    asked: list[str] = field(default_factory=list)

    def perform(self, duty: Duty, ledger: Ledger[Said], site: Site) -> Call | None:
        self.asked.append(duty.kind)
        if duty.kind == "pass":
            return Call(NAME, "pass", {})
        word = self.words(duty)
        return None if word is None else Call(NAME, "say", {"word": word})


@dataclass
class House:
    """A ledger of chores and its members."""

    n: int = 3
    turns: int = 6
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(START_MS))

    def __post_init__(self) -> None:
        self.members = [MemberId(f"m{number}") for number in range(self.n)]
        self.contract = Chores(self.members, self.turns)
        self.ledger = MemoryLedger(self.contract, COALITION, clock=self.clock)

    def agent(
        self,
        number: int,
        words: Callable[[Duty], str | None] = lambda duty: "yes",
        *,
        outbox: Outbox | None = None,
        ledger: Ledger[Said] | None = None,
    ) -> Agent[Said]:
        member = self.members[number]
        store, secret = MemoryStore(), bytes(32)
        site = Site(
            *(member, COALITION, signer(member), store, store, no_trainer(), outbox or MemoryOutbox(), self.clock),
            secret=secret,
        )
        return Agent(Speaker(self.contract, words), ledger or self.ledger, site)

    def entries(self) -> list[tuple[MemberId | None, str, int]]:
        """Sender, word and outcome code of each entry."""
        result = []
        for recorded in self.ledger.entries(0, len(self.ledger)):
            transaction = Transaction.parse_checked(recorded.entry.transaction, COALITION)
            sender = self.contract.member_of({}, transaction.signer)
            word = str(transaction.call.arguments.get("word", transaction.call.method))
            result.append((sender, word, recorded.outcome.code))
        return result


def signer(member: str) -> Signer:
    return Signer(digest("chores", member))


def no_trainer() -> Trainer:
    """This protocol learns nothing; whoever asks the trainer for anything fails."""
    return object()  # type: ignore[return-value]


def call(word: str) -> Call:
    return Call(NAME, "say", {"word": word})


def duty_id(name: str) -> Digest:
    return digest("duty", name)
