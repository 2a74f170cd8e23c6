"""Whole coalitions: honest members are never convicted, whatever crashes; those that say two things always are."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from tests.simulation.ledgers import recorded
from tests.simulation.test_restarts import NEVER, Fate, Lives, Unsteady, Worse, small
from tests.simulation.toys import toy_setting

from tclearn.agents import Agent
from tclearn.coalition.verdict import Verdict
from tclearn.encoding import MemberId
from tclearn.errors import Code, MessageError, UnreachableError, VerificationError
from tclearn.ledger import Call, Transaction
from tclearn.ledger.evidence import Contradicting, Contradiction, Kind, check_evidence, of_transactions
from tclearn.ledger.export import write_export
from tclearn.ledger.receipt import check_receipt, write_receipt
from tclearn.ledger.searching import search
from tclearn.limits import TRANSACTION_LIFETIME_MS
from tclearn.protocols import terms_of
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn import contract as contract_of
from tclearn.protocols.tclearn.adversaries import Reuse
from tclearn.protocols.tclearn.agent import Participant
from tclearn.protocols.tclearn.state import State
from tclearn.simulation.simulate import Simulation


def run(on_entry: Callable[[Simulation, State], None] | None = None, **changes: Any) -> Simulation:
    simulation = Simulation.prepare(toy_setting(**changes))

    def entry(state: State) -> bool:
        if on_entry is not None:
            on_entry(simulation, state)
        return True

    simulation.run(entry)
    return simulation


def export(simulation: Simulation) -> bytes:
    stream = io.BytesIO()
    write_export(stream, simulation.charter.encode(), simulation.ledger, simulation.keys.log())
    return stream.getvalue()


def convicted(*simulations: Simulation) -> dict[tuple[str, str], Contradiction]:
    first, *others = (io.BytesIO(export(each)) for each in simulations)
    coalition = simulations[0].charter.digest
    findings = search(first, terms_of, coalition, second=others[0] if others else None)
    proven = [check_evidence(data, terms_of, coalition) for data in findings.evidence]
    return {(each.kind, each.member or "log"): each for each in proven}


def any_two(simulation: Simulation, signed: list[Transaction]) -> list[str]:
    """What follows from any two of these transactions, tried without the search."""
    by_key: dict[bytes, list[Transaction]] = {}
    proven = []
    contract = simulation.agents[0].role.contract
    assert isinstance(contract, Contradicting)
    for second in signed:
        others = by_key.setdefault(second.signer, [])
        for first in others:
            of_one_topic = contract.topic(first.call) == contract.topic(second.call)
            for kind in (Kind.TWO_TRANSACTIONS, Kind.TWO_WORDS):
                if of_one_topic or first.sequence == second.sequence:
                    data = of_transactions(kind, simulation.charter.encode(), first.raw, second.raw)
                    with suppress(VerificationError):
                        proven.append(check_evidence(data, terms_of, simulation.charter.digest).what)
        others.append(second)
    return proven


@pytest.mark.parametrize(
    "changes",
    [
        {"n": 4},
        {"n": 4, "turns": "free"},
        {"n": 7, "adversaries": {"m02": Worse, "m05": Reuse}},
        {"n": 3, "local_results": "vote", "adversaries": {"m01": Unsteady}},
        {"n": 2, "blocks": 3},
    ],
    ids=range(5),
)
def test_no_honest_coalition_brings_evidence(changes: dict[str, Any]) -> None:
    simulation = run(**changes)
    assert len(simulation.ledger) > 20
    assert convicted(simulation) == {}
    assert convicted(simulation, simulation) == {}


@dataclass
class Lossy:
    """A ledger behind a line on which transactions and answers are lost; members whose calls fail may die of it."""

    simulation: Simulation
    signed: list[Transaction]
    chance: random.Random

    def __getattr__(self, name: str) -> Any:
        return getattr(self.simulation.ledger, name)

    def submit(self, transaction: Transaction) -> Any:
        self.signed.append(transaction)
        if self.chance.random() < 0.25:
            raise UnreachableError(Code.LEDGER_FILE, "lost on the way")
        logged = self.simulation.ledger.submit(transaction)
        if self.chance.random() < 0.1:
            raise UnreachableError(Code.LEDGER_FILE, "the answer is lost")
        return logged


class Patient(Agent[State]):
    def step(self) -> bool:
        try:
            return super().step()
        except (UnreachableError, MessageError):
            if isinstance(self.ledger, Lossy) and self.ledger.chance.random() < 0.5:
                self.role, self._not_before_ms = Participant(contract_of(self.ledger.simulation.charter)), {}
            return False


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_lost_nothing_that_honest_members_have_signed_convicts_them(seed: int) -> None:
    signed: list[Transaction] = []
    simulation = Simulation.prepare(toy_setting(4, blocks=3, turns="free" if seed % 2 else "lease"))
    line: Any = Lossy(simulation, signed, random.Random(seed))
    simulation.agents[:] = [Patient(agent.role, line, agent.site) for agent in simulation.agents]
    for _ in range(5):  # when all that everybody says at one time is lost, a simulation believes that it is over
        simulation.run()
    assert len(signed) > len(simulation.ledger) > 30
    assert len({each.raw for each in signed}) > len({each.call.encode() for each in signed}), "some is said again"
    assert any_two(simulation, signed) == []
    assert convicted(simulation) == {}


@pytest.mark.parametrize("silent", ["", "m03"])
def test_members_that_die_at_any_moment_are_not_convicted(silent: str) -> None:
    setting = small(blocks=1, adversaries={} if silent else dict.fromkeys(("m00", "m01", "m02", "m03"), Unsteady))
    whole = Lives(setting, silent)
    whole.live(NEVER)
    deaths = 0
    for at in range(0, 200, 3):
        lives = Lives(setting, silent)
        if not lives.live(Fate(at)):
            break
        deaths += 1
        lives.live(NEVER)
        assert convicted(lives.simulation) == {}
    assert deaths > 12


def say(simulation: Simulation, member: int, call: Call) -> None:
    agent: Agent[State] = simulation.agents[member]
    transaction = Transaction.signed(
        agent.site.signer,
        simulation.charter.digest,
        call,
        sequence=simulation.ledger.next_sequence(agent.site.signer.public),
        expires_ms=simulation.ledger.time_ms() + TRANSACTION_LIFETIME_MS,
    )
    simulation.ledger.submit(transaction)


def last_call(simulation: Simulation, method: str, member: int) -> Call | None:
    said = Transaction.parse(recorded(simulation.ledger)[-1].entry.transaction)
    mine = said.signer == simulation.agents[member].site.signer.public
    return said.call if mine and said.call.method == method else None


@pytest.mark.parametrize("method", ["commit", "reveal", "seal"])
def test_a_member_that_says_something_else_afterwards_is_convicted_though_it_is_refused(method: str) -> None:
    def equivocate(simulation: Simulation, state: State) -> None:
        for member in range(len(simulation.agents)):
            call = last_call(simulation, method, member)
            if call is None or (member != 2 and method != "seal"):
                continue
            name = simulation.agents[member].site.member
            other: Any
            if method == "commit":
                said = calls.Commit.from_value(call.arguments)
                other = calls.Commit(said.candidate, said.attempt, simulation.charter.digest)
            elif method == "reveal":
                shown = calls.Reveal.from_value(call.arguments)
                other = calls.Reveal(shown.candidate, shown.attempt, Verdict("unavailable"), b"")
            else:
                other = calls.Seal(calls.Seal.from_value(call.arguments).height, simulation.charter.digest)
            accused.add(name)
            say(simulation, member, calls.call(other))

    accused: set[MemberId] = set()
    simulation = run(equivocate, n=4, blocks=2)
    proven = convicted(simulation)
    assert accused
    assert set(proven) == {("two-words", member) for member in accused}


def test_one_log_with_two_histories_convicts_it_and_who_cosigned_both() -> None:
    # The same charter and keys, and other words of a member: as if a ledger had been set back and begun anew.
    proven = convicted(run(n=4, adversaries={"m01": Worse}), run(n=4))
    assert ("two-entries", "log") in proven
    assert {member for kind, member in proven if kind == "two-cosignatures"} == {"m00", "m01", "m02", "m03"}
    # They have asked this ledger for the next number each time, and yet have not signed two calls under one.
    assert "two-transactions" not in {kind for kind, _ in proven}


def test_every_entry_of_a_coalition_has_a_receipt() -> None:
    simulation = run(n=4, blocks=2)
    charter = simulation.charter
    by_quorum = 0
    for each in recorded(simulation.ledger):
        data = write_receipt(simulation.ledger, charter.encode(), terms_of, simulation.keys.log(), each.entry.index)
        received = check_receipt(data, terms_of, charter.digest)
        assert received.entry == each.entry
        assert received.members == 4
        by_quorum += received.by_quorum
    # after the last sealed block come its endorsements, and nobody endorses those
    assert len(simulation.ledger) - by_quorum == 4
