"""Sequence numbers: an agent never signs two calls under one, whatever is lost, crashes or is forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.agents.chores import MINUTE_MS, NAME, House

from tclearn.agents import MemoryOutbox
from tclearn.agents.loop import sequence_number
from tclearn.errors import Code, StorageError
from tclearn.ledger import Call, Transaction

BLOCK = 1 << 32
calls = st.builds(lambda word: Call(NAME, "say", {"word": word}), st.text(max_size=9))


@given(st.integers(0, 2**62), calls)
def test_a_number_is_free_and_not_far_away(lowest: int, call: Call) -> None:
    number = sequence_number(lowest, call)
    assert lowest <= number < lowest + 2 * BLOCK
    assert sequence_number(number + 1, call) > number


@given(st.integers(0, 2**40), calls, calls)
def test_it_tells_calls_apart_and_not_attempts(last: int, one: Call, other: Call) -> None:
    numbers = {sequence_number(last, one), sequence_number(last, other)}
    assert len(numbers) == (1 if one == other else 2)
    assert {number // BLOCK for number in numbers} == {-(-last // BLOCK)}


class Lossy:
    """A ledger behind a line that loses everything for a while, and lets nobody know."""

    def __init__(self, house: House, signed: list[Transaction]) -> None:
        self.house = house
        self.signed = signed
        self.lost = True

    def __getattr__(self, name):
        return getattr(self.house.ledger, name)

    def submit(self, transaction):
        self.signed.append(transaction)
        if self.lost:
            raise StorageError(Code.LEDGER_FILE, "no answer")
        return self.house.ledger.submit(transaction)


def test_what_was_lost_and_what_is_said_instead_have_two_numbers():
    house, outbox = House(n=2, turns=2), MemoryOutbox()
    signed: list[Transaction] = []
    line = Lossy(house, signed)

    def step():
        try:
            return house.agent(0, outbox=outbox, ledger=line).step()  # an agent with no memory but its outbox
        except StorageError:
            return False

    assert not step() and not step()
    house.clock.wait(MINUTE_MS)  # now it is more pressing to say that the turn is over
    assert not step()
    line.lost = False
    assert step()
    methods = [transaction.call.method for transaction in signed]
    assert methods == ["say", "say", "pass", "pass"]
    numbers = [transaction.sequence for transaction in signed]
    assert numbers[0] == numbers[1] != numbers[2] == numbers[3]
    assert house.entries() == [("m0", "pass", 0)]
