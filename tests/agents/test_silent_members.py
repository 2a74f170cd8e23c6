"""Members that never speak: blocks still come, and the blocks name them."""

from __future__ import annotations

import pytest
from benchmarks.null_trainer import null_charter, null_setting

from tclearn.coalition.quorum import faulty_max
from tclearn.ledger import Transaction
from tclearn.simulation import Simulation

MINUTES = 10


def coalition(n, *, silent, blocks=5, **changes):
    """The state and the methods called, after a run in which some members never do anything."""
    setting = null_setting(n, null_charter(blocks, verdict_minutes=MINUTES, **changes), seed=3)
    simulation = Simulation.prepare(setting)
    began = simulation.clock()
    simulation.agents[:] = [agent for agent in simulation.agents if agent.site.member not in silent]
    simulation.run()
    recorded = list(simulation.ledger.entries(0, len(simulation.ledger)))
    said = [Transaction.parse(each.entry.transaction).call.method for each in recorded]
    assert all(each.outcome.code == 0 for each in recorded), "nobody says what the contract must refuse"
    return simulation.ledger.state(), said, (simulation.clock() - began) / 60_000


@pytest.mark.parametrize("silent", ["m00", "m01", "m02", "m03"])
def test_four_members_go_on_without_one(silent):
    state, said, minutes = coalition(4, silent={silent})
    blocks = [chained.block for chained in state.blocks()][1:]
    assert [block.index for block in blocks] == [1, 2, 3, 4, 5]
    assert {block.contributor for block in blocks} == set(state.members) - {silent}
    for block in blocks:
        assert block.general not in (None, silent)
        assert {vote.member: vote.vote for vote in block.votes} == {
            member: "missing" if member == silent else "yes" for member in block.committee
        }
    assert "timeout" in said
    assert minutes < 3 * 5 * MINUTES + 5, "a block waits for a silent member three times at most"


def test_its_turn_passes_on_after_the_lease():
    state, _, _ = coalition(4, silent={"m01"}, blocks=3)
    assert [chained.block.contributor for chained in state.blocks()] == [None, "m00", "m02", "m03"]


def test_the_first_turn_passes_on_too():
    # Its deadline cannot be fixed at genesis, when there is no time yet: another member's word starts the clock.
    state, said, minutes = coalition(4, silent={"m00"}, blocks=1)
    assert said[:3] == ["timeout", "timeout", "propose"]
    assert state.block(1).contributor == "m01"
    assert minutes >= MINUTES


def test_with_everybody_there_nobody_waits():
    state, said, minutes = coalition(4, silent=set())
    assert state.tip == 5 and "timeout" not in said
    assert minutes < 5


def test_a_silent_general_is_switched():
    # The order of the generals is drawn by the seed: over twelve blocks the silent one comes first sometimes.
    state, said, _ = coalition(4, silent={"m03"}, blocks=12)
    proposals, switched = said.count("propose"), 0
    for at, method in enumerate(said):
        if method == "timeout" and said[at + 1] == "seal":
            switched += 1
    assert proposals == 12 and switched > 0
    assert all(chained.block.general != "m03" for chained in state.blocks())


@pytest.mark.parametrize(("n", "silent"), [(7, 2), (10, 3), (17, 5)])
def test_as_many_silent_members_as_the_agreement_is_made_for(n, silent):
    assert silent == faulty_max(n)
    names = {f"m{number:02d}" for number in range(1, 1 + silent)}
    state, _, _ = coalition(n, silent=names, blocks=3)
    assert state.tip == 3
    for chained in state.blocks():
        votes = chained.block.votes
        assert {vote.member for vote in votes if vote.vote == "missing"} == names & set(chained.block.committee)


def test_one_silent_member_of_three_is_one_too_many():
    # N = 3 tolerates none. The run gives up, no candidate is blamed, and the reason names who was missing.
    state, _, _ = coalition(3, silent={"m02"})
    assert state.tip == 0
    closed = [state.candidate(number) for number in range(state.candidates - 1)]
    assert closed and {candidate.status for candidate in closed} == {"undecided"}
    assert state.candidate(0).reason == "no decision, no verdict from m02"


def test_a_run_that_gave_up_says_nothing_more_when_it_is_started_again():
    simulation = Simulation.prepare(null_setting(3, null_charter(5), seed=3))
    del simulation.agents[2]
    simulation.run()
    entries = len(simulation.ledger)
    simulation.run()
    assert len(simulation.ledger) == entries > 0


def test_free_turns_go_on_without_a_member():
    state, _, _ = coalition(4, silent={"m00"}, blocks=3, turns="free")
    assert state.tip == 3
