"""Recovery is replay: whoever dies at whatever moment goes on with what it has decided."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import count

import pytest
from tests.simulation.ledgers import entry_bytes, on_disk, said
from tests.simulation.toys import paired, right, toy_parameters, toy_setting

from tclearn.agents import Agent, Outbox
from tclearn.agents.outbox import FileOutbox
from tclearn.coalition.evidence import Evidence
from tclearn.learning.trainer import Contribution
from tclearn.ledger import Ledger
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn import contract as contract_of
from tclearn.protocols.tclearn.adversaries import Honest
from tclearn.protocols.tclearn.agent import Participant
from tclearn.protocols.tclearn.state import State
from tclearn.simulation.simulate import START_MS, Setting, Simulation


class Worse(Honest):
    """Offers a model that is no good, with parameters that were not offered before."""

    def train(self, start, work):
        contribution = self.trainer.train(start, work)
        return contribution and Contribution(toy_parameters(0, work.seed % 1_000_003), contribution.data_ids, 0)


MEASUREMENTS = count()


class Unsteady(Honest):
    """Measures one answer more or less each time that it is asked, as GPUs do."""

    def measure(self, reference, candidate, used):
        return Evidence(paired(right(reference), right(candidate) - next(MEASUREMENTS) % 2))


class Died(BaseException):
    """The process ends here; nobody catches it."""


@dataclass
class Fate:
    """Counts the moments at which a process can die, and dies at one of them."""

    at: int
    moment: int = 0
    name: str = ""

    def comes(self, name: str) -> None:
        self.moment += 1
        if self.moment - 1 == self.at:
            self.name = name
            raise Died


@dataclass
class MortalOutbox:
    outbox: Outbox
    fate: Fate

    def get(self, duty):
        return self.outbox.get(duty)

    def put(self, duty, call):
        self.fate.comes(f"before {call.method} is kept")
        self.outbox.put(duty, call)
        self.fate.comes(f"after {call.method} is kept")


@dataclass
class MortalLedger:
    ledger: Ledger[State]
    fate: Fate

    def __getattr__(self, name):
        return getattr(self.ledger, name)

    def submit(self, transaction):
        self.fate.comes(f"before {transaction.call.method} is submitted")
        result = self.ledger.submit(transaction)
        self.fate.comes(f"after {transaction.call.method} is submitted")
        return result


class Silent(Agent[State]):
    """A member whose computer is off."""

    def step(self):
        return False


@dataclass
class Lives:
    """A coalition in memory whose members die together and come back with ledger, stores and outboxes, nothing else."""

    setting: Setting
    silent: str = ""
    simulation: Simulation = field(init=False)

    def __post_init__(self) -> None:
        self.simulation = Simulation.prepare(self.setting)
        self._sites = [agent.site for agent in self.simulation.agents]

    @property
    def ledger(self):
        return self.simulation.ledger

    def live(self, fate: Fate) -> bool:
        """Run until the end, or until death; whether it was death."""
        trainers, contract = self.setting.trainers(), contract_of(self.simulation.charter)
        self.simulation.clock._now_ms = START_MS
        self.simulation.agents[:] = [
            (Silent if site.member == self.silent else Agent)(
                Participant(contract),
                MortalLedger(self.ledger, fate),
                replace(site, trainer=trainers[site.member], outbox=MortalOutbox(site.outbox, fate)),
            )
            for site in self._sites
        ]
        try:
            self.simulation.run()
        except Died:
            return True
        return False


NEVER = Fate(-1)


def small(**changes):
    return toy_setting(4, **{"records": 4, "blocks": 2, "adversaries": {"m01": Worse}, **changes})


@pytest.mark.parametrize(("turns", "level"), [("lease", "A"), ("free", "A"), ("lease", "B")])
def test_agents_thrown_away_after_every_entry_write_the_same_ledger(tmp_path, turns, level):
    setting = toy_setting(4, blocks=3, turns=turns, level=level, adversaries={"m01": Worse})
    whole = Simulation.prepare(setting)
    whole.run()
    entries = entry_bytes(whole.ledger)
    assert len(entries) > 40
    for number in range(len(entries) + 1):
        simulation = Simulation.prepare(setting, tmp_path / "coalition")
        assert len(simulation.ledger) == number
        simulation.run(on_entry=lambda state: False)
        simulation.close()
    assert on_disk(tmp_path / "coalition")[0] == entries


@pytest.mark.parametrize(("silent", "level"), [("", "A"), ("m03", "A"), ("", "B")])
def test_dying_at_any_moment_changes_nothing(silent, level):
    setting = small(blocks=1 if silent else 2, level=level)
    whole = Lives(setting, silent)
    assert not whole.live(NEVER)
    entries = entry_bytes(whole.ledger)
    moments = Counter[str]()
    for at in count():
        lives, fate = Lives(setting, silent), Fate(at)
        if not lives.live(fate):
            break
        moments[fate.name] += 1
        assert not lives.live(NEVER)
        assert entry_bytes(lives.ledger) == entries, f"after dying at moment {at}, {fate.name}"
    methods = {call.method for _, call, _ in said(whole.ledger, whole.ledger.state())}
    reading = {"access", "delivered"} if level == "B" else set()
    usual = {"propose", "release", "commit", "reveal", "seal", "endorse"} | reading
    assert methods == usual | ({"timeout"} if silent else set())
    assert len(moments) == 4 * len(methods), "each before and after it is kept, before and after it is submitted"
    assert moments.total() == 4 * len(entries)


def test_a_verdict_is_never_changed_by_dying():
    # Measurements differ each time. Whenever a validator dies between deciding on a verdict and showing it, it must
    # show that one: another would contradict its commitment and be refused.
    setting = small(adversaries=dict.fromkeys(("m00", "m01", "m02", "m03"), Unsteady))
    deaths = 0
    for at in count():
        lives, fate = Lives(setting), Fate(at)
        if not lives.live(fate):
            break
        deaths += 1
        assert not lives.live(NEVER)
        state = lives.ledger.state()
        assert state.tip == 2
        commitments = Counter[tuple[str, bytes]]()
        for sender, call, code in said(lives.ledger, state):
            assert code == 0, f"{sender} said {call.method}, refused with {code}, after dying {fate.name}"
            if call.method == "commit":
                commitments[sender, calls.Commit.from_value(call.arguments).candidate] += 1
        assert set(commitments.values()) == {1}
    assert deaths == 4 * 2 * 13, "each of 13 entries a block, before and after it is kept and submitted"


@pytest.mark.parametrize("dies", ["before commit is kept", "after commit is kept", "before commit is submitted"])
def test_the_verdict_shown_is_the_first_one_measured(dies):
    """The verdict is kept before the commitment: between the two, a second measurement must not count."""
    right_on_g = iter([30, 20, 20, 20, 20, 20, 20])
    asked = []

    class First(Honest):
        def measure(self, reference, candidate, used):
            asked.append(next(right_on_g))
            return Evidence(paired(right(reference), asked[-1]))

    class AtFirst(Fate):
        def comes(self, name):
            if name == dies:
                raise Died

    lives = Lives(toy_setting(3, records=4, blocks=1, adversaries={"m01": First}))
    assert lives.live(AtFirst(-1))
    assert asked == [30]
    assert not lives.live(NEVER)
    state = lives.ledger.state()
    evidence = state.candidate(0).reveals["m01"].evidence
    assert evidence is not None and evidence.on_global.candidate == 30
    assert all(code == 0 for _, _, code in said(lives.ledger, state))


def test_a_file_outbox_holds_what_was_said(tmp_path):
    simulation = Simulation.prepare(small(), tmp_path / "coalition")
    simulation.run()
    by_member: dict[str, list[bytes]] = {}
    for sender, call, _ in said(simulation.ledger, simulation.ledger.state()):
        by_member.setdefault(sender, []).append(call.encode())
    simulation.close()
    for member, spoken in by_member.items():
        with FileOutbox(tmp_path / "coalition" / "members" / member / "outbox.sqlite") as outbox:
            kept = [bytes(call) for (call,) in outbox._database.execute("SELECT call FROM decided")]
        assert Counter(spoken) == Counter(kept), "one decision a duty, each said once"
