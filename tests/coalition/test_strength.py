"""Strengths are equation 2, exactly; draw weights are its integers with the cap."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from tclearn.coalition.block import strengths_ppm
from tclearn.coalition.strength import draw_weights, strengths
from tclearn.encoding import MemberId

contributions = st.dictionaries(
    st.integers(0, 63).map(lambda i: MemberId(f"m{i}")), st.integers(0, 10**9), min_size=2, max_size=40
)


@given(contributions)
def test_strength_is_equation_2(samples):
    members, total = len(samples), sum(samples.values())
    for member, strength in strengths(samples).items():
        expected = Fraction(1, members) + (Fraction(samples[member], total) if total else 0)
        assert strength == expected
    assert sum(strengths(samples).values()) == (2 if total else 1)


@given(contributions)
def test_published_strength_is_equation_2_in_millionths_rounded_down(samples):
    exact = strengths(samples)
    for member, ppm in strengths_ppm(samples).items():
        assert 0 <= exact[MemberId(member)] * 1_000_000 - ppm < 1


@given(contributions)
def test_weights_are_strengths_as_integers_until_the_cap(samples):
    weights, total = draw_weights(samples), sum(samples.values())
    own = sorted(value for value in samples.values() if value)
    if total == 0:
        assert set(weights.values()) == {1}
        return
    cap = 2 * own[(len(own) - 1) // 2]
    for member, weight in weights.items():
        uncapped = strengths(samples)[member] * len(samples) * total
        assert weight == uncapped if samples[member] <= cap else weight == total + len(samples) * cap


def test_a_false_contribution_a_thousand_times_too_large_wins_no_more_than_the_cap_gives():
    honest = {MemberId(f"m{i}"): 100 for i in range(9)}
    liar = MemberId("liar")
    share = draw_weights({**honest, liar: 100_000})[liar] / sum(draw_weights({**honest, liar: 100_000}).values())
    assert share < 0.11  # uncapped: 0.54
