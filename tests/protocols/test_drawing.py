"""Who tests and who seals: drawn with weights that nobody could choose to suit the seed."""

from __future__ import annotations

import pytest
from tests.protocols.test_tclearn_contract import pending_of, schedule, whose_turn
from tests.protocols.world import World, ids, verdict

from tclearn.coalition.quorum import faulty_max
from tclearn.encoding import MemberId
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn.drawing import draw_generals, settled

LARGE = 17
"""Members enough that the committee is drawn."""


def draws(height: int, samples: int, *, heights: int) -> list[tuple[int, tuple[MemberId, ...], tuple[MemberId, ...]]]:
    """For each height: the newest settled block, validators and generals, when one proposal claims so many samples."""
    world, drawn = World(LARGE, quick=True), []
    for coming in range(1, heights + 1):
        before = settled(world.state)
        claimed = samples if coming == height else 10
        first = 1_000 * coming
        records = ids(*range(first, first + claimed))
        candidate = world.release(world.propose(whose_turn(world), records=records))
        world.vote(candidate, verdict(60))
        drawn.append((before, candidate.committee, pending_of(world).generals))
        world.chain()
    return drawn


@pytest.mark.parametrize("height", [1, 3])
def test_the_samples_of_a_proposal_do_not_sway_a_draw_that_somebody_could_foresee(height):
    heights = height + 11
    honest = draws(height, 10, heights=heights)
    claims = [draws(height, samples, heights=heights) for samples in (11, 400)]
    foreseen = next(place for place, (before, *_) in enumerate(honest) if before >= height)
    # f + 1 generals are different members, so one of them plots with nobody: that many blocks at least.
    assert foreseen >= height + faulty_max(LARGE) + 1
    for claimed in claims:
        assert claimed[:foreseen] == honest[:foreseen]
    assert any(claimed[foreseen:] != honest[foreseen:] for claimed in claims)  # later they do count


def test_a_block_is_settled_when_f_plus_1_different_generals_have_sealed_since():
    world = World(7)
    for _ in range(12):
        world.block()
        sealed_by = [world.state.block(index).general for index in range(1, world.state.tip + 1)]
        newest = settled(world.state)
        if newest or len(set(sealed_by)) > faulty_max(7):
            assert len(set(sealed_by[newest:])) == faulty_max(7) + 1
            assert len(set(sealed_by[newest + 1 :])) == faulty_max(7)
        else:
            assert newest == 0
    assert settled(world.state) > 0


def test_a_block_without_a_general_settles_nothing():
    world = World(4)
    world.block()
    world.block()
    before = settled(world.state)
    world.vote(world.offer(whose_turn(world)), verdict(60))
    for _ in range(faulty_max(4) + 1):
        world.timeout()
    world.say("m00", calls.Finalize(3))
    assert world.state.block(3).general is None
    assert settled(world.state) == before


def test_who_proposes_does_not_reorder_the_generals():
    world = World(7, {"schedule": schedule(turns="free")})
    everybody = draw_generals(world.state, 1, world.members)
    for proposer in world.members:
        others = [member for member in world.members if member != proposer]
        assert list(draw_generals(world.state, 1, others)) == [member for member in everybody if member != proposer]


def test_a_proposal_more_does_not_draw_again():
    world = World(LARGE, {"schedule": schedule(turns="free")})
    drawn = []
    for _ in range(3):
        candidate = world.offer("m00")
        drawn.append(candidate.committee)
        assert world.vote(candidate, verdict(10)).status == "rejected"
    assert len(set(drawn)) == 1
