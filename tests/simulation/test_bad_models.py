"""What a hostile member can put into the store: nobody accepts it, nobody runs it, and the chain is as it was."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
from tests.simulation.ledgers import recorded
from tests.simulation.toys import toy_parameters, toy_setting

from tclearn.learning.parameters import Parameters
from tclearn.learning.trainer import Contribution
from tclearn.protocols.tclearn.adversaries import Honest
from tclearn.simulation import Simulation


@dataclass
class Offering(Honest):
    """Offers something else than it has trained, once."""

    make: object = None

    def train(self, start, work):
        contribution = self.trainer.train(start, work)
        if contribution is None or self.make is None:
            return contribution
        offered, self.make = self.make(start, contribution.parameters), None  # type: ignore[operator]
        return Contribution(offered, contribution.data_ids, contribution.set_aside)


def offered(make, **changes):
    """The coalition's result when its second member offers what ``make`` gives."""
    setting = toy_setting(
        4, records=8, blocks=3, contributions=2, adversaries={"m01": lambda trainer: Offering(trainer, make)}, **changes
    )
    simulation = Simulation.prepare(setting)
    simulation.run()
    return simulation.result()


def not_a_number(start, honest):
    return Parameters({"right": np.array([np.nan], np.float32), "mark": honest["mark"]})


def infinite(start, honest):
    return Parameters({"right": honest["right"], "mark": np.array([-np.inf], np.float32)})


def wrong_shape(start, honest):
    return Parameters({"right": np.full((2, 1), 90, np.float32), "mark": honest["mark"]})


def wrong_type(start, honest):
    return Parameters({"right": np.array([90], np.float64), "mark": honest["mark"]})


def a_tensor_less(start, honest):
    return Parameters({"right": np.array([90], np.float32)})


def a_tensor_more(start, honest):
    return Parameters({**honest, "payload": np.zeros(10, np.uint8)})


def other_bytes(start, honest):
    """Says one model and delivers another: the file is whole, and not what the ledger says."""
    return SimpleNamespace(digest=honest.digest, to_bytes=toy_parameters(99, 1).to_bytes)


def no_model_at_all(start, honest):
    return SimpleNamespace(digest=honest.digest, to_bytes=lambda: b"\x00" * 100)


def nothing(start, honest):
    return SimpleNamespace(digest=honest.digest, to_bytes=lambda: b"")


@pytest.mark.parametrize(
    "make",
    [
        *(not_a_number, infinite, wrong_shape, wrong_type),
        *(a_tensor_less, a_tensor_more, other_bytes, no_model_at_all, nothing),
    ],
)
def test_validators_call_it_unavailable_and_the_chain_goes_on_without_it(make):
    result = offered(make)
    first, bad, *later = result.steps
    assert (first.block, first.member) == (1, "m00")
    assert (bad.member, bad.status, bad.block) == ("m01", "rejected", None)
    assert [ballot.vote for ballot in bad.ballots] == ["unavailable"] * 3
    assert bad.reason == "not available to enough validators"
    assert [step.block for step in later] == [2, 3]
    assert result.state.candidate(2).parent == result.state.block(1).hash
    assert result.state.used_ids() == {
        result.state.data_ids(index)[at : at + 16] for index in (1, 2, 3) for at in range(0, 64, 16)
    }, "the records of the bad one do not count"


def test_a_pickle_is_never_opened(tmp_path):
    canary = tmp_path / "canary"
    pickle = f"cposix\nsystem\n(S'touch {canary}'\ntR.".encode()
    result = offered(lambda start, honest: SimpleNamespace(digest=honest.digest, to_bytes=lambda: pickle))
    assert result.steps[1].status == "rejected" and len(result.blocks) == 3
    assert not canary.exists()
    subprocess.run([sys.executable, "-c", f"import pickle; pickle.loads({pickle!r})"], check=True, timeout=60)
    assert canary.exists(), "it would have run, had anybody opened it"


class Withholding:
    """A store to which one object is never delivered."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        return getattr(self._store, name)

    def put_stream(self, stream, *, size_max, name=None):
        return name


def test_a_model_that_is_not_in_the_store_is_waited_for_and_then_unavailable():
    simulation = Simulation.prepare(toy_setting(4, records=4, blocks=2, verdict_minutes=20))
    agent = simulation.agents[1]
    agent.site = replace(agent.site, store=Withholding(agent.site.store))
    simulation.run()
    result = simulation.result()
    bad = next(step for step in result.steps if step.member == "m01")
    assert (bad.status, bad.reason) == ("rejected", "not available to enough validators")
    assert [ballot.vote for ballot in bad.ballots] == ["unavailable"] * 3
    candidate = result.state.candidate(1)
    assert candidate.decided_ms is not None
    waited = candidate.decided_ms - recorded(simulation.ledger)[candidate.entry].entry.time_ms
    assert 15 * 60_000 <= waited <= 20 * 60_000, "three quarters of the time to test are left for it to arrive"
    assert len(result.blocks) == 2


class Watched:
    """One member's view of the store: counts what it reads, and may damage it on the way."""

    def __init__(self, store, *, damaged=False):
        self._store, self._damaged, self.reads = store, damaged, []

    def __getattr__(self, name):
        return getattr(self._store, name)

    def get(self, name, *, size_max):
        self.reads.append(name)
        data = bytearray(self._store.get(name, size_max=size_max))
        data[-1] ^= self._damaged
        return bytes(data)


def test_every_validator_fetches_and_checks_for_itself():
    simulation = Simulation.prepare(toy_setting(7, records=4, blocks=4))
    views = {}
    for agent in simulation.agents:
        views[agent.site.member] = Watched(agent.site.store, damaged=agent.site.member == "m06")
        agent.site = replace(agent.site, store=views[agent.site.member])
    simulation.run()
    state = simulation.ledger.state()
    assert state.tip == 4
    for number in range(4):
        candidate = state.candidate(number)
        for validator in candidate.committee:
            assert validator == "m06" or views[validator].reads.count(candidate.locator) == 1
        votes = {vote.member: vote.vote for vote in state.block(number + 1).votes}
        assert votes == {member: "unavailable" if member == "m06" else "yes" for member in candidate.committee}
