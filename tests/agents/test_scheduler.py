"""The scheduler: whose turn is next is a function of the ledger; a silent member costs virtual time only."""

from __future__ import annotations

import pytest
from tests.agents.chores import MINUTE_MS, START_MS, House

from tclearn.agents import VirtualClock, run
from tclearn.agents.scheduler import TICK_MS


def agents_of(house, *, without=()):
    return [house.agent(number) for number in range(house.n) if number not in without]


def test_members_are_asked_after_the_one_that_spoke_last():
    house = House(n=3, turns=6)
    run(agents_of(house), house.clock)
    assert [sender for sender, _, _ in house.entries()] == ["m0", "m1", "m2", "m0", "m1", "m2"]
    times = [recorded.entry.time_ms for recorded in house.ledger.entries(0, 6)]
    assert times == [START_MS + TICK_MS * number for number in range(6)]


def test_a_silent_members_turn_passes_at_its_deadline():
    house = House(n=3, turns=6)
    run(agents_of(house, without=[1]), house.clock)
    assert [(sender, word) for sender, word, _ in house.entries()] == [
        *(("m0", "yes"), ("m2", "pass"), ("m2", "yes")),
        *(("m0", "yes"), ("m2", "pass"), ("m2", "yes")),
    ]
    entries = list(house.ledger.entries(0, 6))
    waited = entries[1].entry.time_ms - entries[0].entry.time_ms
    assert MINUTE_MS <= waited <= 2 * MINUTE_MS


def test_the_run_ends_when_time_brings_nothing_more():
    house = House(n=2, turns=0)
    run(agents_of(house), house.clock)
    assert house.entries() == [] and house.clock() == START_MS


def test_a_run_can_be_stopped_after_an_entry():
    house = House(n=3, turns=6)
    left = iter([True, True, False])
    run(agents_of(house), house.clock, on_entry=lambda: next(left))
    assert len(house.entries()) == 3


@pytest.mark.parametrize("silent", [(), (1,)])
@pytest.mark.parametrize("stop_after", [1, 2, 3, 4])
def test_a_run_that_is_stopped_and_goes_on_gives_the_same_ledger(stop_after, silent):
    def all_entries(house):
        return [recorded.entry for recorded in house.ledger.entries(0, len(house.ledger))]

    whole = House(n=3, turns=6)
    run(agents_of(whole, without=silent), whole.clock)

    house = House(n=3, turns=6)
    agents = agents_of(house, without=silent)
    run(agents, house.clock, on_entry=lambda: len(house.ledger) < stop_after)
    sender, _, _ = house.entries()[-1]
    last = next(place for place, agent in enumerate(agents) if agent.site.member == sender)
    (recorded,) = house.ledger.entries(stop_after - 1, stop_after)
    house.clock = VirtualClock(recorded.entry.time_ms + TICK_MS)
    house.ledger._clock = house.clock
    # New agents with empty outboxes: nothing that they keep decides what is said.
    run(agents_of(house, without=silent), house.clock, last_speaker=last)
    assert all_entries(house) == all_entries(whole)
