"""A general's seed chain near its end: the agent commits to the next one in time, and goes over to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.simulation.toys import toy_setting

from tclearn.encoding import Value
from tclearn.identity.seed_chain import links, reveal, tip
from tclearn.ledger import Call, Context
from tclearn.limits import SEED_CHAIN_LENGTH
from tclearn.protocols.tclearn.records import SeedChain
from tclearn.protocols.tclearn.state import State
from tclearn.simulation import Simulation


@dataclass
class Moment:
    """A coalition that waits for its general, whose seed chain has been used so often already."""

    used: int

    def __post_init__(self) -> None:
        self.simulation = Simulation.prepare(toy_setting(4))
        self.simulation.run(lambda state: state.pending is None or len(state.candidate(0).reveals) < 3)
        state = self.simulation.ledger.state()
        assert state.pending is not None
        self.general = state.pending.general
        self.agent = next(agent for agent in self.simulation.agents if agent.site.member == self.general)
        self.secret = self.agent.site.signer.derive("seed chain")
        last = reveal(self.secret, self.used) if self.used else tip(self.secret)
        self.view: dict[str, Value] = {key: state._view[key] for key in state._view}
        self.view[f"chain/{self.general}"] = SeedChain(0, last, self.used).to_value()

    def state(self) -> State:
        state: State = self.contract.view(dict(self.view))
        return state

    @property
    def contract(self) -> Any:
        return self.agent.role.contract

    def __getattr__(self, name: str) -> Any:
        return getattr(self.simulation.ledger, name)

    def perform(self, kind: str) -> Call | None:
        duties = self.contract.duties(self.state(), self.general, self.simulation.clock())
        duty = next((duty for duty in duties if duty.kind == kind), None)
        return duty and self.agent.role.perform(duty, self, self.agent.site)

    def apply(self, call: Call) -> None:
        context = Context(len(self.simulation.ledger), self.simulation.clock(), self.general)
        for key, value in self.contract.apply(self.view, call, context).items():
            self.view[key] = value


def test_all_links_are_those_revealed_one_by_one():
    chain = links(b"s" * 32, 50)
    assert chain[0] == tip(b"s" * 32, 50)
    assert [reveal(b"s" * 32, k, 50) for k in range(1, 51)] == list(chain[1:])


def test_nobody_renews_early():
    assert Moment(0).perform("renew") is None
    assert Moment(SEED_CHAIN_LENGTH * 3 // 4 - 1).perform("renew") is None


def test_a_general_shows_the_next_link():
    moment = Moment(17)
    call = moment.perform("seal")
    assert call is not None
    moment.apply(call)
    assert moment.state().seed_chain(moment.general) == SeedChain(0, reveal(moment.secret, 18), 18)


def test_before_the_chain_ends_the_member_commits_to_the_next():
    moment = Moment(SEED_CHAIN_LENGTH * 3 // 4)
    call = moment.perform("renew")
    assert call is not None
    moment.apply(call)
    following = tip(moment.agent.site.signer.derive("seed chain 1"))
    assert moment.state().seed_chain(moment.general).following == following
    assert moment.perform("renew") is None, "once is enough"


def test_a_chain_committed_to_this_late_may_not_be_used_yet():
    moment = Moment(SEED_CHAIN_LENGTH)
    renewed = moment.perform("renew")
    assert renewed is not None
    moment.apply(renewed)
    assert moment.perform("seal") is None, "its first link could still be chosen to suit the draw"


def test_at_its_end_the_next_chain_takes_over():
    moment = Moment(SEED_CHAIN_LENGTH)
    secret = moment.agent.site.signer.derive("seed chain 1")
    used_up = SeedChain(0, reveal(moment.secret, SEED_CHAIN_LENGTH), SEED_CHAIN_LENGTH, tip(secret), from_height=1)
    moment.view[f"chain/{moment.general}"] = used_up.to_value()
    call = moment.perform("seal")
    assert call is not None
    moment.apply(call)
    assert moment.state().seed_chain(moment.general) == SeedChain(1, reveal(secret, 1), 1)
