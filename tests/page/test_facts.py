"""Queries of the state: local results, votes that are called what they are, tallies."""

from __future__ import annotations

import pytest
from tests.page.story import LOCAL_N, Story, digits
from tests.protocols.world import World, ids, verdict

from tclearn.coalition.evidence import MILLION, Paired
from tclearn.coalition.terms import ScheduleTerms
from tclearn.encoding import MemberId
from tclearn.page.facts import SPARED, WAITING, Facts, vote_shown
from tclearn.page.members import tallies
from tclearn.page.text import duration, in_order, moment, paired, plural, ppm, short


@pytest.fixture(scope="module")
def story() -> Story:
    return digits()


def test_names_are_sorted_as_people_do() -> None:
    names = [MemberId(name) for name in ("hospital-10", "b", "hospital-2", "10", "9", "hospital-1.x", "hospital-1")]
    assert in_order(names) == ["9", "10", "b", "hospital-1", "hospital-1.x", "hospital-2", "hospital-10"]


def test_local_results_are_those_of_the_votes(story: Story) -> None:
    facts = Facts(story.state)
    for chained in story.state.blocks():
        block = chained.block
        for vote in block.votes:
            if vote.on_local is not None:
                local = facts.local[vote.member][block.index]
                assert local.direct
                assert local.value == vote.on_local.candidate / LOCAL_N


def test_a_contributors_result_comes_from_the_next_test(story: Story) -> None:
    facts = Facts(story.state)
    local = facts.local[MemberId("hospital-1")][1]
    assert not local.direct
    later = story.state.candidate(1).reveals["hospital-1"].evidence
    assert later is not None
    assert later.on_local is not None
    assert local.value == later.on_local.reference / LOCAL_N


def test_revert_has_the_results_of_its_target() -> None:
    story = Story(4)
    story.accepted(0.8)
    story.accepted(0.9)
    story.reverted(1)
    facts = Facts(story.state)
    for member in story.members:
        assert facts.local[member][3].value == facts.local[member][1].value
    assert facts.present == {1}


def test_tallies_are_the_blocks(story: Story) -> None:
    facts = Facts(story.state)
    counted = {tally.member: tally for tally in tallies(facts)}
    blocks = [chained.block for chained in story.state.blocks()]
    for member in story.members:
        tally = counted[member]
        assert tally.records == blocks[-1].contributions[member]
        assert tally.blocks == sum(block.contributor == member for block in blocks)
        assert tally.general == sum(block.general == member for block in blocks)
    assert counted[MemberId("hospital-2")].votes["missing"] == 1
    assert counted[MemberId("hospital-3")].deviating == 1
    assert counted[MemberId("hospital-6")].votes["unavailable"] == 1
    assert sum(tally.general for tally in counted.values()) == 7
    hospital_2 = counted[MemberId("hospital-2")]
    assert hospital_2.cast + hospital_2.votes["missing"] == sum(
        any(ballot.member == "hospital-2" for ballot in step.ballots) for step in facts.steps
    )


def test_verdict_that_can_still_come_is_not_missing() -> None:
    world = World(4)
    candidate = world.offer("m00")
    step = Facts(world.state).steps[0]
    assert {vote_shown(step, ballot) for ballot in step.ballots} == {WAITING}
    for member in candidate.committee:
        world.commit(member, candidate, verdict(60))
    world.reveal(candidate.committee[0], candidate, verdict(60))
    step = Facts(world.state).steps[0]
    assert sorted(vote_shown(step, ballot) for ballot in step.ballots) == [WAITING, WAITING, "yes"]


def test_overtaken_candidate_blames_nobody() -> None:
    schedule = ScheduleTerms("free", 1_800_000, 1_800_000, 1_800_000, 1, 3, stop_blocks=100)
    world = World(4, {"schedule": schedule})
    first = world.offer("m00")
    second = world.release(world.propose("m01", records=ids(900, 901)))
    world.vote(first, verdict(60))
    facts = Facts(world.state)
    stale = next(step for step in facts.steps if step.member == second.proposer)
    assert stale.status == "stale"
    assert {vote_shown(stale, ballot) for ballot in stale.ballots} == {SPARED}
    assert all(tally.votes["missing"] == 0 for tally in tallies(facts))


def test_words() -> None:
    assert paired(Paired(1000, 1000, 900, 957, 3, 60)) == "957 of 1,000 right (0.9570)"
    assert paired(Paired(1000, 1000, 900, 957, 3, 60), "reference") == "900 of 1,000 right (0.9000)"
    assert paired(Paired(20, MILLION, 0, 843_217, 0, 0)) == "0.843217 on 20 records"
    assert (plural(1, "entry", "entries"), plural(2, "entry", "entries")) == ("1 entry", "2 entries")
    assert (duration(1_800_000), duration(86_400_000), duration(90_001)) == (
        "30 minutes",
        "1 day",
        "90,001 milliseconds",
    )
    assert ppm(980_000) == "0.98"
    assert moment(1_767_225_600_000) == "2026-01-01 00:00:00 UTC"
    assert moment((1 << 63) - 1) == f"{(1 << 63) - 1} ms"
    assert short("x" * 30, 5) == "xxxx…"
