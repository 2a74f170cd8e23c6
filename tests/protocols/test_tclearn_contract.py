"""The transitions of the TCLearn contract, and why each call can be refused."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest
from tests.protocols.world import GLOBAL_N, MINUTE, START, World, chain_secret, ids, measured, verdict

from tclearn.coalition.block import data_ids_root, strengths_ppm
from tclearn.coalition.evidence import Evidence, Paired
from tclearn.coalition.quorum import quorum
from tclearn.coalition.terms import AcceptanceTerms, GovernanceTerms, ScheduleTerms
from tclearn.coalition.verdict import Verdict
from tclearn.encoding import MemberId, digest
from tclearn.identity.seed_chain import reveal as link
from tclearn.identity.seed_chain import tip
from tclearn.ledger import Call, Context, Rejected
from tclearn.limits import SEED_CHAIN_LENGTH
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn.governing import change_id
from tclearn.protocols.tclearn.history import history
from tclearn.protocols.tclearn.refusals import Refusal

UNAVAILABLE = Verdict("unavailable")


def schedule(**changes):
    return replace(ScheduleTerms("lease", 30 * MINUTE, 30 * MINUTE, 30 * MINUTE, 1, 3, stop_blocks=100), **changes)


def pending_of(world):
    assert world.state.pending is not None
    return world.state.pending


def whose_turn(world):
    assert world.state.turn.member is not None
    return world.state.turn.member


# --- an increment's usual course -------------------------------------------------------------------------------------


def test_an_increment_becomes_a_block_with_every_field_of_the_paper():
    world = World(4)
    genesis = world.state.block(0)
    candidate = world.offer("m00")
    assert set(candidate.committee) == {"m01", "m02", "m03"}
    decided = world.vote(candidate, verdict(60, local=measured(12, 10, 20)))
    assert decided.status == "accepted"
    world.chain()
    block = world.state.block(1)
    assert (block.index, block.previous, block.contributor) == (1, genesis.hash, "m00")
    assert (block.parameters, block.locator) == (candidate.parameters, candidate.locator)
    assert block.contributions == {"m00": 10, "m01": 0, "m02": 0, "m03": 0}
    assert block.strengths == strengths_ppm(block.contributions)
    assert block.strengths["m00"] == 1_250_000 and block.strengths["m01"] == 250_000
    assert block.data_ids == data_ids_root(ids(*range(10)))
    assert [vote.vote for vote in block.votes] == ["yes"] * 3
    assert block.general in candidate.committee
    assert block.performance == measured(60)
    assert block.hyperparameters == {"epochs": 5, "learning_rate": 1_000_000}
    chained = world.state.chained(1)
    assert sum(member in chained.endorsements for member in candidate.committee) == quorum(3)
    assert world.state.turn.member == "m01"


def test_the_chain_of_hashes_holds_over_many_blocks():
    world = World(5)
    for _ in range(6):
        world.block()
    blocks = [chained.block for chained in world.state.blocks()]
    assert all(after.previous == before.hash for before, after in pairwise(blocks))
    assert [block.contributor for block in blocks[1:]] == ["m00", "m01", "m02", "m03", "m04", "m00"]
    assert sum(map(Fraction, blocks[-1].strengths.values())) == pytest.approx(2_000_000, abs=5)


# --- proposals -------------------------------------------------------------------------------------------------------


def proposal(world, **changes):
    newest = world.state.block(world.state.tip)
    base = calls.Propose(newest.hash, digest("new model"), digest("file"), 10, 1, ids(*range(500, 510)))
    return replace(base, **changes)


def test_proposals_are_refused_by_code():
    world = World(4)
    assert world.refused("m01", proposal(world)) == Refusal.NOT_YOUR_TURN
    assert world.refused("m00", proposal(world, parent=digest("other"))) == Refusal.STALE_PARENT
    assert world.refused("m00", proposal(world, samples=9)) == Refusal.BAD_SAMPLES
    assert world.refused("m00", proposal(world, samples=0, data_ids=b"")) == Refusal.BAD_SAMPLES
    assert world.refused("m00", proposal(world, set_aside=11)) == Refusal.BAD_SAMPLES
    assert world.refused("m00", proposal(world, data_ids=ids(1, 2)[:-1])) == Refusal.BAD_DATA_IDS
    backwards = b"".join(reversed([ids(1, 2)[:16], ids(1, 2)[16:]]))
    assert world.refused("m00", proposal(world, samples=2, data_ids=backwards)) == Refusal.BAD_DATA_IDS
    assert world.refused("m00", proposal(world, samples=2, data_ids=ids(1) * 2)) == Refusal.BAD_DATA_IDS
    world.say("m00", proposal(world))
    assert world.refused("m00", proposal(world, parameters=digest("second"))) == Refusal.CANDIDATE_OPEN


def test_used_records_are_refused_with_their_count_and_the_turn_passes():
    world = World(4)
    world.block()
    candidate = world.propose("m01", records=ids(*range(5, 15)))
    assert (candidate.status, candidate.count) == ("refused", 5)
    assert candidate.reason == "5 of 10 records already used"
    assert world.state.turn.member == "m02"
    assert world.state.block(1).contributions["m01"] == 0


def test_ids_count_only_with_an_accepted_block():
    world = World(4)
    rejected = world.vote(world.offer("m00"), verdict(10))
    assert rejected.status == "rejected"
    assert world.state.used_ids() == frozenset()
    world.block("m01")
    assert len(world.state.used_ids()) == 10


def test_small_batches_and_parameters_offered_before_are_refused():
    world = World(4, {"schedule": schedule(minimum_batch=11)})
    assert world.propose("m00").reason == "9 records trained on, the minimum batch is 11"
    # One of ten is put aside. What is put aside does not count: a batch of nothing else would hide nobody's records.
    assert World(4, {"schedule": schedule(minimum_batch=9)}).propose("m00").status == "proposed"
    few = World(4, {"schedule": schedule(minimum_batch=10)}).propose("m00")
    assert (few.status, few.count) == ("refused", 9)
    world = World(4)
    world.block()
    again = world.propose("m01", parameters=world.state.block(1).parameters)
    assert (again.status, again.reason) == ("refused", "these parameters were offered before")
    initial = world.propose("m02", parameters=world.charter.model.initial)
    assert initial.status == "refused"


def test_large_contributions_are_declared_in_parts():
    world = World(4)
    parts = [ids(*range(30))[:160], ids(*range(30))[160:320], ids(*range(30))[320:]]
    newest = world.state.block(0).hash
    for part in parts[:2]:
        world.say("m00", calls.Declare(newest, part))
    assert world.refused("m00", calls.Declare(newest, parts[0])) == Refusal.BAD_DATA_IDS
    world.say("m00", calls.Propose(newest, digest("m"), digest("f"), 30, 3, parts[2]))
    candidate = world.state.candidate(0)
    assert candidate.samples == 30
    world.vote(world.release(candidate), verdict(60))
    world.chain()
    assert world.state.data_ids(1) == ids(*range(30))


def test_a_candidate_whose_weights_are_never_released_expires():
    world = World(4)
    candidate = world.propose("m00")
    assert world.refused("m01", calls.Release(candidate.id)) == Refusal.NOT_PROPOSER
    assert world.refused("m00", calls.Release(digest("x"))) == Refusal.UNKNOWN_CANDIDATE
    world.timeout()
    assert world.state.candidate(0).status == "expired"
    assert world.refused("m00", calls.Release(candidate.id)) == Refusal.WRONG_PHASE
    assert world.state.turn.member == "m01"


# --- turns -----------------------------------------------------------------------------------------------------------


def test_turns_pass_on_by_word_and_by_deadline_until_everybody_passed():
    world = World(3)
    newest = world.state.block(0).hash
    assert world.refused("m01", calls.Pass(newest, 0)) == Refusal.NOT_YOUR_TURN
    world.say("m00", calls.Pass(newest, 0))
    assert world.state.turn.member == "m01"
    assert world.refused("m01", calls.Pass(newest, 0)) == Refusal.NOT_YOUR_TURN
    early = [duty for duty in world.contract.duties(world.state, MemberId("m01"), world.now) if duty.kind == "propose"]
    assert early[0].due_ms == world.now + 30 * MINUTE
    world.timeout()
    assert world.state.turn.member == "m02"
    world.say("m02", calls.Pass(newest, 2))
    assert world.state.turn.member is None  # all have passed: from now on anybody may
    world.block("m01")
    assert world.state.turn.member == "m02"


def test_in_free_turns_the_first_accepted_wins_and_the_others_are_stale():
    world = World(4, {"schedule": schedule(turns="free")})
    first, second = world.offer("m00"), world.offer("m01")
    assert world.refused("m00", proposal(world)) == Refusal.CANDIDATE_OPEN
    world.vote(second, verdict(60))
    assert world.state.candidate(second.number).status == "accepted"
    assert world.state.candidate(first.number).status == "stale"
    assert world.refused("m02", proposal(world)) == Refusal.HEIGHT_LOCKED
    said = calls.Commit(first.id, 0, digest("c"))
    assert world.refused("m02", said) == Refusal.WRONG_PHASE
    world.chain()
    assert world.state.block(1).contributor == "m01"
    assert "propose" in world.duties("m00")


def test_a_member_may_offer_three_candidates_for_one_block():
    world = World(4, {"schedule": schedule(turns="free")})
    for _ in range(3):
        world.vote(world.offer("m00"), verdict(10))
    assert world.refused("m00", proposal(world)) == Refusal.TOO_MANY_TRIES
    assert "propose" not in world.duties("m00")
    world.block("m01")
    assert "propose" in world.duties("m00")


def test_training_ends_at_the_stop_condition():
    for stop in (
        {"stop_blocks": 1},
        {"stop_blocks": None, "stop_performance_ppm": 600_000},
        {"stop_blocks": None, "stop_until_ms": START + 1},
    ):
        world = World(4, {"schedule": schedule(**stop)})
        world.block()
        world.now += 1
        assert world.refused("m01", proposal(world)) == Refusal.COMPLETE
        assert all("propose" not in world.duties(member) for member in world.members)


# --- commit and reveal -----------------------------------------------------------------------------------------------


def test_reverts_do_not_count_toward_the_blocks_that_training_ends_with():
    world = World(4, {"schedule": schedule(stop_blocks=2)})
    world.block()
    world.block()
    assert all("propose" not in world.duties(member) for member in world.members)
    world = World(4, {"schedule": schedule(stop_blocks=2)})
    world.block()
    agree(world, calls.Change("revert", 2, target=0), world.members[:3])
    world.chain()
    assert (world.state.tip, world.state.increments) == (2, 1)
    world.block()  # the increment that was undone counts, the revert does not
    assert (world.state.tip, world.state.increments) == (3, 2)
    assert world.refused("m00", proposal(world)) == Refusal.COMPLETE


def test_commitments_are_refused_by_code():
    world = World(4)
    candidate = world.propose("m00")
    assert world.refused("m01", calls.Commit(digest("x"), 0, digest("c"))) == Refusal.UNKNOWN_CANDIDATE
    assert world.refused("m01", calls.Commit(candidate.id, 0, digest("c"))) == Refusal.NOT_DRAWN
    candidate = world.release(candidate)
    assert world.refused("m00", calls.Commit(candidate.id, 0, digest("c"))) == Refusal.NOT_DRAWN
    assert world.refused("m01", calls.Commit(candidate.id, 1, digest("c"))) == Refusal.WRONG_ATTEMPT
    world.commit("m01", candidate, verdict(60))
    assert world.refused("m01", calls.Commit(candidate.id, 0, digest("c"))) == Refusal.ALREADY_DONE


def test_reveals_wait_for_all_commitments_or_the_deadline():
    world = World(4)
    candidate = world.offer("m00")
    said = calls.Reveal(candidate.id, 0, verdict(60), b"salt")
    world.commit("m01", candidate, verdict(60))
    assert world.refused("m01", said) == Refusal.WRONG_PHASE
    world.timeout()
    assert world.state.candidate(0).status == "revealing"
    assert world.refused("m02", said) == Refusal.NO_COMMITMENT
    assert world.refused("m02", calls.Commit(candidate.id, 0, digest("late"))) == Refusal.WRONG_PHASE
    world.say("m01", said)


def test_a_reveal_must_be_what_was_committed_to_and_possible():
    world = World(4)
    candidate = world.offer("m00")
    wrong_n = Verdict("tested", Evidence(measured(60, 50, 99)))
    for member, said in zip(("m01", "m02", "m03"), (verdict(60), wrong_n, verdict(60)), strict=True):
        world.commit(member, candidate, said)
    assert world.refused("m01", calls.Reveal(candidate.id, 0, verdict(61), b"salt")) == Refusal.COMMITMENT_MISMATCH
    assert world.refused("m01", calls.Reveal(candidate.id, 0, verdict(60), b"pepper")) == Refusal.COMMITMENT_MISMATCH
    assert world.refused("m02", calls.Reveal(candidate.id, 0, wrong_n, b"salt")) == Refusal.BAD_VERDICT
    # m03 cannot use m01's verdict for its own: the commitment binds the sender
    world.reveal("m01", candidate, verdict(60))
    assert world.refused("m01", calls.Reveal(candidate.id, 0, verdict(60), b"salt")) == Refusal.ALREADY_DONE
    world.reveal("m03", candidate, verdict(60))


def test_a_copied_commitment_cannot_be_revealed():
    world = World(4)
    candidate = world.offer("m00")
    world.commit("m01", candidate, verdict(60))
    world.say("m02", calls.Commit(candidate.id, 0, world.state.candidate(0).commits["m01"]))
    world.commit("m03", candidate, verdict(60))
    world.reveal("m01", candidate, verdict(60))
    shown = calls.Reveal(candidate.id, 0, verdict(60), b"salt")
    assert world.refused("m02", shown) == Refusal.COMMITMENT_MISMATCH


@pytest.mark.parametrize("n", [2, 3, 4, 7, 10, 16])
def test_the_decision_falls_as_soon_as_it_can_and_never_earlier(n):
    needed = quorum(n - 1)
    for right, enough in ((60, needed), (10, n - 1 - needed + 1)):
        world = World(n)
        candidate = world.offer("m00")
        for member in candidate.committee:
            world.commit(member, candidate, verdict(right))
        for count, member in enumerate(candidate.committee, start=1):
            world.reveal(member, candidate, verdict(right))
            status = world.state.candidate(0).status
            assert status == ("revealing" if count < enough else "accepted" if right == 60 else "rejected")
        assert len(world.state.candidate(0).reveals) == n - 1  # later verdicts are kept for the record


def test_one_no_in_four_rejects_and_the_reason_is_named():
    world = World(4)
    candidate = world.offer("m00")
    said = dict.fromkeys(candidate.committee, verdict(60))
    said[candidate.committee[0]] = verdict(60, local=measured(1, 20, 20))
    decided = world.vote(candidate, said)
    assert decided.status == "accepted"  # 2 of 3 suffice
    world = World(4)
    candidate = world.offer("m00")
    said = dict.fromkeys(candidate.committee, verdict(10))
    decided = world.vote(candidate, said)
    assert decided.status == "rejected"
    assert decided.reason == "0.1000 < 0.98 × 0.5000 (paper, block 0)"
    assert history(world.state)[0].yes == 0


def test_unavailable_counts_as_no():
    world = World(4)
    assert world.vote(world.offer("m00"), UNAVAILABLE).status == "rejected"
    assert world.state.candidate(0).reason == "not available to enough validators"


def test_the_global_result_is_the_quorums_and_who_differs_is_named():
    world = World(7)
    candidate = world.offer("m00")
    liar = candidate.committee[0]
    said = {**dict.fromkeys(candidate.committee, verdict(60)), liar: verdict(5)}
    decided = world.vote(candidate, said)
    assert decided.status == "accepted" and decided.performance == measured(60)
    world.chain()
    deviating = [vote.member for vote in world.state.block(1).votes if vote.deviating]
    assert deviating == [liar]


def test_without_agreement_on_the_global_result_nothing_is_accepted():
    world = World(4)
    candidate = world.offer("m00")
    said = {member: verdict(60 + 10 * place) for place, member in enumerate(candidate.committee)}
    decided = world.vote(candidate, said)
    assert decided.status == "undecided"


def test_a_missing_validator_leaves_the_candidate_undecided_without_blame():
    world = World(4)
    candidate = world.offer("m00")
    votes = dict(zip(candidate.committee[:2], (verdict(60), verdict(10)), strict=True))
    for member, said in votes.items():
        world.commit(member, candidate, said)
    assert world.state.candidate(0).status == "testing"
    world.timeout()
    for member, said in votes.items():
        world.reveal(member, candidate, said)
    ended = world.state.candidate(0)
    assert ended.status == "undecided"
    assert candidate.committee[2] in ended.reason
    assert world.state.turn.member == "m01"


def test_large_coalitions_draw_again_and_expire_after_the_charters_attempts():
    world = World(20, {"schedule": schedule(attempts=2)})
    candidate = world.offer("m00")
    assert len(candidate.committee) == 11
    world.timeout()  # nobody commits
    again = world.state.candidate(0)
    assert (again.attempt, again.status) == (1, "testing")
    assert again.committee != candidate.committee
    first = candidate.committee[0]
    assert world.refused(first, calls.Commit(candidate.id, 0, digest("c"))) == Refusal.WRONG_ATTEMPT
    world.timeout()
    assert world.state.candidate(0).status == "expired"


def test_publishing_only_the_vote_on_l():
    world = World(4, {"local_results": "vote"})
    candidate = world.offer("m00")
    no = replace(verdict(60), vote=0)
    yes = replace(verdict(60), vote=1)
    said = dict(zip(candidate.committee, (yes, yes, no), strict=True))
    decided = world.vote(candidate, said)
    assert decided.status == "accepted"
    world.chain()
    assert sorted(vote.vote for vote in world.state.block(1).votes) == ["no", "yes", "yes"]
    assert all(vote.on_local is None for vote in world.state.block(1).votes)


def test_anchored_measures_against_the_best_block_and_paper_against_the_last():
    for rule, reference in (("paper", 2), ("anchored", 1)):
        world = World(4, {"acceptance": AcceptanceTerms(rule, 900_000, {})})
        world.block(right=80)
        world.block(right=75, before=80)
        assert world.state.block(2).best == 1
        assert world.propose("m02").reference == reference


# --- timeouts --------------------------------------------------------------------------------------------------------


def test_timeouts_are_harmless_when_early_or_unknown():
    world = World(4)
    candidate = world.propose("m00")
    assert world.refused("m03", calls.Timeout(candidate.round)) == Refusal.TOO_EARLY
    assert world.refused("m03", calls.Timeout(digest("x"))) == Refusal.NO_DEADLINE
    world.now = candidate.due_ms
    assert all("timeout" in world.duties(member) for member in world.members)
    world.say("m03", calls.Timeout(candidate.round))
    assert world.refused("m02", calls.Timeout(candidate.round)) == Refusal.NO_DEADLINE


# --- sealing and endorsing -------------------------------------------------------------------------------------------


def decided_world(n=4, **changes):
    world = World(n, changes)
    world.vote(world.offer("m00"), verdict(60))
    assert world.state.pending is not None
    return world


def test_sealing_is_the_generals_alone_with_the_next_link_of_its_chain():
    world = decided_world()
    general = world.state.pending.general
    other = next(member for member in world.members if member != general)
    assert world.refused(other, calls.Seal(1, link(chain_secret(other), 1))) == Refusal.NOT_GENERAL
    assert world.refused(general, calls.Seal(2, link(chain_secret(general), 1))) == Refusal.NOTHING_PENDING
    assert world.refused(general, calls.Seal(1, link(chain_secret(general), 2))) == Refusal.BAD_SEED_REVEAL
    assert world.refused(general, calls.Seal(1, digest("anything"))) == Refusal.BAD_SEED_REVEAL
    world.seal()
    assert world.refused(general, calls.Seal(1, link(chain_secret(general), 2))) == Refusal.ALREADY_DONE


def test_two_thirds_of_the_committee_endorse_and_the_proposer_does_not_count():
    world = decided_world()
    world.seal()
    block = world.state.pending.block
    size = world.state.pending.sealed.entry + 1
    wrong = calls.Endorse(digest("other"), world.cosignature("m01", size))
    assert world.refused("m01", wrong) == Refusal.UNKNOWN_BLOCK
    assert world.refused("m01", calls.Endorse(block.hash, world.cosignature("m01", size + 1))) == Refusal.WRONG_HEAD
    world.endorse("m00")
    world.endorse("m01")
    assert world.refused("m01", calls.Endorse(block.hash, world.cosignature("m01", size))) == Refusal.ALREADY_DONE
    assert world.state.tip == 0
    world.endorse("m02")
    assert world.state.tip == 1 and world.state.block(1) == block
    world.endorse("m03")  # late, for the head
    assert set(world.state.chained(1).endorsements) == set(world.members)


def test_a_general_that_withholds_is_switched_and_the_seed_is_not_its_choice():
    world = decided_world(7)
    generals = world.state.pending.generals
    assert set(generals) == set(world.members) - {"m00"}
    world.timeout()
    assert world.state.pending.general == generals[1]
    assert world.refused(generals[0], calls.Seal(1, link(chain_secret(generals[0]), 1))) == Refusal.NOT_GENERAL
    world.chain()
    assert world.state.block(1).general == generals[1]


def test_a_sealed_block_that_is_not_endorsed_goes_to_the_next_general():
    world = decided_world(4)
    world.seal()
    sealed = world.state.pending.block
    world.timeout()
    assert world.state.pending.block is None
    world.chain()
    assert world.state.block(1).general != sealed.general
    assert world.state.block(1).parameters == sealed.parameters


def test_after_f_plus_1_failures_anybody_finalizes():
    world = decided_world(7)
    assert world.refused("m05", calls.Finalize(1)) == Refusal.GENERALS_LEFT
    for _ in range(3):  # f = 2
        world.timeout()
    assert all("finalize" in world.duties(member) for member in world.members)
    world.say("m05", calls.Finalize(1))
    block = world.state.block(1)
    assert block.general is None and block.contributor == "m00"
    assert world.refused("m05", calls.Finalize(1)) == Refusal.NOTHING_PENDING
    world.endorse("m01")
    world.block()
    assert world.state.tip == 2


def test_the_next_seed_depends_on_the_link_or_on_its_being_withheld():
    shown, withheld = decided_world(4), decided_world(4)
    before = shown.state.seed
    shown.chain()
    withheld.timeout()
    withheld.chain()
    assert len({before, shown.state.seed, withheld.state.seed}) == 3


def test_a_seed_chain_that_is_used_up_is_renewed():
    world = decided_world()
    general = world.state.pending.general
    chain = replace(
        world.state.seed_chain(general), used=SEED_CHAIN_LENGTH, last=link(chain_secret(general), SEED_CHAIN_LENGTH)
    )
    world.view[f"chain/{general}"] = chain.to_value()
    assert "renew" in world.duties(general)
    assert world.refused(general, calls.Seal(1, link(chain_secret(general, 1), 1))) == Refusal.BAD_SEED_REVEAL
    world.say(general, calls.Renew(tip(chain_secret(general, 1))))
    assert world.refused(general, calls.Renew(digest("again"))) == Refusal.ALREADY_DONE
    other = next(member for member in world.members if member != general)
    assert world.refused(other, calls.Renew(digest("early"))) == Refusal.TOO_EARLY
    assert "renew" not in world.duties(general)
    # A chain committed to when the seed may be known could be chosen for its first link: it may not be used yet.
    assert world.refused(general, calls.Seal(1, link(chain_secret(general, 1), 1))) == Refusal.BAD_SEED_REVEAL
    renewed = world.state.seed_chain(general)
    assert renewed.from_height == 2
    world.view[f"chain/{general}"] = replace(renewed, from_height=1).to_value()
    world.seal()
    assert world.state.seed_chain(general).epoch == 1


def test_the_general_waits_a_little_for_all_verdicts_but_not_for_ever():
    world = World(4)
    candidate = world.offer("m00")
    for member in candidate.committee:
        world.commit(member, candidate, verdict(60))
    for member in candidate.committee[:2]:
        world.reveal(member, candidate, verdict(60))
    general = pending_of(world).general
    assert "seal" not in world.duties(general)
    world.now += 3 * MINUTE
    assert "seal" in world.duties(general)
    world.seal()
    late = calls.Reveal(candidate.id, 0, verdict(60), b"salt")
    assert world.refused(candidate.committee[2], late) == Refusal.WRONG_PHASE
    world.endorse("m01")
    world.endorse("m02")
    assert [vote.vote for vote in world.state.block(1).votes].count("missing") == 1


# --- reverts and hyper-parameters ------------------------------------------------------------------------------------


def agree(world, change, members):
    world.say(members[0], calls.Request(change))
    for member in members[1:]:
        world.say(member, calls.Approve(change_id(change)))


def test_a_revert_restores_model_strengths_and_ids_by_two_thirds():
    world = World(4)
    for right in (60, 70, 65):
        world.block(right=right)
    target = world.state.block(1)
    used_then = frozenset(world.state.data_ids(1)[at : at + 16] for at in range(0, 160, 16))
    change = calls.Change("revert", 4, target=1)
    agree(world, change, ["m00", "m01"])
    assert world.state.pending is None
    agree_last = calls.Approve(change_id(change))
    world.say("m02", agree_last)
    assert world.refused("m03", agree_last) == Refusal.ALREADY_DONE
    assert world.refused("m03", proposal(world)) == Refusal.HEIGHT_LOCKED
    world.chain()
    block = world.state.block(4)
    assert (block.kind, block.reverts, block.parameters) == ("revert", 1, target.parameters)
    assert block.contributions == target.contributions and block.strengths == target.strengths
    assert block.best == 1
    assert world.state.used_ids() == used_then
    step = history(world.state)[-1]
    assert (step.status, step.reason, step.yes) == ("reverted", "back to block 1", 3)
    # the records of blocks 2 and 3 may be used again, those of block 1 may not
    assert world.propose(whose_turn(world), records=ids(*range(10, 20))).status == "proposed"
    world.timeout()
    assert world.propose(whose_turn(world), records=ids(*range(10))).count == 10


def test_a_revert_of_a_revert_restores_what_was_undone():
    world = World(4)
    world.block()
    world.block()
    agree(world, calls.Change("revert", 3, target=1), ["m00", "m01", "m02"])
    world.chain()
    agree(world, calls.Change("revert", 4, target=2), ["m00", "m01", "m02"])
    world.chain()
    assert len(world.state.used_ids()) == 20
    assert world.state.block(4).contributions == world.state.block(2).contributions
    agree(world, calls.Change("revert", 5, target=0), ["m00", "m01", "m02"])
    world.chain()
    assert world.state.used_ids() == frozenset()
    assert world.state.block(5).locator is None
    assert set(world.state.block(5).strengths.values()) == {250_000}


def test_a_revert_waits_for_the_pending_block_and_makes_open_candidates_stale():
    world = World(4)
    world.block()
    world.vote(world.offer("m01"), verdict(60))
    agree(world, calls.Change("revert", 2, target=0), ["m00", "m01", "m02"])
    world.chain()
    assert world.state.tip == 2 and world.state.pending is not None
    world.chain()
    assert world.state.block(3).kind == "revert"
    candidate = world.offer(whose_turn(world))
    agree(world, calls.Change("revert", 4, target=1), ["m00", "m01", "m02"])
    assert world.state.candidate(candidate.number).status == "stale"


def test_changes_are_refused_by_code():
    world = World(4, {"governance": GovernanceTerms(("epochs",), (MemberId("m00"),))})
    world.block()

    def asked(member, **change):
        return world.refused(member, calls.Request(calls.Change(**{"nonce": 2, **change})))

    assert asked("m01", kind="revert", target=0) == Refusal.NOT_ALLOWED
    assert asked("m00", kind="revert", target=1) == Refusal.BAD_CHANGE
    assert asked("m00", kind="revert") == Refusal.BAD_CHANGE
    assert asked("m00", kind="revert", target=0, values={"epochs": 1}) == Refusal.BAD_CHANGE
    assert asked("m00", kind="revert", target=0, nonce=1) == Refusal.BAD_CHANGE
    assert asked("m00", kind="dissolve") == Refusal.BAD_CHANGE
    assert asked("m01", kind="hyperparameters", values={"batch_size": 5}) == Refusal.NOT_ALLOWED
    assert asked("m01", kind="hyperparameters", values={"epochs": 0}) == Refusal.BAD_CHANGE
    assert asked("m01", kind="hyperparameters", values={}) == Refusal.BAD_CHANGE
    assert world.refused("m01", calls.Approve(digest("x"))) == Refusal.UNKNOWN_CHANGE
    change = calls.Change("revert", 2, target=0)
    world.say("m00", calls.Request(change))
    assert world.refused("m00", calls.Request(change)) == Refusal.ALREADY_DONE


def test_hyperparameters_change_by_two_thirds_and_stand_in_later_blocks():
    world = World(4)
    world.block()
    agree(world, calls.Change("hyperparameters", 2, values={"epochs": 9}), ["m00", "m01", "m02"])
    world.block()
    assert world.state.block(1).hyperparameters["epochs"] == 5
    assert world.state.block(2).hyperparameters["epochs"] == 9


def test_the_learning_rate_follows_accepted_performance():
    world = World(4)
    rates = []
    for right in (60, 70, 70, 70, 71, 71, 71):
        world.block(right=right, before=60)
        rates.append(world.state.hyperparameters["learning_rate"])
    assert rates == [1_000_000, 1_000_000, 1_000_000, 500_000, 500_000, 500_000, 250_000]
    assert world.state.block(5).hyperparameters["learning_rate"] == 500_000


def test_a_change_of_the_learning_rate_restarts_its_rule():
    world = World(4)
    world.block(right=70)
    world.block(right=70)
    agree(world, calls.Change("hyperparameters", 3, values={"learning_rate": 800_000}), ["m00", "m01", "m02"])
    world.block(right=70)
    assert world.state.hyperparameters["learning_rate"] == 800_000
    world.block(right=70)
    assert world.state.hyperparameters["learning_rate"] == 400_000


def test_strangers_to_the_method_table_are_refused():
    world = World(4)
    with pytest.raises(Rejected) as caught:
        world.contract.apply(world.view, Call("tclearn/1", "steal", {}), Context(0, world.now, MemberId("m00")))
    assert caught.value.code == Refusal.UNKNOWN_METHOD


def test_declared_ids_are_forgotten_with_the_turn():
    world = World(4)
    newest = world.state.block(0).hash
    world.say("m00", calls.Declare(newest, ids(*range(600, 620))))
    world.say("m00", calls.Pass(newest, 0))
    for member in ("m01", "m02", "m03"):
        world.say(member, calls.Pass(newest, world.state.turn.number))
    assert world.propose("m00").samples == 10


def test_blameless_endings_cost_no_try_and_the_same_parameters_may_come_again():
    world = World(4, {"schedule": schedule(turns="free")})
    same = digest("deterministic")
    for _ in range(5):
        candidate = world.release(world.propose("m00", records=ids(*range(10)), parameters=same))
        assert candidate.status == "testing"
        world.timeout()  # nobody commits
        assert world.state.candidate(candidate.number).status == "undecided"
        assert world.state.tries(MemberId("m00")) == 0
    for count in range(1, 4):
        world.propose("m03")
        world.timeout()  # never released: that is the proposer's own failure
        assert world.state.tries(MemberId("m03")) == count
    assert "propose" not in world.duties("m03")


def test_a_lying_validator_moves_nobody_elses_vote_nor_the_agreed_result():
    honest = Paired(GLOBAL_N, GLOBAL_N, 90, 88, 4, 2)
    lie = Paired(GLOBAL_N, GLOBAL_N, 89, 89, 0, 0)  # within the tolerance, and first in any order of encodings
    for n in (4, 7):
        world = World(n, {"acceptance": AcceptanceTerms("paper", 1_000_000, {})})
        candidate = world.offer("m00")
        said = dict.fromkeys(candidate.committee, Verdict("tested", Evidence(honest)))
        said[candidate.committee[0]] = Verdict("tested", Evidence(lie))
        assert world.vote(candidate, said).status == "rejected"


def test_a_general_cannot_shut_out_verdicts_that_it_dislikes():
    world = World(7)
    candidate = world.offer("m00")
    for place, member in enumerate(candidate.committee):
        world.commit(member, candidate, verdict(60 if place < 4 else 10))
    for member in candidate.committee[:4]:
        world.reveal(member, candidate, verdict(60))
    pending = pending_of(world)
    early = calls.Seal(1, link(chain_secret(pending.general), 1))
    assert world.refused(pending.general, early) == Refusal.TOO_EARLY
    for member in candidate.committee[4:]:
        world.reveal(member, candidate, verdict(10))
    world.chain()
    assert sorted(vote.vote for vote in world.state.block(1).votes) == ["no", "no", "yes", "yes", "yes", "yes"]


def test_declared_parts_are_never_empty_never_rewritten_and_leave_nothing_behind():
    world = World(4)
    newest = world.state.block(0).hash
    assert world.refused("m00", calls.Declare(newest, b"")) == Refusal.BAD_SAMPLES
    whole = ids(*range(40))
    world.say("m00", calls.Declare(newest, whole[:160]))
    before = len(world.view["declared/m00/000"])  # type: ignore[arg-type]
    world.say("m00", calls.Declare(newest, whole[160:320]))
    assert len(world.view["declared/m00/000"]) == before  # type: ignore[arg-type]
    world.say("m00", calls.Propose(newest, digest("m"), digest("f"), 40, 3, whole[320:]))
    assert world.state.candidate_ids(0) == whole
    assert not [key for key in world.view if key.startswith("declared/")]


def test_with_free_turns_one_members_refusals_do_not_wipe_anothers_declarations():
    world = World(4, {"schedule": schedule(turns="free")})
    world.say("m01", calls.Declare(world.state.block(0).hash, ids(*range(700, 720))))
    world.vote(world.offer("m03"), verdict(10))
    declared = world.state.declared(MemberId("m01"))
    assert declared is not None and declared.count == 20


def test_one_open_request_a_member_and_old_ones_lapse():
    world = World(4)
    change = calls.Change("hyperparameters", 1, values={"epochs": 6})
    world.say("m00", calls.Request(change))
    other = calls.Request(calls.Change("hyperparameters", 1, values={"epochs": 7}))
    assert world.refused("m00", other) == Refusal.ALREADY_DONE
    for _ in range(10):
        world.block()
    assert world.refused("m01", calls.Approve(change_id(change))) == Refusal.UNKNOWN_CHANGE
    world.say("m00", calls.Request(calls.Change("hyperparameters", 11, values={"epochs": 7})))
    assert len(world.state.changes()) == 1
