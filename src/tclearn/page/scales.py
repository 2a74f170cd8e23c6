"""Axes: from numbers to places, round ticks, and labels that do not lie on one another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_STEPS: Final = (1, 2, 5, 10)


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight map from an interval of numbers to an interval of places.

    Attributes:
        low: the number at ``start``.
        high: the number at ``end``.
        start: place of ``low``.
        end: place of ``high``.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, number: float) -> float:
        """The place of a number."""
        return self.start + (number - self.low) / (self.high - self.low) * (self.end - self.start)


def step_size(span: float, most: int) -> float:
    """The smallest of 1, 2, 5 × 10^k that divides a span into at most ``most`` parts."""
    power = 10.0 ** math.floor(math.log10(span / most))
    return next(step * power for step in _STEPS if span / (step * power) <= most + 1e-9)


def round_interval(low: float, high: float, most: int, bounds: tuple[float, float]) -> tuple[float, float]:
    """An interval with round ends that holds another one, not beyond ``bounds``.

    Args:
        low: lowest number to show.
        high: highest number to show.
        most: parts that it will be divided into at most.
        bounds: numbers that cannot occur lie outside.
    """
    if high - low < 1e-6:  # performances are millionths
        low, high = low - 0.01, high + 0.01
    step = step_size(high - low, most)
    low = max(math.floor(low / step + 1e-9) * step, bounds[0])
    high = min(math.ceil(high / step - 1e-9) * step, bounds[1])
    return (low, high) if high > low else (low, low + step)


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers from ``low`` to ``high``."""
    step = step_size(high - low, most)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def tick_texts(numbers: Sequence[float]) -> list[str]:
    """Ticks with as many decimals as it takes to tell them apart, and no more."""
    for decimals in range(10):
        texts = [f"{number:.{decimals}f}" for number in numbers]
        if all(abs(float(text) - number) < 1e-9 for text, number in zip(texts, numbers, strict=True)):
            return texts
    return [f"{number:g}" for number in numbers]


def index_ticks(first: int, last: int, most: int) -> list[int]:
    """Whole numbers from ``first`` to ``last``: all when they fit, else the round ones and the first."""
    if last - first < most:
        return list(range(first, last + 1))
    step = max(int(step_size(last - first, most)), 1)
    round_ones = range(-(-first // step) * step, last + 1, step)
    return [first, *(number for number in round_ones if number - first >= step / 2)]


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places as near as possible to those wanted, at least ``gap`` apart, within ``low`` and ``high`` where they fit.

    Args:
        wanted: places, in any order.
        gap: least distance of two.
        low: lowest place.
        high: highest place.

    Returns:
        Places in the order of ``wanted``.
    """
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    # Each group holds labels that touch: [sum of the first places it would like, number of labels].
    groups: list[list[float]] = []
    for index in order:
        groups.append([wanted[index], 1])
        while len(groups) > 1 and _start(groups[-2]) + groups[-2][1] * gap > _start(groups[-1]):
            total, count = groups.pop()
            before = groups[-1]
            before[0] += total - count * before[1] * gap
            before[1] += count
    places: list[float] = []
    for group in groups:
        start = _start(group)
        places += [start + place * gap for place in range(int(group[1]))]
    places = _within(places, gap, low, high)
    result = [0.0] * len(wanted)
    for index, place in zip(order, places, strict=True):
        result[index] = place
    return result


def _start(group: Sequence[float]) -> float:
    return group[0] / group[1]


def _within(places: list[float], gap: float, low: float, high: float) -> list[float]:
    for at in range(len(places)):
        places[at] = max(places[at], low if at == 0 else places[at - 1] + gap)
    for at in reversed(range(len(places))):
        places[at] = min(places[at], high if at == len(places) - 1 else places[at + 1] - gap)
    return places
