"""A leader is drawn by unspent coins: with the right chances, by everybody alike, and not twice with one coin."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from tclearn.coalition.accounts import Accounts
from tclearn.coalition.sortition import leader
from tclearn.encoding import MemberId, digest

COINS = {MemberId(name): coins for name, coins in (("a", 5), ("b", 0), ("c", 20), ("d", 75))}


def test_chances_are_those_of_the_coins():
    draws = 20_000
    seen = Counter(leader(digest("draw", i), COINS) for i in range(draws))
    assert seen[MemberId("b")] == 0
    statistic = sum((seen[m] - draws * coins / 100) ** 2 / (draws * coins / 100) for m, coins in COINS.items() if coins)
    assert chi2.sf(statistic, df=2) > 0.001
    flat = Counter(leader(digest("draw", i), dict.fromkeys(COINS, 1)) for i in range(draws))
    wrong = sum((flat[m] - draws * coins / 100) ** 2 / (draws * coins / 100) for m, coins in COINS.items() if coins)
    assert chi2.sf(wrong, df=2) < 1e-9, "the same statistic refuses draws that forget the coins"


@given(st.binary(max_size=8), st.lists(st.integers(0, 10**15), min_size=1, max_size=20))
def test_everybody_draws_the_same_and_nobody_without_coins(seed, coins):
    named = {MemberId(f"m{i:02d}"): own for i, own in enumerate(coins)}
    drawn = leader(digest("s", seed), named)
    assert drawn == leader(digest("s", seed), dict(reversed(named.items())))
    assert (drawn is None) == (not any(coins))
    assert drawn is None or named[drawn] > 0


def test_a_fixed_draw_stays_what_it_is():
    assert [leader(digest("vector", i), COINS) for i in range(10)] == list("addccccddd")


def test_who_has_led_is_not_drawn_before_the_others():
    accounts = Accounts.founded(dict.fromkeys(COINS, 10))
    led = []
    for i in range(4):
        drawn = leader(digest("turn", i), {MemberId(m): v for m, v in accounts.validity.items()})
        assert drawn is not None
        led.append(drawn)
        accounts = accounts.led(drawn)
    assert sorted(led) == sorted(COINS)
    assert leader(digest("turn", 4), {MemberId(m): v for m, v in accounts.validity.items()}) is None
