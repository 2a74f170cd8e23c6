"""What the history tells of each iteration agrees with the accounts, whatever members do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.protocols.deepchain import people as p
from tests.protocols.deepchain.people import Lie, People
from tests.protocols.deepchain.test_storms import Storm
from tests.protocols.deepchain.training import Coalition, Plan
from tests.protocols.deepchain.world import World, terms

from tclearn.encoding import MemberId, decode, encode
from tclearn.ledger import Rejected
from tclearn.protocols.deepchain import adversaries, calls
from tclearn.protocols.deepchain.agent import Performer
from tclearn.protocols.deepchain.history import Course, Fine, History
from tclearn.protocols.deepchain.reasons import Reason
from tclearn.protocols.deepchain.records import COMPLETE, DECRYPTION, DISSOLVED, EMPTY, GRADIENTS, SUMS, VOID, WORK
from tclearn.protocols.deepchain.times import APPENDING, CHECKING, COLLECTING, DOWNLOADING, UPDATING, VERIFYING

BASE = terms(iterations=1)
DEPOSITS = {
    GRADIENTS: BASE.money.gradient_deposit,
    DECRYPTION: BASE.money.decryption_deposit,
    WORK: BASE.money.work_deposit,
}


def history(world: World) -> History:
    """Of what was said in a world, from its log, said again on a state whose maps are sorted, as CBOR has them."""
    again = World(world.terms)
    told = History(again.state)
    for sender, said, now in world.log:
        again.now = now
        try:
            again.say(sender, said)
        except Rejected:
            before = told.courses
            told.tell(again.state, calls.call(said), sender)
            assert told.courses == before, "what was refused has changed nothing"
        else:
            again.view = dict(decode(encode(dict(again.view))))  # type: ignore[arg-type] # as a ledger keeps it
            told.tell(again.state, calls.call(said), sender)
    assert again.view == world.view
    return told


def played(lies: dict[str, dict[str, tuple[Lie, ...]]], **changes: object) -> World:
    world = World(replace(BASE, **changes))  # type: ignore[arg-type]
    People(world, lies).run()
    return world


def leader_of(world: World) -> MemberId:
    leader = People(World(world.terms)).until(UPDATING).iteration.leader
    assert leader is not None
    return leader


def test_an_iteration_of_honest_members_is_told_as_the_state_has_it():
    world = played({}, iterations=2)
    told = history(world)
    assert [course.number for course in told.courses] == [1, 2]
    for course, result in zip(told.courses, map(world.state.result, (1, 2)), strict=True):
        block = world.state.block(result.block)
        assert (course.round, course.opened, course.paid) == (result.round, result.opened, result.paid)
        assert (course.blocks, course.leader, course.counted) == ((block,), block.leader, block.counted)
        assert course.ended and not course.fines and not course.absent and not course.received
        assert course.divisor == result.divisor == 4


@pytest.mark.parametrize(
    ("duty", "lie", "who", "deposit", "reason"),
    [
        ("contribute", p.silent, "p01", GRADIENTS, Reason.NO_GRADIENT),
        ("contribute", p.wrong_gradient, "p01", GRADIENTS, Reason.WRONG_GRADIENT),
        ("contribute", p.withheld_gradient, "p01", GRADIENTS, Reason.REFUSED_GRADIENT),
        ("attach", p.silent, "p01", GRADIENTS, Reason.NOT_ATTACHED),
        ("verify", p.silent, "w01", WORK, Reason.NO_VOTE),
        ("take", p.silent, "p01", DECRYPTION, Reason.NO_WORD),
        ("share", p.silent, "p01", DECRYPTION, Reason.NO_SHARES),
        ("share", p.wrong_shares, "p01", DECRYPTION, Reason.WRONG_SHARES),
        ("share", p.withheld_shares, "p01", DECRYPTION, Reason.WITHHELD_SHARES),
        ("report", p.silent, "p01", DECRYPTION, Reason.NO_REPORT),
        ("report", p.wrong_report, "p01", DECRYPTION, Reason.WRONG_REPORT),
        ("update", p.silent, "leader", WORK, Reason.NO_SUM),
        ("update", p.wrong_sum, "leader", WORK, Reason.WRONG_SUM),
    ],
)
def test_each_deviation_is_named(duty, lie, who, deposit, reason):
    member = leader_of(World(BASE)) if who == "leader" else MemberId(who)
    world = played({member: {duty: (lie,)}})
    (course,) = history(world).courses
    assert course.fines == (Fine(member, deposit, DEPOSITS[deposit], reason),)
    assert (course.round, course.ended) == (1, True)
    assert sum(course.received.values()) <= DEPOSITS[deposit] and member not in course.received


@pytest.mark.parametrize(
    ("duty", "lie", "reason"),
    [
        ("report", p.silent, Reason.NO_REPORT),
        ("share", p.silent, Reason.NO_SHARES),
    ],
)
def test_who_loses_another_deposit_with_the_entry_that_ends_the_group_is_told_for_what(duty, lie, reason):
    """It has locked the first one again meanwhile; with the last entry that goes back, and is no fine."""
    world = played({"p01": {"contribute": (p.silent,), duty: (lie,)}})
    assert any(isinstance(said, calls.Stake) for _, said, _ in world.log)
    told = history(world)
    assert told.courses[0].fines == (
        Fine(MemberId("p01"), GRADIENTS, DEPOSITS[GRADIENTS], Reason.NO_GRADIENT),
        Fine(MemberId("p01"), DECRYPTION, DEPOSITS[DECRYPTION], reason),
    )
    assert "p01" not in told.courses[0].received
    agrees(told, world)


def test_who_votes_last_and_is_convicted_loses_what_it_was_convicted_for_and_not_what_it_voted_with():
    base = terms(4, both=True, minimum=3, voids=1)
    world = World(base)
    lies: dict[str, dict[str, tuple[Lie, ...]]] = {"p02": {"contribute": (p.silent,)}}
    people = People(world, {**lies, "p01": {"contribute": (p.wrong_gradient,)}}, watchful=False)
    people.until(COLLECTING)
    while world.iteration.phase == COLLECTING:
        if not people.one_word():
            world.now = people.deadline_ms() or 0
    assert world.iteration.phase == VERIFYING
    world.say("p00", world.accusation("p01", world.wrong_batch("p01") or 0))
    for worker in ("p00", "p02", "p03", "p01"):
        world.say(worker, calls.Verify(1, world.good_gradients()))
    assert world.state.group.status == DISSOLVED
    told = history(world)
    assert {(fine.member, fine.deposit, fine.reason) for fine in told.courses[0].fines} == {
        ("p01", GRADIENTS, Reason.WRONG_GRADIENT), ("p02", GRADIENTS, Reason.NO_GRADIENT),
    }  # fmt: skip
    agrees(told, world)


def test_who_approves_what_is_wrong_is_named_beside_who_did_it():
    world = played({"p01": {"contribute": (p.wrong_gradient,)}, "w01": {"verify": (p.approve_all,)}})
    (course,) = history(world).courses
    assert {(fine.member, fine.reason) for fine in course.fines} >= {("p01", Reason.WRONG_GRADIENT)}
    world = World(BASE)
    people = People(world, {"p01": {"contribute": (p.wrong_gradient,)}, "w01": {"verify": (p.approve_all,)}})
    people.watchful = False  # shown only when w01 has approved it
    people.until("uploading")
    world.say("p00", world.accusation("p01", world.wrong_batch("p01") or 0))
    people.watchful = True
    people.run()
    fines = {fine.member: fine.reason for fine in history(world).courses[0].fines}
    assert fines == {"p01": Reason.WRONG_GRADIENT, "w01": Reason.APPROVED_GRADIENT}


def test_leaders_that_failed_and_those_who_followed_are_told():
    failed = leader_of(World(BASE))
    (course,) = history(played({failed: {"update": (p.wrong_sum,)}})).courses
    assert [block.kind for block in course.blocks] == [EMPTY, SUMS]
    assert course.failed_leaders == (failed,) and course.leader not in (failed, None)


def test_votes_that_are_missing_are_named():
    idle = {who: {"check": (p.silent,)} for who in ("w00", "w01", "w02")}
    world = World(BASE)
    People(world, idle).run(60)
    fines = history(world).courses[0].fines
    assert {fine.member for fine in fines if fine.reason is Reason.NO_CHECK} == set(idle)


def test_signatures_that_are_missing_are_named():
    idle = {who: {"append": (p.silent,)} for who in ("p00", "p01", "w00", "w01")}
    world = World(BASE)
    people = People(world, idle)
    people.until(APPENDING)
    people.run(60)
    first = [fine for fine in history(world).courses[0].fines if fine.reason is Reason.NOT_SIGNED]
    assert {(fine.member, fine.deposit) for fine in first} == {
        ("p00", GRADIENTS), ("p01", GRADIENTS), ("w00", WORK), ("w01", WORK),
    }  # fmt: skip


def test_a_sum_that_nobody_finds_makes_its_block_void():
    deny = {who: {"take": (p.deny_the_sum,)} for who in ("p00", "p01", "p02", "p03")}
    world = World(replace(BASE, voids=1))
    people = People(world, deny)
    leading = people.until(DOWNLOADING).state.block(0).leader
    assert leading is not None
    people.run(60)
    (course,) = history(world).courses
    assert world.state.group.status == DISSOLVED
    assert [block.kind for block in course.blocks] == [SUMS, VOID]
    assert course.round is None and course.leader is None and course.ended
    assert course.fines == (Fine(leading, WORK, DEPOSITS[WORK], Reason.SUM_MISSING),)


def test_who_has_no_deposit_is_absent_from_the_next():
    world = played({"p01": {"share": (p.silent,)}}, iterations=2)
    first, second, *_ = history(world).courses
    assert (first.absent, second.absent) == ((), ("p01",)) and "p01" not in second.parties


def test_what_is_under_way_is_told_as_far_as_it_has_come():
    world = People(World(BASE)).until(CHECKING)
    (course,) = history(world).courses
    assert not course.ended and course.round is None and course.counted == world.iteration.counted


def agrees(told: History, world: World) -> None:
    """Balances are those of the accounts, and each deposit that the state counts as lost has a fine with its reason."""
    state = world.state
    for each in told.balances:
        assert each.start + each.paid + each.received - each.fined == each.end == world.coins(each.member)
        joined = state.joined(each.member)
        fines = [fine for course in told.courses for fine in course.fines if fine.member == each.member]
        assert len(fines) == (joined.losses if joined else 0)
        assert all(fine.coins == DEPOSITS[fine.deposit] for fine in fines)
        assert Reason.UNKNOWN not in {fine.reason for fine in fines}, (each.member, fines)
    assert sum(each.end for each in told.balances) + state.accounts.pot == state.accounts.minted
    rounds = [course for course in told.courses if course.round is not None]
    assert [course.round for course in rounds] == list(range(1, state.group.rounds + 1))
    blocks = [block for course in told.courses for block in course.blocks]
    assert blocks == [state.block(number) for number in range(state.group.blocks)]


@pytest.mark.parametrize("seed", range(40))
def test_every_coin_that_moved_in_a_storm_is_accounted_for(seed):
    storm = Storm(seed)
    storm.run()
    assert storm.world.state.group.status == COMPLETE
    agrees(history(storm.world), storm.world)


@pytest.fixture(scope="module")
def coalition() -> Coalition:
    faulty = {"p01": adversaries.WrongGradient, "p04": adversaries.WithheldShares}
    return Coalition(Plan(hidden=2, iterations=2), faulty).run()


def test_a_ledger_is_told_from_its_entries(coalition):
    entries = list(coalition.ledger.entries(0, len(coalition.ledger)))
    told = History.replayed(coalition.contract, coalition.terms.digest, entries)
    reasons = {(fine.member, fine.reason) for course in told.courses for fine in course.fines}
    assert reasons == {("p01", Reason.WRONG_GRADIENT), ("p04", Reason.WITHHELD_SHARES)}
    assert {each.member: each.end for each in told.balances} == {
        member: coalition.coins(member) for member in coalition.members
    }


@pytest.mark.parametrize(("duty", "reason"), [("report", Reason.NO_REPORT), ("share", Reason.NO_SHARES)])
def test_a_real_ledger_tells_two_fines_of_one_party_when_training_ends_with_the_second(duty, reason):
    """Of a ledger maps come back sorted: the order in which deposits were locked is gone."""

    def silent(role: Performer) -> adversaries.Silent:
        return adversaries.Silent(role, frozenset({"contribute", duty}))

    made = Coalition(Plan(parties=4, threshold=3, hidden=2, iterations=1), {"p01": silent}).run()
    told = History.replayed(made.contract, made.terms.digest, made.ledger.entries(0, len(made.ledger)))
    money = made.terms.money
    fines = [fine for course in told.courses for fine in course.fines if course.number == told.courses[-1].number]
    assert [(fine.deposit, fine.coins, fine.reason) for fine in fines] == [
        (GRADIENTS, money.gradient_deposit, Reason.NO_GRADIENT),
        (DECRYPTION, money.decryption_deposit, reason),
    ]
    (own,) = (each for each in told.balances if each.member == "p01")
    assert own.fined == money.gradient_deposit + money.decryption_deposit and not own.received
    assert own.end == made.coins(MemberId("p01")) == own.start + own.paid - own.fined


def test_the_steps_of_a_ledger_end_with_its_state(coalition):
    entries = list(coalition.ledger.entries(0, len(coalition.ledger)))
    seen: list[tuple[tuple[Course, ...], int]] = [
        (told.courses, state.group.rounds)
        for told, state in History.steps(coalition.contract, coalition.terms.digest, entries)
    ]
    assert len(seen) == len(entries) + 1 and seen[0] == ((), 0) and seen[-1][1] == 2
