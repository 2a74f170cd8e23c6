"""``simulate``: parties and workers that train one model under encryption, here and now."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tclearn.agents import Agent, MemoryOutbox, Outbox, Role, Site, VirtualClock, run
from tclearn.agents.outbox import FileOutbox
from tclearn.directory import CHARTER
from tclearn.directory.coalition import LEDGER, LOG_KEY, OBJECTS
from tclearn.encoding import MemberId
from tclearn.errors import AgentError, Code
from tclearn.files import make_folder, write_whole
from tclearn.learning.parameters import Parameters
from tclearn.learning.trainer import Recipe, Trainer
from tclearn.ledger.engines.embedded import EmbeddedLedger
from tclearn.ledger.engines.memory import MemoryLedger
from tclearn.ledger.recorded import Log
from tclearn.ledger.transaction import Transaction
from tclearn.paillier.encryption import Encryptor
from tclearn.paillier.keys import FAST_BITS
from tclearn.protocols.deepchain import DeepChain, DeepChainTerms, contract
from tclearn.protocols.deepchain.agent import CLIP_UNIT, Membership, Performer
from tclearn.protocols.deepchain.history import Course, History
from tclearn.protocols.deepchain.state import State
from tclearn.simulation.continuing import continued, keep_cast, name_of
from tclearn.simulation.deepchain.averaging import Averaged, averaged
from tclearn.simulation.deepchain.clipping import Clipped, ClippingWarning, Counting
from tclearn.simulation.deepchain.key import Dealt, randomness
from tclearn.simulation.deepchain.result import KeptLog, Result
from tclearn.simulation.deepchain.setting import Misbehaviour, Setting
from tclearn.simulation.simulate import MEMBERS, START_MS
from tclearn.store import Store
from tclearn.store.filesystem import FilesystemStore
from tclearn.store.memory import MemoryStore

OnCourse = Callable[[Course, "float | None"], None]
"""Told an iteration that is over, and the performance of the model on the global test set if it succeeded."""


def _go_on(_: State) -> bool:
    return True


def _ignore(_: Course, __: float | None) -> None:
    pass


def simulate(  # noqa: PLR0913 - a coalition has that many parts, and each is named by the caller
    parties: Mapping[str, Any],
    *,
    workers: Sequence[str],
    model: str | Callable[..., Any],
    global_test: Any,
    trainer: Recipe,
    seed: int,
    iterations: int,
    arguments: Mapping[str, Any] | None = None,
    metric: str = "accuracy",
    name: str = "simulation",
    key_bits: int = FAST_BITS,
    clip: float = 2.0,
    adversaries: Mapping[str, Misbehaviour] | None = None,
    directory: Path | str | None = None,
    on_course: OnCourse = _ignore,
    on_entry: Callable[[State], bool] = _go_on,
) -> Result:
    """Train one model over several parties' data, their gradients encrypted, as a DeepChain coalition would.

    The agents, the contract, the cryptography and the ledger are those of a deployment; each member verifies by itself
    what the others hand in. Signing keys come from ``seed`` and the clock is virtual. With the same arguments the model
    is the same on the same machine; ciphertexts, and with them the record, are others in each run, but under a toy key.

    Args:
        parties: who trains, at least 4: data set by name, ``(x, y)`` arrays or a map-style torch data set.
        workers: names of those who verify and add up, at least 4.
        model: the model factory, or ``"module:callable"``; all its parameters are floating numbers.
        global_test: the global test set, in the form of the data sets.
        trainer: how to train (``TorchTrainer(...)``, ``SklearnTrainer(...)``, or your own ``Recipe``).
        seed: fixes keys and training.
        iterations: how many successful ones to train for.
        arguments: keyword arguments of the factory.
        metric: what ``Result.performance`` measures.
        name: the coalition's.
        key_bits: of the threshold key: 2048 or 3072; 512 is a toy, under which anybody can read every gradient.
        clip: the largest change of a single number in an iteration that counts; larger ones are cut.
        adversaries: by member, what its role is wrapped in: ``tclearn.protocols.deepchain.adversaries``.
        directory: where ledger, ciphertexts and outboxes are kept; ``None``: in memory. A directory of an interrupted
            run with the same arguments is continued.
        on_course: called when an iteration is over.
        on_entry: called after every ledger entry; ``False`` stops the run there.

    Returns:
        What happened in each iteration, everybody's coins, the trained model, and the record.

    Raises:
        UsageError: too few members, or names that do not fit; gmpy2 is not installed.
        CharterError: the model or the numbers are not usable.
        DataError: a data set or the model code is not usable.
        AgentError: ``directory`` belongs to a run with other arguments.

    Warns:
        ClippingWarning: more than one in a hundred values were cut to ±``clip``.
    """
    setting = Setting(
        parties=parties,
        workers=workers,
        model=model,
        global_test=global_test,
        trainer=trainer,
        seed=seed,
        iterations=iterations,
        arguments=arguments or {},
        metric=metric,
        name=name,
        key_bits=key_bits,
        clip=clip,
        adversaries=adversaries or {},
    )
    simulation = Simulation.prepare(setting, Path(directory) if directory is not None else None)
    try:
        simulation.run(on_course, on_entry)
        result = simulation.result()
        if result.clipping:
            warnings.warn(result.clipping, ClippingWarning, stacklevel=2)
        return result
    finally:
        simulation.close()


@dataclass
class Simulation:
    """A DeepChain coalition in this process, ready to run.

    Attributes:
        setting: who takes part with what.
        contract: the rules, with the charter.
        ledger: the ledger that all members share.
        store: the coalition's store of ciphertexts and opened sums.
        clock: the virtual clock.
        directory: where all of it is kept, if anywhere.
        agents: one per member, in the order of the names.
        performance: on the global test set, after each iteration that has succeeded.
    """

    setting: Setting
    contract: DeepChain
    ledger: MemoryLedger[State] | EmbeddedLedger[State]
    store: Store
    clock: VirtualClock
    directory: Path | None
    agents: list[Agent[State]] = field(default_factory=list)
    performance: list[float] = field(default_factory=list)
    _clipped: Clipped = field(default_factory=lambda: Clipped(0.0))
    _outboxes: list[FileOutbox] = field(default_factory=list)
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(os.cpu_count() or 1))
    _told: int = 0
    _ended: int = 0

    @classmethod
    def prepare(cls, setting: Setting, directory: Path | None = None) -> Simulation:
        """Bind data, deal the key, make the charter, open or make the ledger. Errors as ``simulate``."""
        trainers = setting.trainers()
        initial = trainers[setting.party_names[0]].initial(setting.seed)
        clock, store = VirtualClock(START_MS), _store(directory)
        if directory is None:
            dealt = Dealt.new(setting.key_bits, setting.party_names, setting.threshold, setting.seed)
            rules = contract(setting.terms(dealt.key, initial))
            ledger: MemoryLedger[State] | EmbeddedLedger[State] = MemoryLedger(rules, rules.terms.digest, clock=clock)
        else:
            keep_cast(directory, {"adversaries": {name: name_of(each) for name, each in setting.adversaries.items()}})
            dealt, terms = _founded(directory, setting, initial)
            rules = contract(terms)
            ledger = EmbeddedLedger(directory / LEDGER, rules, terms.digest, clock=clock)
        simulation = cls(setting, rules, ledger, store, clock, directory)
        try:
            simulation._gather(trainers, dealt)
        except BaseException:
            simulation.close()
            raise
        return simulation

    @property
    def terms(self) -> DeepChainTerms:
        """The charter."""
        return self.contract.terms

    def run(self, on_course: OnCourse = _ignore, on_entry: Callable[[State], bool] = _go_on) -> None:
        """Let the members work until nobody has anything left to do.

        Args:
            on_course: called when an iteration is over; at once for those that were before.
            on_entry: called after each ledger entry; ``False`` stops the run there.
        """
        for history, state in self._before():
            self._show(history, state, on_course)
        self._told = len(self.ledger)

        def entry() -> bool:
            state = self.ledger.state()
            for recorded in self.ledger.entries(self._told, len(self.ledger)):
                transaction = Transaction.parse(recorded.entry.transaction)
                sender = self.contract.member_of({}, transaction.signer)
                if sender is None:
                    raise AssertionError("the ledger has taken an entry of a stranger")
                self.history.tell(state, transaction.call, sender)
            self._told = len(self.ledger)
            self._show(self.history, state, on_course)
            return on_entry(state)

        last_speaker = continued(self.ledger, self.agents, self.clock)
        run(self.agents, self.clock, last_speaker=last_speaker, on_entry=entry)

    def averaged(self) -> Averaged:
        """The same training in the clear: what the model must be, and what it would be without rounding."""
        sites = {agent.site.member: agent.site for agent in self.agents}
        return averaged(self.terms, sites, self.history.courses)

    def measured(self, parameters: Parameters) -> float:
        """Performance of a model on the global test set, 0 to 1."""
        measured = self._reading.trainer.measure(parameters, parameters, frozenset()).on_global
        return measured.candidate / measured.scale

    def result(self) -> Result:
        """What has come out so far."""
        state = self.ledger.state()
        parameters = self._reader.model(state, self._reading)
        log: Log = self.ledger
        if self.directory is not None:
            log = KeptLog(self.directory / LEDGER, self.contract, len(self.ledger))
        return Result(
            terms=self.terms,
            state=state,
            courses=self.history.courses,
            balances=self.history.balances,
            performance=tuple(self.performance),
            parameters=parameters,
            model=self._reading.trainer.model(parameters),
            clipped=self._clipped.share,
            _log=log,
            _log_key=self.setting.keys.log(),
        )

    def close(self) -> None:
        """Release files and threads."""
        self._threads.shutdown()
        for outbox in self._outboxes:
            outbox.close()
        if isinstance(self.ledger, EmbeddedLedger):
            self.ledger.close()

    def _gather(self, trainers: Mapping[MemberId, Trainer], dealt: Dealt) -> None:
        self._clipped = Clipped(self.terms.key.clip / CLIP_UNIT)
        # The table of the key's powers is public and large: one for all. What it is used for each member does alone.
        encryptor = Encryptor(dealt.key)
        for name in self.setting.names:
            member = None
            if name in dealt.shares:
                member = Membership(dealt.shares[name], dealt.sealed(name), self.setting.offer(name))
            source = randomness(dealt.key.bits, self.setting.seed)
            performer = Performer(self.contract, member, source, encryptor, self._threads.map, allow_toy=True)
            misbehaving = self.setting.adversaries.get(name)
            role: Role[State] = performer if misbehaving is None else misbehaving(performer)
            self.agents.append(Agent(role, self.ledger, self._site(name, trainers[name])))
        # Whoever looks at the model from outside: it has the ledger, the store, and no data.
        self._reader = Performer(self.contract)
        self._reading = next(agent.site for agent in self.agents if agent.site.member in self.terms.workers)

    def _site(self, name: MemberId, trainer: Trainer) -> Site:
        drafts: Store = MemoryStore()
        outbox: Outbox = MemoryOutbox()
        if self.directory is not None:
            home = self.directory / MEMBERS / name
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            drafts, outbox = FilesystemStore(home / "drafts"), FileOutbox(home / "outbox.sqlite")
            self._outboxes.append(outbox)
        return Site(
            member=name,
            coalition=self.terms.digest,
            signer=self.setting.keys.signer(name),
            store=self.store,
            drafts=drafts,
            trainer=Counting(trainer, self._clipped),
            outbox=outbox,
            clock_ms=self.clock,
            secret=self.setting.keys.secret(name),
        )

    def _before(self) -> Iterator[tuple[History, State]]:
        entries = self.ledger.entries(0, len(self.ledger))
        for history, state in History.steps(self.contract, self.terms.digest, entries):
            self.history = history
            yield history, state

    def _show(self, history: History, state: State, on_course: OnCourse) -> None:
        for course in history.courses[self._ended :]:
            if not course.ended:
                return
            self._ended += 1
            if course.round is not None:
                self.performance.append(self.measured(self._reader.model(state, self._reading)))
            on_course(course, None if course.round is None else self.performance[-1])


def _store(directory: Path | None) -> Store:
    return MemoryStore() if directory is None else FilesystemStore(directory / OBJECTS)


def _founded(directory: Path, setting: Setting, initial: Parameters) -> tuple[Dealt, DeepChainTerms]:
    members, file = directory / MEMBERS, directory / CHARTER
    if not file.exists():
        dealt = Dealt.new(setting.key_bits, setting.party_names, setting.threshold, setting.seed)
        terms = setting.terms(dealt.key, initial)
        dealt.keep(members)
        make_folder(directory)
        write_whole(directory / LOG_KEY, setting.keys.log().seed().hex().encode() + b"\n", mode=0o600)
        write_whole(file, terms.encode())  # last: a directory with a charter is complete
        return dealt, terms
    kept = DeepChainTerms.from_bytes(file.read_bytes())
    if kept.parties == setting.party_names:
        dealt = Dealt.kept(kept.key, setting.party_names, members)
        if setting.terms(dealt.key, initial) == kept:
            return dealt, kept
    raise AgentError(
        Code.RESUME,
        f"{directory} holds a coalition with another charter, seed, model code or data",
        expected="the same arguments as before",
        remedy="choose another directory",
    )
