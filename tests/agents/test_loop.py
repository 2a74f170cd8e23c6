"""A duty's life: decide, keep, say; repeat a decision, never make a second one."""

from __future__ import annotations

import pytest
from tests.agents.chores import MINUTE_MS, NOT_YOURS, RUDE, START_MS, House, Speaker, call

from tclearn.agents import MemoryOutbox, VirtualClock
from tclearn.agents.loop import RETRY_AFTER_MS
from tclearn.encoding import digest
from tclearn.errors import Code, StorageError
from tclearn.ledger import Duty, Transaction
from tclearn.limits import TRANSACTION_LIFETIME_MS


class Unplugged:
    """A ledger whose connection breaks when something is submitted: before it is logged, or after."""

    def __init__(self, ledger, *, logs):
        self._ledger, self._logs = ledger, logs

    def __getattr__(self, name):
        return getattr(self._ledger, name)

    def submit(self, transaction):
        if self._logs:
            self._ledger.submit(transaction)
        raise StorageError(Code.STORE_FAILED, "the connection broke")


def test_a_step_performs_one_duty_and_says_whether_it_did():
    house = House(n=2, turns=1)
    first, second = house.agent(0), house.agent(1)
    assert not second.step()
    assert first.step()
    assert not first.step(), "nothing is left to do"
    assert house.entries() == [("m0", "yes", 0)]


def test_what_is_said_is_signed_for_this_coalition_and_expires():
    house = House(n=1, turns=3)
    agent = house.agent(0)
    while agent.step():
        house.clock.wait(1000)
    for number, recorded in enumerate(house.ledger.entries(0, 3)):
        transaction = Transaction.parse_checked(recorded.entry.transaction, agent.site.coalition)
        assert transaction.sequence >> 32 == number
        assert transaction.expires_ms == START_MS + 1000 * number + TRANSACTION_LIFETIME_MS


@pytest.mark.parametrize("logs", [False, True])
def test_an_agent_that_dies_while_it_submits_repeats_its_decision_once(logs):
    house, outbox = House(n=1, turns=2), MemoryOutbox()
    with pytest.raises(StorageError):
        house.agent(0, lambda duty: "first", outbox=outbox, ledger=Unplugged(house.ledger, logs=logs)).step()
    again = house.agent(0, lambda duty: "second thoughts", outbox=outbox)
    while again.step():
        pass
    assert [word for _, word, _ in house.entries()] == ["first", "second thoughts"]


def test_nothing_is_said_that_was_not_kept():
    class Full(MemoryOutbox):
        def put(self, duty, call):
            raise StorageError(Code.STORE_FAILED, "the disk is full")

    house = House(n=1)
    with pytest.raises(StorageError):
        house.agent(0, outbox=Full()).step()
    assert house.entries() == []


def test_none_means_ask_again():
    house = House(n=1, turns=1)
    answers = iter([None, None, "now"])
    agent = house.agent(0, lambda duty: next(answers))
    assert [agent.step(), agent.step(), agent.step()] == [False, False, True]
    assert house.entries() == [("m0", "now", 0)]


def test_a_duty_that_cannot_be_performed_does_not_keep_another_from_being_performed():
    house = House(n=1, turns=5)
    agent = house.agent(0, lambda duty: None)
    assert not agent.step()
    house.clock.wait(MINUTE_MS)
    assert agent.step()
    assert house.entries() == [("m0", "pass", 0)]


def test_a_refused_call_is_not_repeated_at_once_and_then_it_is_the_same_one():
    house = House(n=1)
    words = iter(["rude", "polite"])
    agent = house.agent(0, lambda duty: next(words))
    assert agent.step()
    assert not agent.step(), "not again at once"
    house.clock.wait(RETRY_AFTER_MS - 1)
    assert not agent.step()
    house.clock.wait(1)  # the turn's minute is over, too: passing is more pressing, and is accepted
    assert agent.step()
    assert house.entries() == [("m0", "rude", RUDE), ("m0", "pass", 0)]
    assert agent.step()
    assert house.entries()[-1] == ("m0", "polite", 0), "another duty is another decision"


def test_a_refused_decision_is_never_changed():
    house, outbox = House(n=1, clock=VirtualClock(START_MS - 10 * RETRY_AFTER_MS)), MemoryOutbox()
    agent = house.agent(0, lambda duty: "rude", outbox=outbox)
    for _ in range(3):
        assert agent.step()
        house.clock.wait(RETRY_AFTER_MS)
    assert house.entries() == [("m0", "rude", RUDE)] * 3
    role = agent.role
    assert isinstance(role, Speaker) and role.asked == ["say"], "it was decided once"
    kept = outbox.get(Duty("say", digest("say", 0), house.members[0], None).id)
    assert kept == call("rude")


def test_somebody_elses_word_is_refused_by_the_contract_not_by_the_agent():
    house = House(n=2)
    stranger = house.agent(1)
    stranger._submit(Duty("say", digest("say", 0), house.members[1], None), call("mine"))
    assert house.entries() == [("m1", "mine", NOT_YOURS)]


def test_deadlines_of_ones_own_and_of_others():
    house = House(n=2, turns=2)
    first, second = house.agent(0), house.agent(1)
    assert first.due_ms() == START_MS + MINUTE_MS
    assert second.due_ms() is None
    assert first.awaits() and second.awaits(), "a deadline runs: time alone will bring a duty"
    assert first.step() and second.step()
    assert not first.awaits() and not second.awaits(), "all is done"
