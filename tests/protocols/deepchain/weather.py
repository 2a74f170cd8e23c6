"""Storms over real members of DeepChain: performers, threshold Paillier, ledger, store, and faults that a seed draws.

Messages are lost and late, stores do not answer, members sleep, crash at any write and start again with their outbox
and drafts alone, part of them is cut off; and up to f parties and f workers are faulty, before the calm and after it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tests.paillier.material import dealing
from tests.protocols.deepchain import training
from tests.protocols.deepchain.babble import garbage
from tests.protocols.deepchain.storm_plan import KINDS, PATIENCE_MS, Plan, Remembering, Toy, founded
from tests.protocols.deepchain.world import START, signer

from tclearn.agents import Agent, MemoryOutbox, Role, Site
from tclearn.encoding import Digest, MemberId, digest
from tclearn.errors import MessageError, StorageError, TCLearnError, UnreachableError, VerificationError
from tclearn.ledger import Transaction
from tclearn.ledger.engines.follower import Follower, Page, Source
from tclearn.ledger.engines.memory import MemoryLedger
from tclearn.limits import TRANSACTION_LIFETIME_MS
from tclearn.protocols.deepchain import DeepChain
from tclearn.protocols.deepchain.agent import Membership, Offer, Performer, SeededForSimulation
from tclearn.protocols.deepchain.duties import running_deadline
from tclearn.protocols.deepchain.records import COMPLETE, ENDED
from tclearn.protocols.deepchain.state import State
from tclearn.simulation.storm.echo import Echo
from tclearn.simulation.storm.faults import Crashed, FailingOutbox, FailingStore, Line, Weather, unreachable
from tclearn.simulation.storm.sequencers import Sequencer
from tclearn.store import MemoryStore, Store

_CALM_MS: Final = 2 * PATIENCE_MS
_DOWN_MS_MAX: Final = 40 * 60_000
_STEP_MS_MAX: Final = 400
_IDLE_MS: Final = 60_000
_STILL: Final = 5
"""After so many rounds without a word, nobody waits for anything but a deadline, if no iteration runs."""


@dataclass
class CutLine(Line):
    """A line that its member may be cut off from.

    Attributes:
        cut: asks whether it is, now.
    """

    cut: Callable[[], bool] = lambda: False

    def submit(self, raw: bytes) -> None:
        """See ``Source.submit``."""
        if self.cut():
            raise unreachable()
        super().submit(raw)

    def read(self, start: int) -> Page:
        """See ``Source.read``."""
        if self.cut():
            raise unreachable()
        return super().read(start)


@dataclass
class CutStore(FailingStore):
    """A store that its member may be cut off from, likewise."""

    cut: Callable[[], bool] = lambda: False

    def _fail(self) -> None:
        if self.cut():
            raise unreachable()
        super()._fail()


@dataclass
class Node:
    """A member: its process, which may end at any moment, and what outlives it.

    Attributes:
        name: who it is.
        kind: how it is faulty; empty: honest.
        storm: what it stands in.
        weather: what fails for it: the storm's, or nothing.
        replays: whether it replays the ledger itself, instead of seeing what one that does sees.
        said: every transaction that it has signed.
        texts: of every error that its process met.
    """

    name: MemberId
    kind: str
    storm: Storm
    weather: Weather
    replays: bool
    outbox: MemoryOutbox = field(default_factory=MemoryOutbox)
    drafts: MemoryStore = field(default_factory=MemoryStore)
    said: list[Transaction] = field(default_factory=list)
    texts: set[str] = field(default_factory=set)
    up_ms: int = 0
    starts: int = 0
    agent: Agent[State] | None = None
    follower: Any = None

    def turn(self) -> bool:
        """Look at the ledger and perform one duty, as far as the weather lets it; whether something was logged."""
        if self.storm.now_ms < self.up_ms:
            return False
        try:
            if self.agent is None:
                self._start()
            with suppress(UnreachableError):  # it goes on with what it knows
                while self.follower.pull():
                    pass
            assert self.agent is not None
            spoke = self.agent.step()
            if self.kind:
                self._babble()
            return spoke
        except Crashed:
            self.stop(self.storm.chance.randint(1, _DOWN_MS_MAX))
        except (UnreachableError, StorageError, MessageError, VerificationError) as error:
            self.texts.add(f"{error!r} {error}")  # it is tried again
        return False

    def stop(self, down_ms: int, *, keeps_process: bool = False) -> None:
        """Crash, or sleep."""
        self.up_ms = self.storm.now_ms + down_ms
        if not keeps_process:
            self.agent = self.follower = None

    def role(self) -> Role[State]:
        storm, plan = self.storm, self.storm.plan
        dealt = dealing(plan.parties, plan.threshold)
        made = storm.contract.terms
        membership = None
        if self.name in made.parties:
            offer = Offer(digest("data", self.name), 1, 10, "csv", "hearts", "to diagnose")
            membership = Membership(dealt.shares[made.number(self.name) - 1], digest("sealed", self.name), offer)
        # Each process draws its own, as with the operating system's.
        randomness = SeededForSimulation(plan.seed << 32 | self.starts)
        performer = Performer(storm.contract, membership, randomness, training.encryptor(dealt.key, 4), allow_toy=True)
        if not self.kind:
            return performer
        return KINDS[self.kind](performer, random.Random(f"{plan.seed} {self.name}"))

    def site(self) -> Site:
        weather = self.weather
        store = CutStore(weather, self.storm.store, remote=True, cut=self._cut)
        return self.site_with(store, FailingStore(weather, self.drafts, remote=False))

    def site_with(self, store: Store, drafts: Store) -> Site:
        return Site(
            member=self.name,
            coalition=self.storm.contract.terms.digest,
            signer=signer(self.name),
            store=store,
            drafts=drafts,
            trainer=Toy(self.name),
            outbox=FailingOutbox(self.weather, self.outbox),
            clock_ms=lambda: self.storm.now_ms,
            secret=signer(self.name).derive("site"),
        )

    def _start(self) -> None:
        storm = self.storm
        self.starts += 1
        line: Source = CutLine(self.weather, storm.sequencer, cut=self._cut)
        if self.replays:
            own = DeepChain(storm.contract.terms, storm.contract.judge)
            log_key = signer("log").public
            self.follower = Follower(own, own.terms.digest, log_key, line, lambda: storm.now_ms)
        else:
            self.follower = Echo(storm.sequencer, line, lambda: storm.now_ms)
        self.agent = Agent(self.role(), _Heard(self.follower, self.said), self.site())

    def _cut(self) -> bool:
        return self.name in self.storm.cut and self.name not in self.storm.plan.spared

    def _babble(self) -> None:
        chance = self.storm.chance
        if chance.random() < (0.5 if self.kind == "garbage" else 0.05):
            ledger = self.follower
            call = garbage(chance, ledger, len(ledger))
            with suppress(TCLearnError):
                ledger.submit(
                    Transaction.signed(
                        signer(self.name),
                        self.storm.contract.terms.digest,
                        call,
                        sequence=ledger.next_sequence(signer(self.name).public),
                        expires_ms=ledger.time_ms() + TRANSACTION_LIFETIME_MS,
                    )
                )


class _Heard:
    # The member's ledger, with an ear on everything that it signs.

    def __init__(self, follower: Any, said: list[Transaction]) -> None:
        self._follower = follower
        self._said = said

    def submit(self, transaction: Transaction) -> Digest:
        self._said.append(transaction)
        name: Digest = self._follower.submit(transaction)
        return name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._follower, name)


class Storm:
    """A storm before, while and after it blows.

    Args:
        plan: what is to go wrong.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.chance = random.Random(f"deepchain weather {plan.seed}")
        made = founded(plan.parties, plan.both, plan.threshold)
        self.contract = DeepChain(made, Remembering.of(made))
        self.sky = Weather(plan.skies, self.chance, START)
        self.store = MemoryStore()
        self.cut: frozenset[str] = frozenset()
        ledger = MemoryLedger(self.contract, self.contract.terms.digest, clock=lambda: self.now_ms)
        self.sequencer = Sequencer(ledger, signer("log"))  # type: ignore[arg-type] # of another protocol's state
        calm = Weather(replace(plan.skies, lost=0, late=0, doubled=0, crash=0), self.chance, START)
        liars = dict(plan.liars)
        names = [member.id for member in self.contract.terms.members]
        replaying = next(name for name in names if name not in liars)
        self.nodes = [
            Node(name, liars.get(name, ""), self, calm if name in plan.spared else self.sky, name == replaying)
            for name in names
        ]
        self.rounds = self.still = 0

    @property
    def now_ms(self) -> int:
        return self.sky.now_ms

    @property
    def honest(self) -> list[Node]:
        return [node for node in self.nodes if not node.kind]

    @property
    def states(self) -> Sequence[State]:
        """After every entry, from before the first on."""
        states: Sequence[Any] = self.sequencer.states
        return states

    def run(self) -> None:
        """Let it blow, then wait until training ends, or long enough to say that it does not."""
        sky = self.sky
        calm_ms = sky.now_ms + self.plan.skies.storm_ms
        end_ms, joined_ms = calm_ms + _CALM_MS, 0
        while sky.now_ms < end_ms:
            self.rounds += 1
            sky.storming = sky.now_ms < calm_ms
            if sky.happens(self.plan.sleep):
                self._sleep()
            if not sky.storming or (self.cut and sky.now_ms >= joined_ms):
                self.cut = frozenset()
            elif not self.cut and sky.happens(self.plan.cut):
                names = [node.name for node in self.nodes]
                self.cut = frozenset(self.chance.sample(names, self.chance.randint(1, len(names) - 1)))
                joined_ms = sky.now_ms + self.chance.randint(1, 180 * 60_000)
            if self._round():
                self.still = 0
                continue
            if not sky.storming and self._over():
                break
            self.still = self.still + 1 if not sky.storming and self._all_there() else 0
            self._wait(calm_ms)

    def _round(self) -> bool:
        sky, spoke = self.sky, False
        for node in self.chance.sample(self.nodes, len(self.nodes)):
            spoke |= node.turn()
            sky.now_ms += self.chance.randint(1, _STEP_MS_MAX)
            due = [item for item in sky.mail if item[0] <= sky.now_ms]
            sky.mail = [item for item in sky.mail if item[0] > sky.now_ms]
            for _, deliver in due:
                with suppress(MessageError, UnreachableError):
                    deliver()
        return spoke

    def _sleep(self) -> None:
        node = self.chance.choice(self.nodes)
        if node.name not in self.plan.spared:
            node.stop(self.chance.randint(1, 2 * _DOWN_MS_MAX), keeps_process=True)

    def _wait(self, calm_ms: int) -> None:
        sky, state = self.sky, self.states[-1]
        moments = [moment for moment, _ in sky.mail] + [node.up_ms for node in self.nodes]
        deadline = running_deadline(state)
        if deadline is not None:
            moments.append(deadline.due_ms)
        if sky.storming:
            moments.append(calm_ms)
        if state.iteration is not None or self.still < _STILL:
            moments.append(sky.now_ms + _IDLE_MS)  # what failed is tried again
        ahead = [moment for moment in moments if moment > sky.now_ms]
        sky.now_ms = min(ahead, default=sky.now_ms + _IDLE_MS)

    def _all_there(self) -> bool:
        size = len(self.sequencer.ledger)
        return all(node.follower is not None and len(node.follower) == size for node in self.honest)

    def _over(self) -> bool:
        return self._all_there() and self.states[-1].group.status in ENDED

    @property
    def complete(self) -> bool:
        return self.states[-1].group.status == COMPLETE
