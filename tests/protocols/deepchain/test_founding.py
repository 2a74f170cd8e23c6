"""Before training: terms that make no sense are refused, assets are stated once, deposits are locked."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocols.deepchain.people import People
from tests.protocols.deepchain.world import MODEL, TIMES, World, declaration, least_fine, names, signer, terms

from tclearn.coalition.accounts import COINS_MAX
from tclearn.coalition.fines import smallest_fine
from tclearn.coalition.terms import TensorRecord
from tclearn.encoding import Digest, MemberId, digest
from tclearn.errors import CharterError, MessageError
from tclearn.limits import DEEPCHAIN_ASSETS_PER_MEMBER_MAX
from tclearn.protocols.deepchain import DeepChainTerms, MoneyTerms, calls
from tclearn.protocols.deepchain.duties import running_deadline
from tclearn.protocols.deepchain.records import DISSOLVED, FOUNDING, RUNNING
from tclearn.protocols.deepchain.refusals import Refusal
from tclearn.protocols.deepchain.times import APPENDING, PHASES, UPDATING, Times

# --- terms -----------------------------------------------------------------------------------------------------------


def test_terms_come_back_from_their_bytes_with_their_digest():
    made = terms(7, 4)
    assert DeepChainTerms.from_bytes(made.encode()) == made
    assert DeepChainTerms.from_bytes(made.encode()).digest == made.digest != terms(7, 4, ciphertexts=3).digest


def refused(**changes: object) -> str:
    coins = changes.pop("coins", 10_000)
    with pytest.raises(CharterError) as caught:
        replace(terms(), **changes) if changes else terms(coins=coins)  # type: ignore[arg-type]
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"t1": 999}, "0 + 1000 <= t1"),
        ({"t2": 10_999}, "t1 + 1000 <= t2"),
        ({"t3": 20_999}, "t2 + 1000 <= t3"),
        ({"t3": 39_001}, "t3 + 1000 <= t7"),
        ({"t8": 40_999}, "t7 + 1000 <= t8"),
        ({"t9": 50_999}, "t8 + 1000 <= t9"),
        ({"t9": 159_001, "block_ms": 140_000}, "t9 + 1000 <= t4"),
        ({"t5": 160_999}, "t4 + 1000 <= t5"),
        ({"t6": 170_999}, "t5 + 1000 <= t6"),
        ({"block_ms": 29_999}, "at least t9 - t3, 30000: each leader has as long as the first"),
        ({"block_ms": 170_001}, "at most t6 - t1, 170000"),
        ({"patience_ms": 0}, "from 1 to"),
        ({"t6": 1 << 50}, "from 1 to"),
    ],
)
def test_times_out_of_the_papers_order_are_refused(changes, says):
    assert says in refused(times=replace(TIMES, **changes))


def test_a_second_is_enough_for_each_phase():
    names = ("t1", "t2", "t3", "t7", "t8", "t9", "t4", "t5", "t6")
    seconds = {name: place * 1000 for place, name in enumerate(names, 1)}
    terms(times=Times(**seconds, block_ms=3000, patience_ms=1))


@given(st.integers(0, 20))
def test_every_phase_of_every_attempt_lasts_at_least_as_long_as_the_terms_say(attempt):
    due = [TIMES.due_ms(phase, 0) for phase in PHASES]
    nominal = {phase: after - before for phase, before, after in zip(PHASES, [0, *due], due, strict=False)}
    assert TIMES.due_ms(UPDATING, attempt + 1) - TIMES.due_ms(APPENDING, attempt) >= nominal[UPDATING]
    for before, phase in pairwise(PHASES[PHASES.index(UPDATING) :]):
        assert TIMES.due_ms(phase, attempt) - TIMES.due_ms(before, attempt) == nominal[phase]
    assert TIMES.allows_attempt(attempt) == (TIMES.due_ms(APPENDING, attempt) <= TIMES.t4)


def test_fines_below_the_bound_of_theorem_1_are_refused_and_at_it_taken():
    base = terms()
    least = least_fine(base)
    assert least == smallest_fine(120, 900_000, 500_000) == 147
    for name in ("gradient_deposit", "decryption_deposit"):

        def money(fine: int, name: str = name) -> MoneyTerms:
            return MoneyTerms.from_value({**base.money.to_value(), name: fine})

        terms(money=money(least))
        assert f"[money] {name} is {least - 1}" in refused(money=money(least - 1))
    assert "work_deposit is 293" in (said := refused(money=replace(base.money, work_deposit=293)))
    assert "at least 294 (theorem 2" in said
    terms(money=replace(base.money, work_deposit=294))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": 2}, "format 1"),
        ({"name": "a name"}, "name is"),
        ({"protocol": "tclearn"}, "protocol"),
        ({"contracts": ("deepchain/2",)}, "deepchain/1"),
        ({"trainer": "Mine!"}, "trainer is"),
        ({"hyperparameters": {"epochs": 0}}, "epochs"),
        ({"model": replace(MODEL, layout=(TensorRecord("w", "I64", (2,)),))}, "is I64"),
        ({"task": replace(terms().task, metric="beauty")}, "metric"),
        ({"key": replace(terms().key, key=b"")}, "bytes of the key: 0"),
        ({"key": replace(terms().key, clip=0)}, "clip is 0"),
        ({"minimum": 2}, "minimum is 2"),
        ({"minimum": 4}, "minimum is 4"),
        ({"iterations": 0}, "iterations is 0"),
        ({"voids": 0}, "voids is 0"),
        ({"workers": ()}, "0 workers"),
        ({"workers": names("x", 4)}, "workers that are not members"),
        ({"parties": names("p", 4)[::-1]}, "not ascending"),
        ({"parties": names("p", 3)}, "p03 is neither party nor worker"),
        ({"members": terms().members[::-1]}, "ascending"),
        (
            {"members": (*terms().members[:-1], replace(terms().members[0], id=MemberId("w03")))},
            "shared by p00 and w03",
        ),
        ({"log_key": terms().members[0].key}, "shared by p00 and the log"),
        ({"log_key": bytes(32)}, "the key of the log"),
        ({"key": replace(terms().key, threshold=1)}, "threshold is 1"),
        ({"key": replace(terms().key, threshold=4)}, "threshold is 4"),
        ({"key": replace(terms().key, weights=(1, 1, 1))}, "weights has 3 numbers"),
        ({"key": replace(terms().key, weights=(1, 1, 1, 0))}, "weights has 0"),
        ({"key": replace(terms().key, ciphertexts=0)}, "ciphertexts is 0"),
        ({"key": replace(terms().key, ciphertext_bytes=1 << 20)}, "ciphertext_bytes"),
        ({"money": replace(terms().money, coins={"p00": 1})}, "a number for each of them"),
        ({"money": replace(terms().money, noticed_ppm=0)}, "noticed_ppm is 0"),
        ({"money": replace(terms().money, honest_ppm=1_000_000)}, "honest_ppm 1000000"),
        ({"money": replace(terms().money, coins=dict.fromkeys(terms().money.coins, COINS_MAX))}, "at most"),
        ({"coins": 539}, "its deposits, 540"),
    ],
)
def test_terms_that_make_no_sense_are_refused_by_name(changes, says):
    assert says in refused(**changes)


def test_bytes_that_are_no_terms_are_refused():
    for data in (b"", b"\xa0", terms().encode()[:-1], terms().encode() + b"\0"):
        with pytest.raises(MessageError):
            DeepChainTerms.from_bytes(data)


# --- assets ----------------------------------------------------------------------------------------------------------


def test_an_asset_is_stated_under_a_pseudonym_that_signs_it():
    world = World(frozen=True)
    said = declaration(world, "p00")
    world.say("p00", said)
    (name,) = world.state.assets_of(MemberId("p00"))
    asset = world.state.asset(name)
    assert asset is not None
    assert (asset.member, asset.pseudonym, asset.topic) == ("p00", signer("pseudonym of p00").public, "hearts")
    assert world.state.owner_of(said.pseudonym) == "p00" and world.state.assets == 1


def test_assets_are_refused_by_code():
    world = World(frozen=True)
    world.say("p00", declaration(world, "p00"))
    own = declaration(world, "p01")
    assert world.refused("p01", declaration(world, "p01", data="p00")) == Refusal.ALREADY_DONE
    assert world.refused("p01", declaration(world, "p01", pseudonym="pseudonym of p00")) == Refusal.BAD_ASSET
    assert world.refused("p01", declaration(world, "p00", data="p01")) == Refusal.BAD_ASSET, "signed for another"
    for wrong in (
        {"size": 0}, {"size": 1 << 30}, {"blocks": 0}, {"topic": ""}, {"topic": "x" * 501}, {"format": "a\x1b[31m"},
        {"signature": bytes(64)}, {"signature": b""}, {"pseudonym": bytes(32)}, {"pseudonym": b"short"},
        {"description": "other"}, {"data": digest("other")},
    ):  # fmt: skip
        assert world.refused("p01", replace(own, **wrong)) == Refusal.BAD_ASSET, wrong
    world.say("p01", own)
    for number in range(DEEPCHAIN_ASSETS_PER_MEMBER_MAX - 1):
        world.say("p01", declaration(world, "p01", data=f"more {number}"))
    assert world.refused("p01", declaration(world, "p01", data="too many")) == Refusal.ALREADY_DONE


# --- joining ---------------------------------------------------------------------------------------------------------


def joining(world: World, member: str, **changes: object) -> calls.Join:
    assets = world.state.assets_of(MemberId(member))
    said = calls.Join(world.terms.digest, assets[0] if assets else None, digest("sealed") if assets else None)
    return replace(said, **changes)  # type: ignore[arg-type]


def test_joining_locks_the_deposits_of_ones_roles_and_the_last_begins_the_training():
    world = World(terms(4, both=True), frozen=True)
    for member in world.members:
        assert world.refused(member, joining(world, member)) == Refusal.UNKNOWN_ASSET
        world.say(member, declaration(world, member))
    for member in world.members:
        assert world.state.group.status == FOUNDING and world.state.iteration is None
        world.say(member, joining(world, member))
        assert world.state.accounts.locked[member] == {"gradients": 300, "decryption": 240, "work": 700}
        assert world.refused(member, joining(world, member)) == Refusal.ALREADY_DONE
    assert world.state.group.status == RUNNING and world.iteration.parties == world.iteration.workers


def test_joining_is_refused_by_code():
    world = World(terms(coins=700))
    world.say("p00", declaration(world, "p00"))
    world.say("p01", declaration(world, "p01"))
    assert world.refused("p00", joining(world, "p00", terms=digest("x"))) == Refusal.WRONG_TERMS
    assert world.refused("p00", joining(world, "p00", asset=None)) == Refusal.BAD_ARGUMENT
    assert world.refused("p00", joining(world, "p00", sealed=None)) == Refusal.BAD_ARGUMENT
    assert world.refused("w00", joining(world, "w00", sealed=digest("x"))) == Refusal.BAD_ARGUMENT
    other = world.state.assets_of(MemberId("p01"))[0]
    for asset in (other, digest("none")):
        assert world.refused("p00", joining(world, "p00", asset=asset)) == Refusal.UNKNOWN_ASSET
    assert world.refused("p00", calls.Stake(0)) == Refusal.NOT_JOINED
    world.say("p00", joining(world, "p00"))
    assert world.refused("p00", calls.Stake(0)) == Refusal.ALREADY_DONE


def test_who_does_not_join_in_time_is_not_waited_for():
    world = World()
    people = People(world, asleep={"p03", "w03"})
    while people.one_round():
        pass
    deadline = running_deadline(world.state)
    assert deadline is not None and world.state.group.status == FOUNDING
    world.now = deadline.due_ms
    world.say("p00", calls.Timeout(deadline.subject))
    assert world.iteration.parties == names("p", 3) and world.iteration.workers == names("w", 3)
    people.asleep.clear()
    people.run()
    assert world.state.block(1).counted == world.terms.parties, "it may join later"


def test_with_too_few_there_is_no_group_and_deposits_go_back():
    world = World()
    people = People(world, asleep={"p02", "p03"})
    people.run()
    assert world.state.group.status == DISSOLVED
    assert all(world.state.accounts.free[m] == 10_000 for m in world.members)
    assert world.refused("p03", declaration(world, "p03")) == Refusal.CLOSED
    assert all(not world.duties(m) for m in world.members)


def test_who_has_too_few_coins_left_cannot_take_part():
    money = replace(terms().money, coins={**dict.fromkeys(terms().money.coins, 10_000), "p01": 540}, party_reward=0)
    world = World(terms(money=money, iterations=2))
    People(world, {"p01": {"contribute": (lambda w, d: None,)}}).run()
    assert world.coins("p01") == 240
    assert [world.state.block(i).counted for i in range(2)] == [(*names("p", 1), *names("p", 4)[2:])] * 2
    assert Digest(world.state.block(1).previous) == world.state.block(0).hash


def test_lost_deposits_are_locked_again_by_who_knows_how_many_they_are():
    """The number keeps an old decision from being said again after another loss."""
    world = World(terms(iterations=2))
    people = People(world, {"p01": {"contribute": (lambda w, d: None,), "stake": (lambda w, d: None,)}})
    while not (joined := world.state.joined(MemberId("p01"))) or not joined.losses:
        people.run(1)
    free = world.state.accounts.free["p01"]
    for wrong in (0, 2):
        assert world.refused("p01", calls.Stake(wrong)) == Refusal.BAD_ARGUMENT
    world.say("p01", calls.Stake(1))
    assert world.state.accounts.free["p01"] == free - world.terms.money.gradient_deposit
