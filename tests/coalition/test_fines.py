"""Theorems 1 and 2: the bound is the paper's, and the smallest fine above it makes dishonesty lose."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tclearn.coalition.fines import ratio, smallest_fine

MILLION = 1_000_000
chances = st.tuples(st.integers(1, MILLION), st.integers(0, MILLION - 1))


def expected(reward, fine, noticed, honest):
    """π(1 − c) − f·c: what a member can expect that is honest with a chance, work left out."""
    caught = Fraction(noticed, MILLION) * (1 - honest)
    return reward * (1 - caught) - fine * caught


@given(chances, st.integers(1, 10**9), st.fractions(0, 1))
def test_with_the_smallest_fine_whoever_is_honest_no_more_than_theta_loses(given_chances, reward, part):
    noticed, theta = given_chances
    fine = smallest_fine(reward, noticed, theta)
    honest = part * Fraction(theta, MILLION)  # any chance up to θ
    assert expected(reward, fine, noticed, honest) < 0


@given(chances, st.integers(1, 10**9))
def test_with_a_coin_less_somebody_gains_or_breaks_even(given_chances, reward):
    noticed, theta = given_chances
    fine = smallest_fine(reward, noticed, theta) - 1
    assert expected(reward, fine, noticed, Fraction(theta, MILLION)) >= 0


def test_the_bound_in_numbers():
    assert ratio(MILLION, 500_000) == 1  # c = 1/2
    assert ratio(MILLION, 0) == 0  # always caught: any fine will do
    assert ratio(MILLION * 2 // 3, 500_000) > 2  # "no more than 2" in practice needs c of a third
    assert ratio(900_000, 500_000) == Fraction(11, 9)
    assert ratio(900_000, 500_000, Fraction(1, 7)) == Fraction(77, 9)  # theorem 2, one of seven workers
    assert smallest_fine(90, 900_000, 500_000) == 111  # above 110, not at it
    assert smallest_fine(0, 900_000, 500_000) == 1


@pytest.mark.parametrize(
    "wrong", [(0, 0, 1), (MILLION + 1, 0, 1), (1, MILLION, 1), (1, -1, 1), (1, 1, 0), (1, 1, Fraction(3, 2))]
)
def test_chances_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="no bound"):
        ratio(*wrong)
