"""A DeepChain coalition that trains: real agents and cryptography, a ledger and a store in memory, a virtual clock."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier
from tests.paillier.material import dealing
from tests.protocols.deepchain.world import START, record, signer, terms

from tclearn.agents import Agent, MemoryOutbox, Outbox, Role, Site, VirtualClock, run
from tclearn.coalition.evidence import Evidence
from tclearn.encoding import MemberId, digest
from tclearn.learning.datasets import load, partition
from tclearn.learning.parameters import Parameters
from tclearn.learning.records import Records
from tclearn.learning.trainer import Contribution, DataId, LocalData, Task, Trainer, Work
from tclearn.learning.trainers.sklearn import SklearnTrainer
from tclearn.ledger.engines.memory import MemoryLedger
from tclearn.paillier.encryption import Encryptor
from tclearn.paillier.keys import TOY_BITS, PublicKey
from tclearn.paillier.packing import Layout
from tclearn.protocols.deepchain import DeepChain, DeepChainTerms, KeyTerms, Times
from tclearn.protocols.deepchain.agent import CLIP_UNIT, Membership, Offer, Performer
from tclearn.protocols.deepchain.agent.randomness import OperatingSystem, Randomness
from tclearn.protocols.deepchain.paillier_judge import PaillierJudge
from tclearn.protocols.deepchain.state import State
from tclearn.store import MemoryStore, Store

PHASE_MS = 600_000
TIMES = Times(
    **{f"t{i + 1}": PHASE_MS * place for i, place in enumerate((1, 2, 3, 12, 13, 14, 4, 5, 6))},
    block_ms=3 * PHASE_MS,
    patience_ms=PHASE_MS,
)
CLIP = CLIP_UNIT // 2
Faulty = Callable[[Performer], Role[State]]


@dataclass
class Noted:
    """A trainer that notes what it was asked and what came of it."""

    trainer: Trainer
    work: list[tuple[Parameters, Work, Parameters]] = field(default_factory=list)

    def initial(self, seed: int) -> Parameters:
        return self.trainer.initial(seed)

    def train(self, start: Parameters, work: Work) -> Contribution | None:
        contribution = self.trainer.train(start, work)
        assert contribution is not None
        self.work.append((start, work, contribution.parameters))
        return contribution

    def measure(self, reference: Parameters, candidate: Parameters, used: Container[DataId]) -> Evidence:
        return self.trainer.measure(reference, candidate, used)

    def model(self, parameters: Parameters) -> Any:
        return self.trainer.model(parameters)


@dataclass(frozen=True)
class Plan:
    """Which coalition.

    Attributes:
        parties: how many.
        threshold: so many open.
        iterations: how many.
        bits: of the key.
        hidden: units of the perceptron.
        weights: of the parties; ``None``: all 1.
        randomness: of ciphertexts and proofs.
    """

    parties: int = 7
    threshold: int = 4
    iterations: int = 2
    bits: int = TOY_BITS
    hidden: int = 21
    weights: tuple[int, ...] | None = None
    randomness: Randomness = field(default_factory=OperatingSystem)


@cache
def encryptor(key: PublicKey, window: int) -> Encryptor:
    return Encryptor(key, window=window)


def scaled(records: Records) -> Records:
    return Records(records.inputs.astype(np.float64), records.targets)


@cache
def trainer_of(hidden: int, parties: int, party: int | None) -> Trainer:
    digits = load("digits")
    task = Task(
        model=MLPClassifier,
        arguments={"hidden_layer_sizes": (hidden,)},
        metric="accuracy",
        global_test=scaled(digits.test),
        local_share=0,
        step_search="none",
    )
    part = None if party is None else scaled(list(partition(digits, parties, 1).values())[party])
    return recipe().bind(task, LocalData(part))


@cache
def recipe() -> SklearnTrainer:
    return SklearnTrainer(10, epochs=12, batch_size=32, learning_rate=0.01)


class Coalition:
    """Everybody, in one process.

    Args:
        plan: which coalition.
        faulty: by member, what is around its honest role.
    """

    def __init__(self, plan: Plan | None = None, faulty: Mapping[str, Faulty] | None = None) -> None:
        self.plan = plan = plan or Plan()
        self.faulty: Mapping[str, Faulty] = faulty or {}
        self.dealing = dealing(plan.parties, plan.threshold, plan.bits)
        key = self.dealing.key
        self.layout = Layout(plan.bits, plan.weights or (1,) * plan.parties)
        base = terms(plan.parties, 4)
        self.trainers = {
            party: Noted(trainer_of(plan.hidden, plan.parties, place)) for place, party in enumerate(base.parties)
        }
        initial = self.trainers[base.parties[0]].initial(1)
        model = replace(base.model, layout=initial.layout, initial=initial.digest)
        layout, size, values = self.layout, key.group.element_bytes, sum(each.size for each in initial.values())
        names = KeyTerms(
            key=key.encode(),
            slot_bits=layout.slot_bits,
            value_bits=layout.value_bits,
            clip=CLIP,
            threshold=plan.threshold,
            ciphertext_bytes=size,
            share_bytes=size,
            ciphertexts=layout.count(values),
            weights=layout.weights,
        )
        self.terms: DeepChainTerms = replace(
            base,
            model=model,
            trainer="sklearn",
            hyperparameters=dict(recipe().hyperparameters()),
            key=names,
            times=TIMES,
            iterations=plan.iterations,
        )
        self.contract = DeepChain(self.terms, PaillierJudge.of(self.terms))
        self.clock = VirtualClock(START)
        self.ledger = MemoryLedger(self.contract, self.terms.digest, clock=self.clock)
        self.store: Store = MemoryStore()
        self.drafts: dict[MemberId, Store] = {member.id: MemoryStore() for member in self.terms.members}
        self.outboxes: dict[MemberId, Outbox] = {member.id: MemoryOutbox() for member in self.terms.members}
        self.agents = [self.agent(member.id) for member in self.terms.members]

    @property
    def state(self) -> State:
        return self.ledger.state()

    @property
    def members(self) -> list[MemberId]:
        return [member.id for member in self.terms.members]

    def site(self, member: MemberId) -> Site:
        trainer: Trainer = self.trainers.get(member) or trainer_of(self.plan.hidden, self.plan.parties, None)
        return Site(
            member=member,
            coalition=self.terms.digest,
            signer=signer(member),
            store=self.store,
            drafts=self.drafts[member],
            trainer=trainer,
            outbox=self.outboxes[member],
            clock_ms=self.clock,
            secret=signer(member).derive("site"),
        )

    def performer(self, member: MemberId) -> Performer:
        membership = None
        if member in self.terms.parties:
            offer = Offer(digest("data", member), 1, 205, "8 × 8", "digits", "to read digits")
            share = self.dealing.shares[self.terms.number(member) - 1]
            membership = Membership(share, digest("sealed", member), offer)
        window = 4 if self.plan.bits == TOY_BITS else 8
        made = encryptor(self.dealing.key, window)
        return Performer(self.contract, membership, self.plan.randomness, made, allow_toy=True)

    def agent(self, member: MemberId) -> Agent[State]:
        performer = self.performer(member)
        role: Role[State] = self.faulty[member](performer) if member in self.faulty else performer
        return Agent(role, self.ledger, self.site(member))

    def run(self, on_entry: Callable[[], bool] = lambda: True) -> Coalition:
        run(self.agents, self.clock, on_entry=on_entry)
        return self

    def model(self, member: str) -> Parameters:
        return self.performer(MemberId(member)).model(self.state, self.site(MemberId(member)))

    def coins(self, member: str) -> int:
        return self.state.accounts.holdings(MemberId(member))

    def accuracy(self, parameters: Parameters) -> float:
        """Of the global test set, recomputed here from the perceptron's weights."""
        test = scaled(load("digits").test)
        values = test.inputs.reshape(len(test), -1)
        hidden = np.maximum(values @ parameters["coefs_.0"] + parameters["intercepts_.0"], 0)
        outputs = hidden @ parameters["coefs_.1"] + parameters["intercepts_.1"]
        return float((outputs.argmax(1) == test.targets).mean())

    def methods(self) -> Sequence[tuple[str, MemberId, int]]:
        """Method, sender and refusal code of every entry."""
        from tclearn.ledger.transaction import Transaction

        keys = {record(member).key: member for member in self.members}
        said = []
        for each in self.ledger.entries(0, len(self.ledger)):
            transaction = Transaction.parse(each.entry.transaction)
            said.append((transaction.call.method, keys[transaction.signer], each.outcome.code))
        return said
