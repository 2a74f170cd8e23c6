"""The step search: best on the hold-out, the longest of equals."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from tclearn.learning.parameters import Parameters
from tclearn.learning.step_search import STEPS, search_step

START, CANDIDATE = (Parameters({"w": np.array([value], np.float64)}) for value in (1.0, 2.0))


def chosen(performances: dict[float, int]) -> float:
    def performance(parameters: Parameters) -> Fraction:
        step = round(float(parameters["w"][0]) - 1, 6)
        return Fraction(performances[step], 100)

    best, step = search_step(START, CANDIDATE, performance)
    assert best["w"][0] == pytest.approx(1 + step)
    return step


def test_best_wins() -> None:
    assert chosen({1.0: 10, 0.6: 30, 0.35: 20, 0.2: 5}) == 0.6
    assert chosen({1.0: 10, 0.6: 10, 0.35: 20, 0.2: 21}) == 0.2


def test_of_equals_the_longest() -> None:
    assert chosen(dict.fromkeys(STEPS, 50)) == 1.0
    assert chosen({1.0: 10, 0.6: 30, 0.35: 30, 0.2: 30}) == 0.6


def test_nothing_to_measure_on() -> None:
    best, step = search_step(START, CANDIDATE, lambda _: None)
    assert best is CANDIDATE
    assert step == 1.0
