"""What the benchmarks share: figures as JSON lines or a table, and measuring two things in turn."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Attributes:
        name: what was measured.
        value: the number.
        unit: its unit; ``"x"`` for a ratio.
        bar: what it should reach at least; ``None``: for information.
        peer: what it was compared with, in the same run.
        at_most: the bar is what it may reach at most.
    """

    name: str
    value: float
    unit: str
    bar: float | None = None
    peer: str = ""
    at_most: bool = False

    @property
    def missed(self) -> bool:
        """Whether the bar is missed."""
        return self.bar is not None and (self.value > self.bar if self.at_most else self.value < self.bar)


def in_turn(rounds: int, *measures: Callable[[], float]) -> list[float]:
    """The median of each measure. They take turns, so that a slow minute of the machine is everybody's."""
    taken: list[list[float]] = [[] for _ in measures]
    for number in range(rounds):
        order = list(enumerate(measures))
        for place, measure in order if number % 2 else order[::-1]:
            taken[place].append(measure())
    return [statistics.median(values) for values in taken]


def show(figures: Sequence[Figure]) -> None:
    """Print one JSON object a line, or with ``--table`` a table; exit with 1 when a bar is missed."""
    if "--table" in sys.argv:
        width = max(len(figure.name) for figure in figures)
        for figure in figures:
            sign = "≤" if figure.at_most else "≥"
            bar = "" if figure.bar is None else f"bar {sign} {figure.bar:g}{'  MISSED' if figure.missed else ''}"
            print(f"{figure.name:<{width}}  {figure.value:>10.4g} {figure.unit:<9} {bar:<16} {figure.peer}".rstrip())
    else:
        for figure in figures:
            print(json.dumps(asdict(figure)))
    sys.exit(1 if any(figure.missed for figure in figures) else 0)
