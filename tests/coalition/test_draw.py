"""The draw: deterministic, weighted without replacement, with exactly the frequencies that the weights ask for."""

from collections import Counter
from fractions import Fraction
from itertools import combinations, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from tclearn.coalition.draw import committee, committee_size, permutation
from tclearn.coalition.quorum import faulty_max, quorum
from tclearn.coalition.strength import draw_weights
from tclearn.encoding import MemberId, digest


def members(n):
    return [MemberId(f"m{i:03d}") for i in range(n)]


@given(st.binary(min_size=1, max_size=8), st.lists(st.integers(1, 10**12), min_size=1, max_size=30))
def test_a_permutation_holds_everybody_once_and_does_not_depend_on_order(seed, weights):
    named = dict(zip(members(len(weights)), weights, strict=True))
    drawn = permutation(digest("test", seed), named)
    assert sorted(drawn) == sorted(named)
    assert drawn == permutation(digest("test", seed), dict(reversed(named.items())))


def subset_probability(subset, weights):
    """Exact chance that sequential weighted drawing without replacement takes this subset, in any order."""
    total = Fraction(0)
    for order in permutations(subset):
        left, chance = sum(weights.values()), Fraction(1)
        for member in order:
            chance *= Fraction(weights[member], left)
            left -= weights[member]
        total += chance
    return total


def test_committees_of_4_of_10_come_with_their_exact_frequencies():
    samples = dict(zip(members(10), [0, 10, 20, 30, 50, 80, 130, 210, 340, 550], strict=True))
    weights = draw_weights(samples)
    draws = 20_000
    seen = Counter(frozenset(permutation(digest("draws", i), weights)[:4]) for i in range(draws))
    statistic = 0.0
    for subset in combinations(weights, 4):
        expected = float(draws * subset_probability(subset, weights))
        statistic += (seen[frozenset(subset)] - expected) ** 2 / expected
    assert chi2.sf(statistic, df=210 - 1) > 0.001


def test_the_frequency_check_has_teeth():
    """The same statistic refuses draws that forget the weights."""
    samples = dict(zip(members(10), [0, 10, 20, 30, 50, 80, 130, 210, 340, 550], strict=True))
    weights, flat = draw_weights(samples), dict.fromkeys(samples, 1)
    draws = 2_000
    seen = Counter(frozenset(permutation(digest("draws", i), flat)[:4]) for i in range(draws))
    statistic = 0.0
    for subset in combinations(weights, 4):
        expected = float(draws * subset_probability(subset, weights))
        statistic += (seen[frozenset(subset)] - expected) ** 2 / expected
    assert chi2.sf(statistic, df=210 - 1) < 0.001


@pytest.mark.parametrize("n", range(2, 80))
def test_a_committee_is_large_enough_that_f_members_never_accept_alone(n):
    everybody = members(n)
    drawn = committee(permutation(digest("test", n), dict.fromkeys(everybody, 1)), everybody[0])
    assert len(drawn) == len(set(drawn)) == committee_size(n)
    assert everybody[0] not in drawn
    assert quorum(len(drawn)) > faulty_max(n)
    if n <= 16:
        assert set(drawn) == set(everybody[1:])


@given(st.integers(1, 400))
def test_quorum_is_two_thirds_rounded_up(n):
    assert 3 * quorum(n) >= 2 * n > 3 * (quorum(n) - 1)
