"""Hidden parts in the contract: committed to, shown for one candidate each, and what they do to the chain."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from tests.protocols.test_tclearn_contract import schedule, whose_turn
from tests.protocols.world import LOOKING, PART_N, World, measured, part, verdict

from tclearn.coalition.evidence import Evidence, Paired, Step
from tclearn.coalition.hidden import Hidden, added, keepers, part_commitment
from tclearn.coalition.quorum import faulty_max
from tclearn.coalition.terms import AcceptanceTerms
from tclearn.coalition.verdict import Verdict
from tclearn.encoding import MemberId, digest
from tclearn.limits import HIDDEN_PART_RECORDS_MAX, HIDDEN_PARTS_MAX
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn.history import history
from tclearn.protocols.tclearn.records import Candidate, Drift, PendingRevert
from tclearn.protocols.tclearn.refusals import Refusal
from tclearn.protocols.tclearn.reverting import take_back


def world_with_parts(n: int = 4, count: int = 4, **changes: object) -> World:
    world = World(n, changes, rule=LOOKING)
    for member in world.members:
        world.hide(member, count)
    return world


def on_part(worse: int = 0) -> Paired:
    """So many answers lost on a part, of 30 right ones."""
    return measured(30 - worse, 30, PART_N)


def accepted(world: World, right: int, *, drift: int | None = None, worse: int = 0) -> None:
    """One block; where the newest model is not the best, it has lost so many answers on the part."""
    candidate = world.show(world.offer(whose_turn(world)))
    said = verdict(right, on_hidden=on_part(worse), drift=None if drift is None else on_part(drift))
    assert world.vote(candidate, said).status == "accepted"
    world.chain()


def rejected(world: World, *, drift: int) -> Candidate:
    candidate = world.show(world.offer(whose_turn(world)))
    return world.vote(candidate, verdict(10, 60, on_hidden=on_part(), drift=on_part(drift)))


# --- hiding ----------------------------------------------------------------------------------------------------------


def test_parts_are_hidden_once_and_again_when_they_are_spent():
    world = World(4, rule=LOOKING)
    assert all("hide" in world.duties(member) for member in world.members)
    world.hide("m01", 1)
    assert "hide" not in world.duties("m01")
    assert world.refused("m01", world.hiding("m01")) == Refusal.ALREADY_DONE
    accepted(world, 60)
    assert "hide" in world.duties("m01")
    assert world.refused("m01", replace(world.hiding("m01"), first=0)) == Refusal.BAD_PARTS
    assert world.refused("m01", calls.Hide(1, ())) == Refusal.BAD_PARTS
    assert world.refused("m01", calls.Hide(1, (digest("same"), digest("same")))) == Refusal.BAD_PARTS
    many = tuple(digest("part", number) for number in range(HIDDEN_PARTS_MAX + 1))
    assert world.refused("m01", calls.Hide(1, many)) == Refusal.BAD_PARTS
    world.say("m01", calls.Hide(1, many[:-1]))


def test_a_rule_that_does_not_look_at_hidden_parts_takes_none():
    world = World(4)
    assert world.refused("m01", world.hiding("m01")) == Refusal.NOT_HIDDEN
    assert "hide" not in world.duties("m01")


def test_nothing_is_hidden_when_training_has_ended():
    world = World(4, {"schedule": schedule(stop_blocks=1)}, rule=LOOKING)
    world.block()
    assert world.refused("m01", world.hiding("m01")) == Refusal.COMPLETE
    assert "hide" not in world.duties("m01")


def test_without_hidden_parts_a_candidate_is_tested_at_once_and_its_block_says_nothing_of_them():
    world, plain = World(4, rule=LOOKING), World(4, {}, rule=None)
    for each in (world, plain):
        assert each.offer("m00").status == "testing"
        each.vote(each.state.candidate(0), verdict(60))
        each.chain()
    assert world.state.block(1).to_value() == plain.state.block(1).to_value()


# --- showing ---------------------------------------------------------------------------------------------------------


def test_a_part_is_shown_before_anybody_tests_and_the_block_has_it():
    world = world_with_parts()
    candidate = world.offer("m00")
    assert candidate.status == "showing"
    assert candidate.asked is not None
    keeper, number = candidate.asked.keeper, candidate.asked.number
    assert keeper != "m00"
    assert "show" in world.duties(keeper)
    assert not any("test" in world.duties(member) for member in world.members)
    candidate = world.show(candidate)
    assert (candidate.status, candidate.asked) == ("testing", None)
    world.vote(candidate, verdict(60, on_hidden=on_part(1)))
    world.chain()
    block = world.state.block(1)
    assert block.hidden is not None
    assert block.hidden.part is not None
    assert (block.hidden.part.keeper, block.hidden.part.number, block.hidden.part.n) == (keeper, number, PART_N)
    assert block.hidden.part.records == part(keeper, number)[0]
    assert block.hidden.performance == on_part(1)
    assert (block.hidden.missing, block.hidden.drift) == ((), None)
    assert {vote.on_hidden for vote in block.votes} == {on_part(1)}


@pytest.mark.parametrize(
    "change",
    [
        {"n": PART_N - 1},
        {"records": digest("other records")},
        {"salt": b"other"},
        {"number": 1},
        {"first": 1},
    ],
)
def test_what_is_shown_must_be_what_was_committed_to(change):
    world = world_with_parts()
    candidate = world.offer("m00")
    assert candidate.asked is not None
    keeper = candidate.asked.keeper
    assert world.refused(keeper, replace(world.showing(candidate), **change)) == Refusal.COMMITMENT_MISMATCH


def test_a_part_of_too_many_records_is_refused():
    most = HIDDEN_PART_RECORDS_MAX
    large = calls.Show(digest("any"), 0, 0, digest("part file"), digest("records"), most + 1, b"salt")
    for said, expected in ((large, Refusal.BAD_PARTS), (replace(large, n=most), None)):
        world = World(4, rule=LOOKING)
        promise = part_commitment(world.charter.digest, MemberId("m01"), 0, said.records, said.n, said.salt)
        world.say("m01", calls.Hide(0, (promise,)))
        told = replace(said, candidate=world.offer("m00").id)
        if expected:
            assert world.refused("m01", told) == expected
        else:
            world.say("m01", told)
            assert world.state.candidate(0).status == "testing"


def test_a_part_of_no_records_is_refused():
    world = World(4, rule=LOOKING)
    empty = calls.Show(digest("any"), 0, 0, digest("part file"), digest("none"), 0, b"salt")
    promise = part_commitment(world.charter.digest, MemberId("m01"), 0, empty.records, 0, empty.salt)
    world.say("m01", calls.Hide(0, (promise,)))
    candidate = world.offer("m00")
    assert world.refused("m01", replace(empty, candidate=candidate.id)) == Refusal.COMMITMENT_MISMATCH


def test_only_the_keeper_that_is_asked_shows_and_only_then():
    world = world_with_parts()
    proposed = world.propose("m00")
    early = calls.Show(proposed.id, 0, 0, digest("part file"), digest("records"), 1, b"")
    assert world.refused("m01", early) == Refusal.WRONG_PHASE
    candidate = world.release(proposed)
    assert candidate.asked is not None
    keeper, said = candidate.asked.keeper, world.showing(candidate)
    for other in world.members:
        if other != keeper:
            assert world.refused(other, said) == Refusal.NOT_KEEPER
    assert world.refused(keeper, replace(said, candidate=digest("none"))) == Refusal.UNKNOWN_CANDIDATE
    world.show(candidate)
    assert world.refused(keeper, said) == Refusal.WRONG_PHASE


def test_no_part_is_asked_for_twice_and_none_that_is_younger_than_the_candidate():
    world = world_with_parts(count=2)
    asked = []
    for _ in range(8):
        candidate = world.offer(whose_turn(world))
        if candidate.asked is not None:
            asked.append((candidate.asked.keeper, candidate.asked.number))
            candidate = world.show(candidate)
        world.vote(candidate, verdict(60))
        world.chain()
    assert len(set(asked)) == len(asked) > 4
    world = World(4, rule=LOOKING)
    proposed = world.propose("m00")
    world.hide("m01")
    assert world.release(proposed).status == "testing"


def test_the_candidate_has_no_say_in_who_is_asked():
    asked = set()
    for parameters in range(20):
        world = world_with_parts(7)
        candidate = world.release(world.propose("m00", parameters=digest("model", parameters)))
        assert candidate.asked is not None
        asked.add(candidate.asked.keeper)
    assert len(asked) == 1


def test_every_member_is_asked_about_equally_often():
    members = [MemberId(f"m{number}") for number in range(5)]
    first = [keepers(digest("seed", height), height, members)[0] for height in range(2000)]
    assert all(330 < first.count(member) < 470 for member in members)


def strictly(on_hidden: Paired | None) -> Verdict:
    return Verdict("tested", Evidence(measured(60), None, (), Step(), on_hidden))


def strict_world(n: int = 4) -> World:
    return World(n, {"acceptance": AcceptanceTerms("strict", 980_000, {})}, quick=True)


def first_keeper(world: World) -> MemberId:
    return keepers(world.state.seed, 1, world.members)[0]


def pass_on(world: World, member: MemberId) -> None:
    """Nobody but this member is passed over."""
    while world.state.turn.member == member:
        world.say(member, calls.Pass(world.state.block(world.state.tip).hash, world.state.turn.number))


@pytest.mark.parametrize("n", [4, 7])
@pytest.mark.parametrize("others", [0, 1, 4])
def test_a_keeper_of_chosen_records_turns_down_one_candidate_of_a_round(n: int, others: int):
    world = strict_world(n)
    hostile = first_keeper(world)
    for member in world.members:
        if count := 4 if member == hostile else others:
            world.hide(member, count)
    turned_down = 0
    while world.state.tip == 0:
        assert world.state.candidates < 4
        pass_on(world, hostile)
        candidate = world.offer(whose_turn(world))
        chosen = candidate.asked is not None and candidate.asked.keeper == hostile
        if candidate.asked is not None:
            candidate = world.show(candidate)
        shows = candidate.hidden_n is not None
        world.vote(candidate, strictly(measured(20, 40, PART_N) if chosen else on_part() if shows else None))
        turned_down += chosen
        if world.state.pending is not None:
            world.chain()
    assert turned_down == 1


def test_at_one_height_nobody_is_asked_again_before_all_others_were():
    world = world_with_parts(5, 8)
    asked = []
    for _ in range(15):
        candidate = world.show(world.offer(whose_turn(world)))
        assert candidate.hidden is not None and candidate.hidden.part is not None
        asked.append(candidate.hidden.part.keeper)
        world.vote(candidate, verdict(10))
    assert world.state.tip == 0
    assert max(Counter(asked).values()) <= 4
    for first in range(12):
        assert len(set(asked[first : first + 3])) > faulty_max(5), "not only those that may plot"


def test_keepers_that_may_all_plot_are_asked_once_at_a_height():
    world = strict_world(7)
    hostile = keepers(world.state.seed, 1, world.members)[:2]
    for member in hostile:
        world.hide(member, 8)
    asked = []
    while world.state.tip == 0:
        assert world.state.candidates < 4
        candidate = world.offer(whose_turn(world))
        if candidate.asked is None:
            world.vote(candidate, strictly(None))
            world.chain()
        else:
            asked.append(candidate.asked.keeper)
            assert world.vote(world.show(candidate), strictly(measured(20, 40, PART_N))).status == "rejected"
    assert sorted(asked) == sorted(hostile)
    candidate = world.offer(whose_turn(world))
    assert candidate.asked is not None, "at another height they are asked again"


def test_keepers_that_show_nothing_cost_their_deadline_and_are_named():
    world = world_with_parts(7)
    candidate = world.offer("m00")
    missing = []
    for _ in range(faulty_max(7) + 1):
        assert candidate.asked is not None
        missing.append(candidate.asked.keeper)
        begun = world.now
        world.timeout()
        assert world.now - begun <= world.charter.schedule.seal_ms
        candidate = world.state.candidate(0)
    assert candidate.status == "testing"
    assert len(set(missing)) == faulty_max(7) + 1
    world.vote(candidate, verdict(60))
    world.chain()
    assert world.state.block(1).hidden == Hidden(missing=tuple(missing))
    for keeper in missing:  # what they were asked for is spent
        kept = world.state.kept(keeper)
        assert kept is not None
        assert kept.spent == 1


def test_after_one_that_shows_nothing_the_next_one_shows():
    world = world_with_parts()
    first = world.offer("m00")
    world.timeout()
    second = world.state.candidate(0)
    assert first.asked is not None
    assert second.asked is not None
    assert second.asked.keeper != first.asked.keeper
    assert first.round != second.round
    assert world.refused(first.asked.keeper, world.showing(first)) == Refusal.NOT_KEEPER
    candidate = world.show(second)
    assert candidate.hidden is not None
    assert candidate.hidden.missing == (first.asked.keeper,)


def test_in_free_turns_two_candidates_never_get_the_same_part():
    world = world_with_parts(4, 1, schedule=schedule(turns="free"))
    offered = [world.release(world.propose(member)) for member in ("m00", "m01", "m02")]
    asked = [(each.asked.keeper, each.asked.number) for each in offered if each.asked]
    assert len(set(asked)) == len(asked) == 3


# --- what validators may say of a part -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (verdict(60, on_hidden=measured(5, 5, PART_N + 1)), "results on 41 hidden records, where 40 were shown"),
        (verdict(60, on_hidden=on_part(), drift=on_part()), "the newest model is the best one"),
        (verdict(60, on_hidden=replace(on_part(), candidate=41)), "a performance above its scale"),
    ],
)
def test_impossible_results_on_a_part_are_refused(said: Verdict, why: str):
    world = world_with_parts()
    candidate = world.show(world.offer("m00"))
    for member in candidate.committee:
        world.commit(member, candidate, said)
    with pytest.raises(Exception, match=why):
        world.reveal(candidate.committee[0], candidate, said)


def test_results_on_a_part_that_was_not_shown_are_refused():
    world = World(4, rule=LOOKING)
    candidate, said = world.offer("m00"), verdict(60, on_hidden=on_part())
    for member in candidate.committee:
        world.commit(member, candidate, said)
    reveal = calls.Reveal(candidate.id, 0, said, b"salt")
    assert world.refused(candidate.committee[0], reveal) == Refusal.BAD_VERDICT


def test_a_validator_that_could_not_read_the_part_says_nothing_of_it():
    world = world_with_parts()
    candidate = world.show(world.offer("m00"))
    said = {member: verdict(60, on_hidden=on_part()) for member in candidate.committee}
    said[candidate.committee[0]] = verdict(60)
    assert world.vote(candidate, said).status == "accepted"
    world.chain()
    hidden = world.state.block(1).hidden
    assert hidden is not None
    assert hidden.performance == on_part()


# --- going back ------------------------------------------------------------------------------------------------------


def drifted(world: World, *, then: int = 59) -> None:
    """Block 1 is the best; block 2 is nearly as good on G."""
    accepted(world, 60)
    accepted(world, then)
    assert (world.state.tip, world.state.block(2).best, world.state.drifting) == (2, 1, True)


def shown_by(world: World) -> set[str]:
    return set(world.state.drift.shown)


def against(world: World) -> int:
    """Of how many keepers the parts find the newest model worse."""
    return sum(counts.lost > 0 for counts in world.state.drift.shown.values())


def test_a_model_that_hidden_parts_find_worse_is_taken_back():
    world = world_with_parts()
    drifted(world)
    undone = world.state.data_ids(2)
    while world.state.pending is None:
        assert world.state.candidates < 8
        assert rejected(world, drift=12).status == "rejected"
    assert against(world) == faulty_max(4) + 1  # one keeper alone may be hostile
    assert not world.state.open_candidates()
    world.chain()
    block, best = world.state.block(3), world.state.block(1)
    assert (block.kind, block.reverts, block.contributor, block.votes) == ("revert", 1, None, ())
    assert (block.parameters, block.contributions, block.strengths) == (
        best.parameters,
        best.contributions,
        best.strengths,
    )
    assert block.hidden is not None
    assert block.hidden.drift == added([on_part(12), on_part(12)])
    assert undone and not set(undone) & set().union(world.state.used_ids())
    assert shown_by(world) == set()
    assert not world.state.drifting
    step = history(world.state)[-1]
    assert (step.status, step.member, step.block) == ("reverted", "", 3)
    assert step.reason == "back to block 1, undoing block 2: 24 lost, 0 gained of 80 on hidden parts"
    accepted(world, 61)  # and it goes on
    assert world.state.tip == 4


def test_it_is_taken_back_too_when_candidates_that_are_no_better_are_accepted():
    world = world_with_parts()
    drifted(world)
    while world.state.pending is None:
        assert world.state.tip < 8
        accepted(world, 59, drift=12, worse=12)
    height = world.state.tip + 1
    world.chain()
    block = world.state.block(height)
    assert (block.kind, block.reverts) == ("revert", 1)
    undone = ", ".join(map(str, range(2, height)))
    assert history(world.state)[-1].reason.startswith(f"back to block 1, undoing blocks {undone}: ")


def test_counts_about_one_model_are_not_held_against_the_next():
    world = world_with_parts(count=8)
    drifted(world)
    for _ in range(6):  # each finds the model before worse; what takes its place is as good as the best
        accepted(world, 59, drift=12)
        assert world.state.pending is None
        (counts,) = world.state.drift.shown.values()
        assert counts == on_part(), "what its own part has said is the first that is known of a model"
    candidate = world.offer(whose_turn(world))
    while candidate.asked is not None:  # a model that nothing is known of
        world.timeout()
        candidate = world.state.candidate(candidate.number)
    assert world.vote(candidate, verdict(59)).status == "accepted"
    world.chain()
    assert shown_by(world) == set()


def test_a_new_best_model_starts_the_sums_anew():
    world = world_with_parts()
    drifted(world)
    rejected(world, drift=12)
    assert shown_by(world)
    accepted(world, 61, drift=12)
    assert world.state.block(3).best == 3
    assert world.state.pending is None
    assert shown_by(world) == set()


@pytest.mark.parametrize("drift", [0, 1])
def test_as_good_a_model_stays(drift):
    world = world_with_parts(count=8)
    drifted(world)
    for _ in range(12):
        rejected(world, drift=drift)
    assert world.state.pending is None
    assert len(shown_by(world)) > faulty_max(4) + 1


def test_one_keepers_part_alone_never_takes_a_model_back():
    world = World(4, rule=LOOKING)
    world.hide("m03", 12)
    accepted(world, 60)
    accepted(world, 59)
    while world.state.candidates < 9:
        candidate = world.offer(whose_turn(world))
        if candidate.asked is None:
            world.vote(candidate, verdict(10, 60))
        else:
            said = verdict(10, 60, on_hidden=on_part(), drift=measured(0, PART_N, PART_N))
            world.vote(world.show(candidate), said)
    assert shown_by(world) == {"m03"}
    assert world.state.drift.shown["m03"].lost == PART_N
    assert world.state.pending is None


def taken_back(shown: dict[str, Paired]) -> Paired | None:
    """What decides to take the newest model of four members back, where keepers have shown this."""
    world = world_with_parts()
    drifted(world)
    state = world.state
    state.put_drift(Drift(1, shown))
    take_back(state, world.now)
    pending = state.pending
    assert pending is None or isinstance(pending, PendingRevert)
    return pending.drift if pending else None


CHOSEN = Paired(14, 14, 14, 4, 10, 0)
"""Records on which only the best model is right."""


@pytest.mark.parametrize(
    "honest",
    [
        {"m00": Paired(1000, 1000, 900, 885, 15, 0), "m01": Paired(20, 20, 19, 19, 0, 0)},
        {"m00": Paired(1000, 1000, 900, 888, 15, 3)},
        {},
    ],
)
def test_a_loss_that_honest_keepers_tolerate_is_not_turned_into_a_revert_by_a_hostile_one(honest: dict[str, Paired]):
    assert taken_back(honest | {"m02": CHOSEN}) is None
    assert taken_back(honest | {"m02": Paired(5000, 5000, 5000, 0, 5000, 0)}) is None


def test_a_hostile_keeper_does_not_prevent_that_a_model_is_taken_back():
    worse = Paired(400, 400, 380, 300, 80, 0)
    honest = {"m00": worse, "m01": worse, "m02": worse}
    for hostile in (Paired(2000, 2000, 0, 2000, 0, 2000), Paired(40, 40, 0, 0, 0, 0)):
        assert taken_back(honest | {"m03": hostile}) == added([worse] * 3), "what decides is what asks for it"
    assert taken_back({"m00": worse, "m03": CHOSEN}) == added([worse, CHOSEN])


def test_a_validator_within_the_tolerance_does_not_make_a_drift_of_chance(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tests.protocols.world.PART_N", 1000)
    world = world_with_parts()
    as_good = Paired(1000, 1000, 900, 900, 0, 0)
    for right in (60, 59):
        good = verdict(right, on_hidden=as_good)
        assert world.vote(world.show(world.offer(whose_turn(world))), good).status == "accepted"
        world.chain()
    chance = Paired(1000, 1000, 900, 881, 60, 41)
    lie = Paired(1000, 1000, 901, 880, 21, 0)
    lied = 0
    for _ in range(8):
        candidate = world.show(world.offer(whose_turn(world)))
        said = dict.fromkeys(candidate.committee, verdict(10, 60, on_hidden=as_good, drift=chance))
        if "m03" in said:
            said[MemberId("m03")] = verdict(10, 60, on_hidden=as_good, drift=lie)
            lied += 1
        for member in candidate.committee:
            world.commit(member, candidate, said[member])
        for member in sorted(candidate.committee, key=lambda member: member != "m03"):
            world.reveal(member, candidate, said[member])
        hidden = world.state.candidate(candidate.number).hidden
        assert hidden is not None
        assert hidden.drift == chance
    assert lied > 2
    assert world.state.pending is None


def test_a_few_liars_cannot_say_what_a_part_says():
    world = world_with_parts()
    drifted(world)
    for _ in range(3):
        candidate = world.show(world.offer(whose_turn(world)))
        honest = verdict(10, 60, on_hidden=on_part(), drift=on_part(0))
        liar = verdict(10, 60, on_hidden=on_part(), drift=on_part(30))
        said = dict.fromkeys(candidate.committee, honest) | {candidate.committee[0]: liar}
        world.vote(candidate, said)
    assert all(counts.lost == 0 for counts in world.state.drift.shown.values())
    assert world.state.pending is None


def test_a_late_verdict_may_be_the_one_that_counts():
    world = world_with_parts(7)
    drifted(world)
    offered = None
    while world.state.pending is None:
        assert world.state.candidates < 12
        candidate = world.show(world.offer(whose_turn(world)))
        said = verdict(10, 60, on_hidden=on_part(), drift=on_part(12))
        for member in candidate.committee:
            world.commit(member, candidate, said)
        for member in candidate.committee[:3]:
            world.reveal(member, candidate, said)
        assert world.state.candidate(candidate.number).status == "rejected"
        assert world.state.candidate(candidate.number).hidden == candidate.hidden
        before = world.state.drift
        offered = world.propose(whose_turn(world))
        world.reveal(candidate.committee[3], candidate, said)
        assert world.state.drift != before
        if world.state.pending is None:
            world.vote(world.show(world.release(offered)), verdict(10, 60, on_hidden=on_part(), drift=on_part(12)))
    assert offered is not None
    assert against(world) == faulty_max(7) + 1


def test_a_revert_that_members_ask_for_starts_the_sums_anew():
    world = world_with_parts()
    drifted(world)
    rejected(world, drift=12)
    change = calls.Change("revert", 3, target=0)
    world.say("m00", calls.Request(change))
    for member in ("m01", "m02"):
        world.say(member, calls.Approve(digest("tclearn/change/1", change.to_value())))
    world.chain()
    assert shown_by(world) == set()
    assert (world.state.block(3).contributor, world.state.block(3).hidden) == ("m00", None)


def test_metrics_that_count_no_answers_take_nothing_back():
    world = world_with_parts(task=replace(World(4).charter.task, metric="auc"))
    shares = {"on_global": Paired(100, 1_000_000, 500_000, 600_000, 0, 0)}
    first = Paired(PART_N, 1_000_000, 900_000, 900_000, 0, 0)
    for performance in (600_000, 590_000):
        on_global = replace(shares["on_global"], candidate=performance)
        said = Verdict("tested", Evidence(on_global, on_hidden=first))
        world.vote(world.show(world.offer(whose_turn(world))), said)
        world.chain()
    worse = replace(first, candidate=100_000)
    for _ in range(4):
        on_global = Paired(100, 1_000_000, 600_000, 100_000, 0, 0)
        said = Verdict("tested", Evidence(on_global, on_hidden=first, drift=worse))
        assert world.vote(world.show(world.offer(whose_turn(world))), said).status == "rejected"
    assert world.state.pending is None
    assert shown_by(world) == set()


def test_a_commitment_binds_everything_that_is_said_of_a_part():
    base: list[Any] = [digest("coalition"), MemberId("m00"), 0, digest("records"), 40, b"salt"]
    other: list[Any] = [digest("other"), MemberId("m01"), 1, digest("others"), 41, b"pepper"]
    said = [base, *([*base[:at], other[at], *base[at + 1 :]] for at in range(len(base)))]
    assert len({part_commitment(*each) for each in said}) == len(base) + 1


def test_with_fewer_members_fewer_keepers_suffice_to_take_a_model_back():
    """Two of seven may both be hostile; of six, one of two is honest."""
    world = world_with_parts(7)
    drifted(world)
    world.view["drift"] = Drift(1, {"m00": on_part(12), "m01": on_part(12)}).to_value()
    leaves = calls.Change("expel", world.state.tip + 1, expelled=MemberId("m06"))
    assert world.state.pending is None
    world.say("m06", calls.Request(leaves))
    assert len(world.members) == 6
    pending = world.state.pending
    assert isinstance(pending, PendingRevert)
    assert pending.drift == added([on_part(12), on_part(12)])
    assert pending.committee == world.members
