"""Members that die at any write, and start again with their disk alone: each says once what it would have said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from tests.protocols.deepchain.training import Coalition, Plan

from tclearn.agents import Agent, Outbox
from tclearn.encoding import Digest, MemberId
from tclearn.errors import StorageError
from tclearn.ledger import Call
from tclearn.protocols.deepchain.records import COMPLETE
from tclearn.protocols.deepchain.state import State
from tclearn.store import MemoryStore, Store

PLAN = Plan(parties=4, threshold=2, hidden=2, iterations=1)


class Killed(Exception):
    """The process is gone."""


@dataclass
class Death:
    """Kills at every write to one thing: once before it is done, and once after."""

    writes: int = 0
    deaths: int = 0

    def around(self, write: Any) -> Any:
        self.writes += 1
        turn = self.writes % 3
        if turn == 1:
            self.deaths += 1
            raise Killed
        result = write()
        if turn == 2:
            self.deaths += 1
            raise Killed
        return result


@dataclass
class DyingStore:
    store: Store
    death: Death

    def put(self, data: bytes) -> Digest:
        name: Digest = self.death.around(lambda: self.store.put(data))
        return name

    def put_stream(self, stream: Any, *, size_max: int, name: Digest | None = None) -> Digest:
        kept: Digest = self.death.around(lambda: self.store.put_stream(stream, size_max=size_max, name=name))
        return kept

    def has(self, name: Digest) -> bool:
        return self.store.has(name)

    def size(self, name: Digest) -> int:
        return self.store.size(name)

    def get(self, name: Digest, *, size_max: int) -> bytes:
        return self.store.get(name, size_max=size_max)

    def open(self, name: Digest) -> Any:
        return self.store.open(name)


@dataclass
class DyingOutbox:
    outbox: Outbox
    death: Death

    def get(self, duty: Digest) -> Call | None:
        return self.outbox.get(duty)

    def put(self, duty: Digest, call: Call) -> None:
        self.death.around(lambda: self.outbox.put(duty, call))


class Mortal(Coalition):
    """Whose members have nothing but their outboxes, drafts and the store when they start again."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.deaths = [Death() for _ in range(2 * len(self.members) + 1)]
        deaths = iter(self.deaths)
        self.outboxes = {member: DyingOutbox(outbox, next(deaths)) for member, outbox in self.outboxes.items()}
        self.open_drafts = self.drafts
        self.drafts = {member: DyingStore(store, next(deaths)) for member, store in self.drafts.items()}
        self.open_store, self.store = self.store, DyingStore(self.store, next(deaths))
        self.agents = [Reborn(self, member) for member in self.members]  # type: ignore[misc]


class Reborn:
    """An agent that is thrown away whenever it has spoken or died."""

    def __init__(self, coalition: Mortal, member: MemberId) -> None:
        self.coalition, self.member = coalition, member

    def agent(self) -> Agent[State]:
        return self.coalition.agent(self.member)

    def step(self) -> bool:
        for _ in range(100):
            try:
                return self.agent().step()
            except Killed:
                continue
        raise AssertionError("it dies for ever")

    def awaits(self) -> bool:
        return self.agent().awaits()

    def due_ms(self) -> int | None:
        return self.agent().due_ms()


@pytest.fixture(scope="module")
def died() -> Mortal:
    coalition = Mortal(PLAN)
    coalition.run()
    assert coalition.state.group.status == COMPLETE
    return coalition


def objects(store: Store) -> set[Digest]:
    assert isinstance(store, MemoryStore)
    return set(store._objects)


def test_they_come_to_the_same_model_and_nobody_is_refused_or_fined(died):
    untouched = Coalition(PLAN).run()
    assert sum(death.deaths for death in died.deaths) > 80
    assert died.model("p00") == untouched.model("p00")
    assert [(method, code) for method, _, code in died.methods()] == [(m, code) for m, _, code in untouched.methods()]
    assert {member: died.coins(member) for member in died.members} == {m: untouched.coins(m) for m in died.members}


def test_of_a_gradient_one_encryption_leaves_its_party_however_often_it_dies(died):
    made = {party: objects(died.open_drafts[party]) for party in died.terms.parties}
    public = objects(died.open_store)
    # A gradient and shares. Whoever died before deciding has made more of them.
    assert all(len(public & drafts) == 2 for drafts in made.values())
    assert sum(map(len, made.values())) > 2 * len(made), "nobody died between making and deciding"
    assert len(public) == 2 * len(made) + 2, "besides these the sum and what was opened"


def test_what_is_decided_and_then_lost_is_not_made_a_second_time():
    coalition = Coalition(PLAN)
    party = MemberId("p01")
    place = coalition.members.index(party)

    def until_asked() -> bool:
        iteration = coalition.state.iteration
        return iteration is None

    coalition.run(until_asked)
    agent = coalition.agents[place]
    (duty,) = (
        d for d in agent.role.contract.duties(coalition.state, party, coalition.clock()) if d.kind == "contribute"
    )
    site = coalition.site(party)
    first = agent.role.perform(duty, coalition.ledger, site)
    again = coalition.performer(party).perform(duty, coalition.ledger, site)
    assert first == again is not None
    coalition.drafts[party], coalition.store = MemoryStore(), MemoryStore()
    assert coalition.performer(party).perform(duty, coalition.ledger, coalition.site(party)) is None


def test_a_store_that_fails_is_no_verdict():
    coalition = Coalition(PLAN)
    coalition.run(lambda: coalition.state.iteration is None or len(coalition.state.iteration.gradients) < 4)

    class Broken(MemoryStore):
        def get(self, name: Digest, *, size_max: int) -> bytes:
            from tclearn.errors import Code

            raise StorageError(Code.STORE_FAILED, "the disk is gone")

    coalition.store = Broken()
    worker = coalition.agent(MemberId("w00"))
    before = len(coalition.ledger)
    with pytest.raises(StorageError, match="the disk is gone"):
        worker.step()
    assert len(coalition.ledger) == before
