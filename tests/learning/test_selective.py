"""Selective sharing: never more than the share, never beyond the bound, with the noise that it is paid for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tclearn.coalition.privacy import upload_limit
from tclearn.coalition.terms import PrivacyTerms
from tclearn.learning.noise import Noise
from tclearn.learning.parameters import Parameters
from tclearn.learning.selective import shared

TERMS = PrivacyTerms("shokri", 10_000, share_ppm=100_000, selection="random", threshold_ppm=0, epsilon_ppm=10**6)


def parameters(values, count=0) -> Parameters:
    flat = np.asarray(values, np.float64)
    return Parameters({"a": flat[: len(flat) // 2], "b": flat[len(flat) // 2 :], "steps": np.array(count)})


def difference(start: Parameters, offered: Parameters) -> np.ndarray:
    return np.concatenate([offered[name] - start[name] for name in ("a", "b")])


@settings(deadline=None, max_examples=60)
@given(
    change=arrays(np.float64, st.integers(2, 120), elements=st.floats(-5, 5)),
    share=st.integers(1, 10**6),
    bound=st.integers(1, 2 * 10**6),
    epsilon=st.integers(1, 10**9),
    selection=st.sampled_from(["random", "largest"]),
    threshold=st.integers(0, 10**6),
    seed=st.integers(0, 2**32),
)
def test_share_and_bound_hold_exactly(change, share, bound, epsilon, selection, threshold, seed) -> None:
    terms = PrivacyTerms(
        "shokri",
        bound,
        share_ppm=share,
        selection=selection,
        threshold_ppm=threshold if selection == "random" else None,
        epsilon_ppm=epsilon,
    )
    start, trained = parameters(np.zeros(len(change))), parameters(change, count=9)
    offered, event = shared(start, trained, terms, Noise.seeded(seed, "test"))
    moved = difference(start, offered)
    limit = max(1, share * len(change) // 10**6)
    assert limit == upload_limit(terms, start.layout)
    assert np.count_nonzero(moved) <= (event.released or 0) <= limit
    assert selection == "random" or event.released == limit
    assert np.abs(moved).max() <= bound / 10**6
    assert offered["steps"] == 0  # what is no real number is not uploaded
    assert (event.mechanism, event.clip_ppm, event.epsilon_ppm) == ("shokri", bound, epsilon)


def test_with_a_huge_epsilon_it_is_selection_and_clipping_alone() -> None:
    change = np.linspace(-0.02, 0.02, 200)
    exact = replace(TERMS, epsilon_ppm=10**15, threshold_ppm=None, selection="largest")
    start = parameters(np.zeros(200))
    offered, event = shared(start, parameters(change), exact, Noise.seeded(1, "test"))
    moved = difference(start, offered)
    assert event.released == np.count_nonzero(moved) == 20
    # The twenty largest are all beyond the bound or near it: ten at each end, clipped to 0.01.
    assert np.allclose(np.abs(moved[moved != 0]), 0.01, atol=1e-9)
    above = replace(TERMS, epsilon_ppm=10**15, threshold_ppm=9_000, share_ppm=10**6)
    offered, event = shared(start, parameters(change), above, Noise.seeded(1, "test"))
    moved = difference(start, offered)
    assert np.array_equal(moved != 0, np.abs(change) >= 0.009)


def test_what_is_not_uploaded_is_the_very_same_number() -> None:
    start = parameters(np.random.default_rng(1).standard_normal(100) * 1e3)
    offered, event = shared(start, parameters(np.ones(100)), TERMS, Noise.seeded(1, "test"))
    same = difference(start, offered) == 0
    assert same.sum() >= 100 - (event.released or 0) >= 90


@pytest.mark.parametrize("selection", ["random", "largest"])
def test_values_have_laplace_noise_of_nine_sensitivities_over_epsilon(selection: str) -> None:
    # A bound so wide that clipping the noisy value does nothing; there is no threshold to speak of.
    epsilon = 900.0
    terms = PrivacyTerms(
        "shokri", 10**6, share_ppm=10**6, selection=selection, epsilon_ppm=int(epsilon * 1e6),
        threshold_ppm=0 if selection == "random" else None,
    )  # fmt: skip
    start = parameters(np.zeros(40_000))
    offered, event = shared(start, start, terms, Noise.seeded(3, "test"))
    assert (event.released or 0) > 5_000
    moved = difference(start, offered)
    drawn = moved[moved != 0]
    scale = 9 * 2.0 / epsilon  # Δf = 2γ = 2
    assert np.mean(np.abs(drawn)) == pytest.approx(scale, rel=0.03)


def test_the_choice_is_noisy_as_far_as_epsilon_says() -> None:
    change = np.concatenate([np.full(50, 1.0), np.zeros(450)])
    start, trained = parameters(np.zeros(500)), parameters(change)
    hits = {}
    for epsilon in (0.1, 1000.0):
        for selection in ("random", "largest"):
            terms = PrivacyTerms(
                "shokri", 10**6, share_ppm=100_000, selection=selection, epsilon_ppm=int(epsilon * 1e6),
                threshold_ppm=500_000 if selection == "random" else None,
            )  # fmt: skip
            offered, event = shared(start, trained, terms, Noise.seeded(5, "test"))
            hits[epsilon, selection] = np.count_nonzero(difference(start, offered)[:50])
            assert event.released is not None and event.released > 0
    assert hits[1000.0, "random"] >= 45 and hits[1000.0, "largest"] >= 45
    assert hits[0.1, "random"] <= 15 and hits[0.1, "largest"] <= 15


def test_neighbours_are_not_told_apart_by_more_than_epsilon() -> None:
    # One parameter, uploaded always: the ratio of any outcome's chances is at most exp(ε) (here: of the sign).
    terms = PrivacyTerms("shokri", 10**6, share_ppm=10**6, selection="largest", epsilon_ppm=2 * 10**6)
    start = parameters([0.0, 0.0])
    noise = Noise.seeded(1, "test")
    positive = []
    for value in (-1.0, 1.0):
        moved = [difference(start, shared(start, parameters([value, 0.0]), terms, noise)[0])[0] for _ in range(4000)]
        positive.append(np.mean(np.array(moved) > 0))
    assert positive[1] / positive[0] <= np.exp(2.0)
    # The value has ε/9 of it: e^(2/9) = 1.25 between the most different values.
    assert positive[1] / positive[0] == pytest.approx(np.exp(2 / 9), rel=0.1)
