"""DeepCoin: no coin is lost, none is made but at the founding and as a reward, none counts twice by going around."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tclearn.coalition.accounts import Accounts
from tclearn.coalition.payoffs import payoffs
from tclearn.coalition.penalties import settled, share
from tclearn.encoding import MemberId, decode, encode

A, B, C = (MemberId(name) for name in "abc")
PURPOSES = ("x", "y")


def founded(**coins):
    return Accounts.founded({MemberId(name): own for name, own in coins.items()})


member = st.sampled_from([A, B, C])
purpose = st.sampled_from(PURPOSES)
step = st.one_of(
    st.tuples(st.just("lock"), member, purpose, st.integers(0, 60)),
    st.tuples(st.just("return"), member, purpose),
    st.tuples(st.just("forfeit"), member, purpose, st.dictionaries(member, st.integers(0, 40), max_size=2)),
    st.tuples(st.just("reward"), st.dictionaries(member, st.integers(0, 50))),
    st.tuples(st.just("lead"), member),
    st.tuples(st.just("renew")),
)


def done(accounts, what, *how):
    return {
        "lock": accounts.lock,
        "return": accounts.returned,
        "forfeit": accounts.forfeited,
        "reward": accounts.rewarded,
        "lead": accounts.led,
        "renew": accounts.renewed,
    }[what](*how)


@given(st.lists(step, max_size=30))
def test_no_coin_is_lost_or_made_whatever_happens(steps):
    accounts = founded(a=100, b=50, c=0)
    for each in steps:
        before = accounts
        try:
            accounts = done(before, *each)
        except ValueError:
            continue
        assert accounts.fault() is None
        assert accounts.minted >= before.minted and (each[0] == "reward" or accounts.minted == before.minted)
        if each[0] not in ("reward", "renew"):
            assert sum(accounts.validity.values()) <= sum(before.validity.values())
        assert Accounts.from_value(decode(encode(accounts.to_value()))) == accounts


def test_locking_takes_only_what_is_free_and_once():
    accounts = founded(a=10, b=0).lock(A, "x", 6)
    assert (accounts.free[A], accounts.deposit(A, "x"), accounts.holdings(A)) == (4, 6, 10)
    for purpose, coins in (("y", 5), ("x", 1)):
        with pytest.raises(ValueError, match="cannot lock"):
            accounts.lock(A, purpose, coins)
    assert accounts.returned(A, "x") == founded(a=10, b=0)
    assert accounts.returned(A, "y") == accounts


def test_what_is_forfeited_goes_where_it_should_and_the_rest_into_the_pot():
    accounts = founded(a=10, b=1, c=1).lock(A, "x", 10).forfeited(A, "x", {B: 4, C: 3})
    assert (accounts.holdings(A), accounts.free, accounts.pot) == (0, {"a": 0, "b": 5, "c": 4}, 3)
    for payments in ({B: 11}, {A: 1}):
        with pytest.raises(ValueError, match="cannot pay"):
            founded(a=10, b=1, c=1).lock(A, "x", 10).forfeited(A, "x", payments)


def test_rewards_come_out_of_the_pot_first_and_then_are_new_coins():
    accounts = founded(a=10, b=0, c=0).lock(A, "x", 10).forfeited(A, "x", {})
    accounts = accounts.rewarded({B: 6, C: 2})
    assert (accounts.pot, accounts.minted) == (2, 10)
    accounts = accounts.rewarded({B: 3, C: 3})
    assert (accounts.pot, accounts.minted, accounts.free) == (0, 14, {"a": 0, "b": 9, "c": 5})
    assert accounts.validity == {"a": 0, "b": 2, "c": 2}, "coins of the pot come spent, new ones are valid"


def test_coins_that_change_hands_are_spent_and_spent_ones_are_lost_first():
    spent = founded(a=10, b=0).led(A)
    assert spent.validity == {"a": 0, "b": 0}
    fresh = replace(spent, validity={"a": 4, "b": 0}).lock(A, "x", 5)
    assert fresh.forfeited(A, "x", {B: 5}).validity == {"a": 4, "b": 0}
    assert fresh.returned(A, "x").lock(A, "x", 8).forfeited(A, "x", {B: 8}).validity == {"a": 2, "b": 0}


def test_a_new_era_makes_every_coin_valid_locked_ones_too():
    accounts = founded(a=10, b=5).lock(A, "x", 4).led(A).led(B).renewed()
    assert (accounts.validity, accounts.era) == ({"a": 10, "b": 5}, 1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"pot": 1}, "11 coins of 10"),
        ({"free": {"a": -1}}, "less than nothing"),
        ({"validity": {"a": 11}}, "a has more valid coins"),
        ({"validity": {}}, "different members"),
    ],
)
def test_accounts_that_do_not_add_up_are_noticed(change, says):
    assert says in replace(founded(a=10), **change).fault()


# --- penalties and payoffs -------------------------------------------------------------------------------------------


@given(st.integers(2, 9), st.data())
def test_who_does_its_part_never_pays_and_everybody_else_pays_the_same(n, data):
    members = [MemberId(f"m{i}") for i in range(n)]
    roles = data.draw(st.lists(st.sampled_from(["correct", "deviating", "blameless"]), min_size=n, max_size=n))
    deposit = data.draw(st.integers(n, 1000))
    correct = {m for m, role in zip(members, roles, strict=True) if role == "correct"}
    deviating = {m for m, role in zip(members, roles, strict=True) if role == "deviating"}
    accounts = Accounts.founded(dict.fromkeys(members, deposit))
    for each in members:
        accounts = accounts.lock(each, "x", deposit)
    after = settled(accounts, "x", deviating=deviating, correct=correct, members=n)
    assert after.fault() is None
    each_gets = share(deposit, n)
    for each in members:
        if each in deviating:
            assert after.holdings(each) == 0
        elif each in correct:
            assert after.holdings(each) == deposit + each_gets * len(deviating)
        else:
            assert after.holdings(each) == deposit
    assert after.pot == len(deviating) * (deposit - each_gets * len(correct))


def test_a_deposit_of_n_minus_1_shares_gives_each_of_the_others_its_share():
    assert [share(300, 4), share(301, 4), share(5, 1)] == [100, 100, 5]


@given(st.integers(0, 10**6), st.dictionaries(member, st.integers(0, 5)))
def test_payoffs_are_in_proportion_and_never_more_than_the_reward(reward, contributions):
    paid = payoffs(reward, contributions)
    total = sum(contributions.values())
    assert sum(paid.values()) <= reward
    assert not total or sum(paid.values()) > reward - len(paid)
    for each, own in contributions.items():
        assert paid.get(each, 0) == (reward * own // total if total else 0)
