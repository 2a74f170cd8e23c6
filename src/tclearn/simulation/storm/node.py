"""One member in a storm: its process, which may end at any moment, and what outlives it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tclearn.agents import Agent, MemoryOutbox, Site
from tclearn.agents.loop import sequence_number
from tclearn.encoding import Digest, MemberId
from tclearn.errors import MessageError, StorageError, TCLearnError, UnreachableError, VerificationError
from tclearn.identity import PublicKey, Signer
from tclearn.ledger import Call, Head, Ledger, Transaction
from tclearn.ledger.engines.follower import Follower, Fork, Source
from tclearn.ledger.replica import Applied, Replica
from tclearn.limits import TRANSACTION_LIFETIME_MS
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn.adversaries.words import LIARS, Liar
from tclearn.protocols.tclearn.agent import Participant
from tclearn.protocols.tclearn.contract import TCLearn
from tclearn.protocols.tclearn.memo import Memo
from tclearn.protocols.tclearn.state import State
from tclearn.simulation.storm.echo import Echo
from tclearn.simulation.storm.faults import Crashed, FailingOutbox, FailingStore, Line, Weather
from tclearn.simulation.storm.plan import FADER, POISONER
from tclearn.simulation.storm.sequencers import Sequencer
from tclearn.simulation.storm.toys import BAD, FADED, GOOD, Toy
from tclearn.simulation.storm.vault import granted
from tclearn.store import MemoryStore, Store

_KINDS: Final = {POISONER: BAD, FADER: FADED}
_DOWN_MS_MAX: Final = 30 * 60_000
_READS: Final = 0.05
_MODEL_BYTES_MAX: Final = 10_000


@dataclass
class Node:
    """A member.

    Attributes:
        name: who it is.
        lie: what kind of liar it is; empty: honest.
        contract: the rules.
        log_key: the key that signs heads.
        signer: its key.
        secret: its secret for salts and seeds.
        source: whoever orders the ledger.
        elsewhere: whom it asks after its next crash.
        echoed: whose copy it shows instead of replaying everything itself; ``None``: it replays.
        store: the coalition's store.
        weather: what goes wrong.
        skew_ms: how far its clock is off.
        outbox: its decisions, on disk.
        drafts: its candidates, on disk.
        forks: what it has found of a log with two histories, on disk.
        note: the newest checkpoint that it has followed the log to, on disk.
        said: every transaction that it has signed.
        seen: hash of each block that it has seen in the chain.
        heads: every head that it has followed the log to, by size.
        up_ms: when it starts again, after a crash.
    """

    name: MemberId
    lie: str
    contract: TCLearn
    log_key: PublicKey
    signer: Signer
    secret: bytes
    source: Source
    elsewhere: Source
    echoed: Sequencer | None
    store: Store
    weather: Weather
    skew_ms: int = 0
    outbox: MemoryOutbox = field(default_factory=MemoryOutbox)
    drafts: MemoryStore = field(default_factory=MemoryStore)
    forks: list[Fork] = field(default_factory=list)
    note: bytes | None = None
    said: list[Transaction] = field(default_factory=list)
    seen: dict[int, Digest] = field(default_factory=dict)
    up_ms: int = 0
    agent: Agent[State] | None = None
    follower: Follower[State] | Echo | None = None

    def turn(self) -> bool:
        """Look at the ledger and perform one duty, as far as the weather lets it; whether something was logged."""
        try:
            if self.agent is None:
                if self.weather.now_ms < self.up_ms:
                    return False
                self._start()
            return self._work()
        except Crashed:
            self.agent = self.follower = None
            self.source, self.elsewhere = self.elsewhere, self.source
            self.up_ms = self.weather.now_ms + self.weather.chance.randint(1, _DOWN_MS_MAX)
            return False

    def hear(self, note: bytes) -> None:
        """Another member shows the checkpoint that it has followed the log to."""
        if isinstance(self.follower, Follower) and not self.follower.forks:
            try:
                self.follower.compare(note)
            except (MessageError, VerificationError):
                return

    def learn(self, fork: Fork) -> None:
        """Another member shows what it has found."""
        if isinstance(self.follower, Follower):
            try:
                self.follower.convinced(fork)
            except (MessageError, VerificationError):
                return

    def _start(self) -> None:
        line = Line(self.weather, self.source)
        if self.echoed is None:
            coalition = self.contract.charter.digest
            own = replace(self.contract, _memo=Memo())
            self.follower = Follower(
                own,
                coalition,
                self.log_key,
                line,
                self._clock_ms,
                on_fork=self.forks.append,
                kept=_Remembered(self),
            )
        else:
            self.follower = Echo(self.echoed, line, self._clock_ms)
        role = LIARS[self.lie](self.contract) if self.lie in LIARS else Participant(self.contract)
        self.agent = Agent(role, _Heard(self.follower, self.said), self._site())

    def _work(self) -> bool:
        follower, agent = self.follower, self.agent
        if follower is None or agent is None or self.forks:
            return False
        with suppress(UnreachableError, VerificationError):  # it goes on with what it knows
            follower.pull()
        if self.forks:
            return False
        state = follower.state()
        for index in range(len(self.seen), state.tip + 1):
            self.seen[index] = state.block(index).hash
        try:
            spoke = agent.step()
        except (UnreachableError, StorageError, MessageError, VerificationError):
            return False  # it is tried again
        if isinstance(agent.role, Liar) and follower.state() is not None:
            self._lie(agent.role, agent.ledger)
        if self.contract.charter.vault is not None:
            self._read(agent.ledger)
        return spoke

    def _lie(self, role: Liar, ledger: Ledger[State]) -> None:
        if self.weather.chance.random() < 0.3:
            for call in role.mischief(ledger, self._site()):
                try:
                    ledger.submit(self._signed(call, ledger))
                except TCLearnError:
                    continue

    def _read(self, ledger: Ledger[State]) -> None:
        # Now and then a member reads for its own use; one that lies tries to have whatever there is.
        if self.weather.chance.random() > _READS:
            return
        state = ledger.state()
        index = self.weather.chance.randint(0, state.tip)
        locator = state.block(index).locator
        if locator is None:
            return
        with suppress(UnreachableError, StorageError, MessageError, VerificationError):
            if granted(state, self.name, locator) or self.lie:
                self._site().store.get(locator, size_max=_MODEL_BYTES_MAX)
            ledger.submit(self._signed(calls.call(calls.Access(locator, calls.USE, block=index)), ledger))

    def _signed(self, call: Call, ledger: Ledger[State]) -> Transaction:
        lowest = ledger.next_sequence(self.signer.public)
        return Transaction.signed(
            self.signer,
            self.contract.charter.digest,
            call,
            sequence=lowest if self.lie else sequence_number(lowest, call),
            expires_ms=ledger.time_ms() + TRANSACTION_LIFETIME_MS,
        )

    def _clock_ms(self) -> int:
        return self.weather.now_ms + (self.skew_ms if self.weather.storming else 0)

    def _site(self) -> Site:
        weather = self.weather
        return Site(
            member=self.name,
            coalition=self.contract.charter.digest,
            signer=self.signer,
            store=FailingStore(weather, self.store, remote=True),
            drafts=FailingStore(weather, self.drafts, remote=False),
            trainer=Toy(self.name, _KINDS.get(self.lie, GOOD), weather.plan.hidden),
            outbox=FailingOutbox(weather, self.outbox),
            clock_ms=self._clock_ms,
            secret=self.secret,
        )


@dataclass
class _Remembered:
    # Of the log a member keeps how far it had come, and reads all of it again.

    node: Node
    replica: Replica[State] | None = None

    @property
    def remembered(self) -> bytes | None:
        return self.node.note

    def keep(self, batch: Sequence[Applied], head: Head, note: bytes) -> None:
        self.node.weather.crash_point()
        self.node.note = note


class _Heard:
    # The member's ledger, with an ear on everything that it signs.

    def __init__(self, follower: Follower[State] | Echo, said: list[Transaction]) -> None:
        self._follower = follower
        self._said = said

    def submit(self, transaction: Transaction) -> Digest:
        self._said.append(transaction)
        return self._follower.submit(transaction)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._follower, name)
