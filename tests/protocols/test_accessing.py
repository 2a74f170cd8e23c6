"""Readings of the vault: who is granted what, how often, and what waits for it (level B)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.protocols.vaults import VaultCrowd, Vaulted, confidential
from tests.protocols.world import LOOKING, World, verdict

from tclearn.coalition.evidence import STEP
from tclearn.encoding import MemberId, digest
from tclearn.ledger import Call, Context, Rejected
from tclearn.ledger.cosigning import quorum
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn.accessing import delivered_subject, handed_out, may_come, needed, witness_subject
from tclearn.protocols.tclearn.objects import to_test, to_train
from tclearn.protocols.tclearn.refusals import Refusal


def world(n: int = 4, **changes: object) -> Vaulted:
    return Vaulted(n, confidential(**changes))


def another_member(w: Vaulted) -> str:
    return next(member for member in w.members if member != w.state.turn.member)


# --- level A knows nothing of it -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["access", "delivered", "witness"])
def test_at_level_a_there_are_no_such_calls(method: str) -> None:
    """Whatever their arguments: entries of older ledgers replay as they did."""
    w = World(4)
    with pytest.raises(Rejected) as refused:
        w.contract.apply(w.view, Call(calls.CONTRACT, method, {"anything": 1}), Context(0, w.now, MemberId("m00")))
    assert refused.value.code == Refusal.UNKNOWN_METHOD
    assert w.contract.cosignature(calls.call(calls.Witness(w.cosignature("m00", 1))), MemberId("m00")) is None


def test_at_level_a_the_state_has_no_word_of_it() -> None:
    w = World(4)
    w.block()
    kinds = {key.partition("/")[0] for key in w.view}
    assert not kinds & {"accesses", "access", "granted", "located", "cosigned", "undelivered", "unwitnessed"}


# --- work ------------------------------------------------------------------------------------------------------------


def test_nobody_tests_or_trains_without_an_access() -> None:
    w = world()
    candidate = w.offer("m00")  # M_0 lies in no vault: everybody draws it
    assert w.state.accesses == 0
    validator = candidate.committee[0]
    assert w.duties(validator) == ["access"]
    commitment = w.commitment(validator, candidate, verdict(60))
    with pytest.raises(Rejected) as refused:
        World.say(w, validator, commitment)
    assert refused.value.code == Refusal.NOT_GRANTED
    w.ask(validator)
    granted = w.state.granted(validator, candidate.locator)
    assert granted is not None
    assert (granted.purpose, granted.candidate, granted.entry) == ("test", candidate.id, w.index - 1)
    assert w.duties(validator) == ["delivered", "test"]
    World.say(w, validator, commitment)

    w.vote(w.state.candidate(0), {m: verdict(60) for m in candidate.committee if m != validator})
    w.reveal(validator, w.state.candidate(0), verdict(60))
    w.chain()
    proposer = w.state.turn.member
    assert proposer is not None
    assert "propose" in w.duties(proposer), "it has tested the newest model, and has it"
    w.block("m01")
    w.block("m02")
    w.block("m03")
    assert w.state.turn.member == "m00"
    newest = w.state.block(w.state.tip).locator
    assert newest is not None
    assert w.state.granted(MemberId("m00"), newest) is not None


def test_a_proposer_that_has_not_tested_the_newest_model_asks_for_it() -> None:
    w = world(2)
    w.block("m00")
    w.timeout()  # the turn of m01
    assert w.state.turn.member == "m00"
    assert w.duties("m00")[-1] == "access"
    newest = w.state.block(w.state.tip)
    proposal = calls.Propose(newest.hash, digest("new"), digest("file"), 1, 0, b"\xff" * 16)
    with pytest.raises(Rejected) as refused:
        World.say(w, "m00", proposal)
    assert refused.value.code == Refusal.NOT_GRANTED
    World.say(w, "m00", calls.Pass(newest.hash, w.state.turn.number))  # giving it on takes no reading
    w.ask("m00")
    World.say(w, "m00", proposal)


def test_who_may_not_propose_reads_nothing_to_train() -> None:
    w = world()
    w.block()
    newest = w.state.block(1).locator
    assert newest is not None
    other = next(m for m in w.members if m not in (w.state.turn.member, "m00"))
    assert w.refused(other, calls.Access(newest, "train")) == Refusal.NOT_YOUR_TURN
    assert w.refused(w.state.turn.member or "", calls.Access(digest("another"), "train")) == Refusal.BAD_ACCESS


def test_only_the_committee_reads_a_candidate_and_only_what_testing_it_takes() -> None:
    w = world(18)
    candidate = w.offer("m00")
    outside = next(m for m in w.members if m not in candidate.committee and m != "m00")
    asked = calls.Access(candidate.locator, "test", candidate.id)
    assert w.refused(outside, asked) == Refusal.NOT_DRAWN
    assert w.refused("m00", asked) == Refusal.NOT_DRAWN
    inside = candidate.committee[0]
    assert w.refused(inside, replace(asked, object=digest("another"))) == Refusal.BAD_ACCESS
    assert w.refused(inside, replace(asked, candidate=digest("another"))) == Refusal.UNKNOWN_CANDIDATE
    w.say(inside, asked)
    w.vote(candidate, verdict(60))
    w.chain()
    late = next(m for m in w.members if m not in candidate.committee and m != "m00")
    assert w.refused(late, asked) == Refusal.NOT_DRAWN


def test_a_purpose_names_what_belongs_to_it_and_nothing_else() -> None:
    w = world()
    candidate = w.offer("m00")
    member, file = candidate.committee[0], candidate.locator
    for arguments in (
        calls.Access(file, "test"),
        calls.Access(file, "test", candidate.id, 0),
        calls.Access(file, "train", candidate.id),
        calls.Access(file, "use"),
        calls.Access(file, "look", candidate.id),
        calls.Access(file, "use", block=0),
        calls.Access(file, "use", block=7),
    ):
        assert w.refused(member, arguments) == Refusal.BAD_ACCESS, arguments


def test_what_is_granted_is_granted_once() -> None:
    w = world()
    candidate = w.offer("m00")
    member = candidate.committee[0]
    asked = calls.Access(candidate.locator, "test", candidate.id)
    w.say(member, asked)
    with pytest.raises(Rejected, match="already granted: access 0"):
        w.say(member, asked)
    w.vote(candidate, verdict(60))
    w.chain()
    mine = w.state.granted(member, candidate.locator)
    assert mine is not None and mine.number == 0, "to train from it takes no second access"


def test_what_testing_takes_with_steps_and_hidden_parts() -> None:
    rule = replace(LOOKING, wants=LOOKING.wants | {STEP})
    w = Vaulted(4, confidential(), rule=rule)
    w.hide("m01")
    candidate = w.offer("m00")
    assert not list(needed(w.state, MemberId("m02"), w.now)), "nobody tests before the part is shown"
    candidate = w.show(candidate)
    part = candidate.hidden.part.locator if candidate.hidden and candidate.hidden.part else None
    assert set(to_test(w.state, candidate)) == {candidate.locator, part}
    w.now += 1
    assert w.duties(candidate.committee[0]).count("access") == 2


# --- one name, one object --------------------------------------------------------------------------------------------


def test_a_candidate_under_the_name_of_another_object_is_refused() -> None:
    """Whoever tests it could otherwise read an older version as if it were the candidate."""
    w = world()
    w.block("m00")
    old = w.state.block(1).locator
    assert old is not None
    w.block("m01")
    w.ask("m02")
    newest = w.state.block(w.state.tip)
    proposal = calls.Propose(newest.hash, digest("bait"), old, 1, 0, b"\xff" * 16)
    assert w.refused("m02", proposal) == Refusal.LOCATOR_TAKEN


def test_a_hidden_part_under_the_name_of_a_model_is_refused() -> None:
    w = Vaulted(4, confidential(), rule=LOOKING)
    w.hide("m01")
    candidate = w.offer("m00")
    bait = replace(w.showing(candidate), locator=candidate.locator)
    assert w.refused("m01", bait) == Refusal.LOCATOR_TAKEN
    w.show(candidate)


# --- own use ---------------------------------------------------------------------------------------------------------


def test_the_policy_says_which_versions() -> None:
    w = world(readers_of_all=("m03",))
    w.block("m00")
    w.block("m01")
    assert w.refused("m02", w.using(1)) == Refusal.NOT_ALLOWED
    assert w.use("m02", 2).block == 2
    assert w.use("m03", 1).block == 1
    assert w.refused("m03", w.using(0)) == Refusal.BAD_ACCESS, "M_0 lies in no vault"
    everybody = world(versions="all")
    everybody.block("m00")
    everybody.block("m01")
    assert everybody.use("m02", 1).block == 1


def test_after_a_revert_the_version_that_is_restored_is_the_newest() -> None:
    w = world(reads_per_1000_samples=0)
    w.block("m00")
    w.block("m01")
    change = calls.Change("revert", 3, target=1)
    w.say("m00", calls.Request(change))
    for member in ("m01", "m02"):
        w.say(member, calls.Approve(w.state.changes()[0]))
    w.chain()
    assert w.state.block(3).reverts == 1
    assert w.refused("m02", w.using(2)) == Refusal.NOT_ALLOWED
    assert w.use("m02", 1).object == w.use("m03", 3).object


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 3),
    st.integers(0, 900),
    st.lists(st.tuples(st.sampled_from(["read", "read", "block"]), st.integers(0, 3)), min_size=1, max_size=14),
)
def test_nobody_reads_more_often_than_its_quota(reads: int, earned: int, steps: list[tuple[str, int]]) -> None:
    """Counted by an independent model; ten records come with each block."""
    w = Vaulted(4, confidential(reads=reads, reads_per_1000_samples=earned), quick=True)
    w.block()
    records = dict.fromkeys(w.members, 0)
    used: dict[MemberId, set[int]] = {m: set() for m in w.members}
    records[w.members[0]] += 10
    for what, place in steps:
        member = w.members[place]
        if what == "block":
            proposer = w.state.turn.member or ""
            w.block(proposer)
            records[MemberId(proposer)] += 10
            continue
        allowed = reads + earned * (records[member] // 1000)
        height = w.state.tip + 1
        assert w.state.readings_left(member) == max(0, allowed - len(used[member]))
        if height in used[member]:
            assert w.refused(member, w.using(w.state.tip)) == Refusal.ALREADY_DONE
        elif len(used[member]) < allowed:
            w.use(member, w.state.tip)
            used[member].add(height)
        else:
            assert w.refused(member, w.using(w.state.tip)) == Refusal.NO_READINGS_LEFT


def test_contributions_that_count_earn_readings() -> None:
    w = world(reads=0, reads_per_1000_samples=3)
    w.vote(w.release(w.propose("m00", records=b"".join(n.to_bytes(16, "big") for n in range(2500)))), verdict(60))
    w.chain()
    assert [w.state.readings_left(m) for m in w.members] == [6, 0, 0, 0]
    w.use("m00", 1)
    assert w.state.readings_left(MemberId("m00")) == 5
    w.say("m00", calls.Request(calls.Change("revert", 2, target=0)))
    for member in ("m01", "m02"):
        w.say(member, calls.Approve(w.state.changes()[0]))
    w.chain()
    assert w.state.readings_left(MemberId("m00")) == 0, "what was taken back earns nothing"


# --- witnesses -------------------------------------------------------------------------------------------------------


def test_an_own_use_reading_waits_for_a_quorum_of_witnesses() -> None:
    w = world(7)
    w.block()
    reading = w.use("m05", 1)
    assert not w.state.witnessed(reading)
    assert w.refused("m05", calls.Delivered(reading.number)) == Refusal.TOO_EARLY
    assert w.refused("m01", w.witnessing("m01", reading.entry)) == Refusal.WRONG_HEAD
    for number in range(quorum(7)):
        member = w.members[number]
        assert not w.state.witnessed(w.state.access(reading.number))
        assert "witness" in w.duties(member)
        w.say(member, w.witnessing(member))
        assert "witness" not in w.duties(member)
    read = w.state.access(reading.number)
    assert read.witnessed_ms == w.now
    assert w.refused("m06", w.witnessing("m06")) == Refusal.NOTHING_TO_WITNESS
    w.say("m05", calls.Delivered(reading.number))
    assert w.state.access(reading.number).delivered_ms == w.now
    assert w.refused("m05", calls.Delivered(reading.number)) == Refusal.ALREADY_DONE


def test_endorsements_witness_too_and_one_head_serves_all_readings_before_it() -> None:
    w = world()
    w.block()
    first, second = w.use("m02", 1), w.use("m03", 1)
    w.block()
    for member in w.members:
        if "endorse" in w.duties(member):
            w.endorse(member)
    assert all(w.state.access(each.number).witnessed_ms for each in (first, second))
    assert w.state.unwitnessed() == []


def test_a_charter_without_witnesses_hands_out_at_once() -> None:
    w = world(witnessed=0)
    w.block()
    reading = w.use("m02", 1)
    assert w.state.witnessed(reading)
    assert "witness" not in w.duties("m01")
    w.say("m02", calls.Delivered(reading.number))


def test_nobody_confirms_for_another() -> None:
    w = world()
    candidate = w.offer("m00")
    w.ask(candidate.committee[0])
    assert w.refused(candidate.committee[1], calls.Delivered(0)) == Refusal.UNKNOWN_ACCESS
    assert w.refused(candidate.committee[1], calls.Delivered(9)) == Refusal.UNKNOWN_ACCESS


def test_two_heads_of_one_size_contradict_each_other() -> None:
    w = world()
    honest = w.witnessing("m01", 3)
    other = calls.Witness(replace(honest.cosignature, root=digest("another root")))
    first, second = calls.call(honest), calls.call(other)
    assert w.contract.topic(first) == w.contract.topic(second) is not None
    assert "two heads of 3 entries" in (w.contract.contradiction(first, second, MemberId("m01")) or "")
    later = calls.call(calls.Witness(replace(honest.cosignature, at_seconds=9)))
    assert w.contract.contradiction(first, later, MemberId("m01")) is None


# --- duties ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turns", ["lease", "free"])
def test_a_duty_is_there_exactly_when_its_call_would_be_accepted(turns: str) -> None:
    seen: dict[bool, set[str]] = {True: set(), False: set()}
    for seed, n in enumerate((2, 4, 4, 7, 18)):
        changes = confidential(reads=50)
        base = World(n).charter.schedule
        changes["schedule"] = replace(base, turns=turns, attempts=2, stop_blocks=12)
        w = Vaulted(n, changes, quick=True, rule=LOOKING if seed % 2 else None)
        crowd = VaultCrowd(w, seed)
        for step in range(300):
            crowd.step(late=step % 60 > 40)
            if step % 5:
                continue
            for member in crowd.choose.sample(w.members, min(n, 3)):
                check_duties(w, crowd, member, seen)
    assert seen[True] == {"access", "delivered", "witness", "test", "propose"}
    assert seen[False] == {"delivered", "witness", "test", "propose"}


def check_duties(w: Vaulted, crowd: VaultCrowd, member: MemberId, seen: dict[bool, set[str]]) -> None:
    state = w.state
    asked = {(duty.kind, duty.subject): duty for duty in w.contract.duties(state, member, w.now)}
    for duty in asked.values():
        if duty.kind == "access":
            said = crowd.answer(duty, member)
            assert said is not None and accepted(w, member, said)
            seen[True].add(duty.kind)
    waiting = {*state.undelivered(member), *range(max(0, state.accesses - 5), state.accesses)}
    for number in waiting:
        may = accepted(w, member, calls.Delivered(number))
        # What became no block may never have been in the store: who has it may say so, and nobody has to.
        due = may and may_come(state, state.access(number))
        assert due == (("delivered", delivered_subject(number)) in asked)
        seen[may].add("delivered")
    newest = max((state.access(number).entry for number in state.unwitnessed()), default=0)
    may = accepted(w, member, w.witnessing(member, w.index))
    assert may == (("witness", witness_subject(newest)) in asked)
    seen[may].add("witness")
    for candidate in state.open_candidates():
        may = accepted(w, member, w.commitment(member, candidate, verdict(60)))
        assert may == (("test", candidate.round) in asked)
        seen[may].add("test")
        if may:
            assert all(state.granted(member, each) for each in to_test(state, candidate))
    proposal = calls.Propose(state.block(state.tip).hash, digest("fresh"), digest("its file"), 1, 0, b"\xff" * 16)
    if state.declared(member) is None:
        may = accepted(w, member, proposal)
        assert may == any(kind == "propose" for kind, _ in asked)
        seen[may].add("propose")
        if may:
            assert all(state.granted(member, each) for each in to_train(state))


def accepted(w: Vaulted, member: MemberId, arguments: object) -> bool:
    try:
        w.contract.apply(w.view, calls.call(arguments), Context(w.index, w.now, member))  # type: ignore[arg-type]
    except Rejected:
        return False
    return True


def test_readings_are_counted_right_whatever_a_crowd_says() -> None:
    for seed in range(4):
        w = Vaulted(4, confidential(reads=2), quick=True, rule=LOOKING if seed % 2 else None)
        crowd = VaultCrowd(w, seed)
        for _ in range(400):
            crowd.step()
        state = w.state
        everything = [state.access(number) for number in range(state.accesses)]
        assert len(everything) > 10
        work = [(a.member, a.object) for a in everything if a.purpose != "use"]
        own = [(a.member, a.object, a.height) for a in everything if a.purpose == "use"]
        assert len(set(work)) == len(work) and len(set(own)) == len(own)
        for member in w.members:
            mine = [a for a in everything if a.member == member and a.purpose == "use"]
            assert len(mine) <= 2, "ten records a block earn nothing yet"
        for each in everything:
            if each.delivered_ms is not None and each.purpose == "use":
                assert each.witnessed_ms is not None and each.witnessed_ms <= each.delivered_ms


# --- what waits for nothing that comes -------------------------------------------------------------------------------


def test_nobody_is_asked_to_confirm_a_candidate_that_was_never_in_the_store() -> None:
    w = world(7)
    w.block("m00")
    proposer = w.state.turn.member
    assert proposer is not None
    candidate = w.offer(proposer)
    validator = candidate.committee[0]
    w.ask(validator)
    mine = [n for n in w.state.undelivered(validator) if w.state.access(n).object == candidate.locator]
    assert len(mine) == 1
    subject = delivered_subject(mine[0])

    def asked() -> bool:
        return subject in {duty.subject for duty in w.contract.duties(w.state, validator, w.now)}

    assert asked()
    while w.state.open_candidates():
        w.timeout()
    assert not asked()
    assert "delivered" in w.duties(validator), "its reference is a version, and was handed out"
    w.say(validator, calls.Delivered(mine[0]))  # who has it all the same may say so


def test_a_reading_that_waits_hides_none_that_is_handed_out() -> None:
    w = Vaulted(30, confidential(versions="all", reads=9), quick=True)
    w.block("m00")
    candidate = w.state.candidate(0)
    reader, locator = candidate.committee[0], candidate.locator
    work = w.state.granted(reader, locator, "test")
    w.use(reader, 1)
    assert work is not None and handed_out(w.state, reader, locator) == work

    outsiders = [member for member in w.members if member not in candidate.committee]
    assert not any(handed_out(w.state, each, locator) for each in outsiders)
    first = {each: w.use(each, 1).number for each in outsiders}
    assert not any(handed_out(w.state, each, locator) for each in outsiders), "they wait for witnesses"
    for member in w.members[:21]:
        w.say(member, w.witnessing(member))
    w.block("m01")
    left = next(each for each in outsiders if w.state.granted(each, locator, "test") is None)
    second = w.use(left, 1)
    assert not w.state.witnessed(second)
    found = handed_out(w.state, left, locator)
    assert found is not None and found.number == first[left] < second.number


def test_a_head_with_one_of_two_waiting_readings_is_taken() -> None:
    """What came between the cosignature and its entry waits for the next one."""
    w = world(7, versions="all", reads=9)
    w.block("m00")
    first = w.use("m05", 1)
    said = w.witnessing("m01")
    w.use("m06", 1)
    w.say("m01", said)
    assert first.entry < w.state.cosigned(MemberId("m01"))
    assert w.refused("m01", said) == Refusal.WRONG_HEAD
    w.say("m01", w.witnessing("m01"))
