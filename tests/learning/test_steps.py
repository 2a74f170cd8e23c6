"""How an increment compares with those before it, also where its numbers are finite and their squares are not."""

from __future__ import annotations

import numpy as np
import pytest

from tclearn.learning.parameters import Parameters
from tclearn.learning.steps import compared


def weights(*values: float) -> Parameters:
    return Parameters({"w": np.array(values, dtype=np.float64)})


ZERO = weights(0, 0)
ONE = (ZERO, weights(3, 4))


def test_length_and_likeness() -> None:
    step = compared(ZERO, weights(6, 8), [ONE])
    assert (step.relative_ppm, step.likeness_ppm) == (2_000_000, 1_000_000)
    across = compared(ZERO, weights(4, -3), [ONE])
    assert (across.relative_ppm, across.likeness_ppm) == (1_000_000, 0)
    first = compared(ZERO, weights(1, 1), [])
    assert (first.relative_ppm, first.likeness_ppm) == (None, None)


@pytest.mark.parametrize("huge", [1e154, 1e200, 1.7e308])
def test_a_step_beyond_all_measure_is_longer_than_any(huge: float) -> None:
    step = compared(weights(-huge, huge), weights(huge, -huge), [ONE])
    assert step.relative_ppm == (1 << 63) - 1
    assert step.likeness_ppm is None or 0 <= step.likeness_ppm <= 1_000_000


def test_nothing_is_measured_against_a_step_beyond_all_measure() -> None:
    before = (weights(-1e200, 0), weights(1e200, 0))
    step = compared(ZERO, weights(3, 4), [before])
    assert (step.relative_ppm, step.likeness_ppm) == (None, None)
