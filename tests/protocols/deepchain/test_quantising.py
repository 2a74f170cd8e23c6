"""Real numbers to steps and back: the nearest step, no further than the clip, as exact arithmetic has it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocols.deepchain.training import CLIP

from tclearn.errors import Code, DataError, ParametersError
from tclearn.learning.parameters import Parameters
from tclearn.paillier.packing import Layout
from tclearn.protocols.deepchain.agent.quantising import CLIP_UNIT, dequantise, gradient, quantise, stepped

LEVELS = 32767
LAYOUT = Layout(512, (1, 1))
values = st.lists(st.floats(-4, 4, allow_subnormal=False), min_size=1, max_size=50)
clips = st.integers(1, 1 << 45)


@given(values, clips)
def test_what_comes_back_is_within_half_a_step_of_what_was_clipped(given_values, clip):
    array, most = np.array(given_values), clip / CLIP_UNIT
    steps = quantise(array, clip, LEVELS)
    assert abs(steps).max() <= LEVELS
    error = np.abs(dequantise(steps, 1, clip, LEVELS) - np.clip(array, -most, most))
    assert error.max() <= most / LEVELS * (0.5 + 1e-9)


@given(st.lists(st.integers(-(1 << 42), 1 << 42), min_size=1, max_size=20))
def test_steps_are_those_of_the_packing_for_what_is_exact_in_both(units):
    # Multiples of 2^-40 are exact as floats; the packing's own arithmetic is with whole numbers.
    exact = [Fraction(max(-CLIP, min(CLIP, unit)) * LEVELS, CLIP) for unit in units]
    found = quantise(np.array(units) / CLIP_UNIT, CLIP, LEVELS)
    for step, own, at in zip(found, LAYOUT.quantise(units, CLIP), exact, strict=True):
        tie = abs(abs(at - int(at)) - Fraction(1, 2)) < Fraction(1, 1 << 30)
        assert step == own or tie


def test_the_ends_and_the_middle():
    most = CLIP / CLIP_UNIT
    found = quantise(np.array([-1e300, -most, -0.0, 0.0, most, 1e300]), CLIP, LEVELS)
    assert found.tolist() == [-LEVELS, -LEVELS, 0, 0, LEVELS, LEVELS]
    assert LAYOUT.pack(found.tolist())  # what is quantised fits


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_training_that_failed_is_not_encrypted(bad):
    with pytest.raises(DataError, match="1 of 3 values") as raised:
        quantise(np.array([0.1, bad, 0.2]), CLIP, LEVELS)
    assert raised.value.code is Code.TRAINING_FAILED


@given(st.lists(st.integers(-LEVELS * 256, LEVELS * 256), min_size=1), st.integers(1, 256))
def test_means_are_divided_once_and_exactly_rounded(sums, divisor):
    found = dequantise(np.array(sums), divisor, CLIP, LEVELS)
    for total, mean in zip(sums, found, strict=True):
        exact = Fraction(total) * CLIP / CLIP_UNIT / (LEVELS * divisor)
        assert abs(Fraction(float(mean)) - exact) <= abs(exact) / (1 << 51)


def model(*, second: str = "f4") -> Parameters:
    return Parameters({"b": np.array([[1, 2], [3, 4]], "f8"), "a": np.array([5, 6, 7], second)})


def test_a_gradient_is_the_way_back_from_what_was_trained():
    start = model()
    trained = Parameters({"a": start["a"] - 1, "b": start["b"] * 2})
    change = gradient(start, trained)
    assert change.tolist() == [1, 1, 1, -1, -2, -3, -4]  # by name: a before b
    assert stepped(start, change) == trained
    with pytest.raises(ParametersError):
        gradient(start, model(second="f8"))
