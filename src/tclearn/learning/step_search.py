"""How far to go: the length of a proposer's step, chosen before it proposes.

On its own hold-out, a member with another mixture of classes than the others finds the whole step good, and is turned
down. On G it finds what the others will accept; G is then no longer a set that nobody has chosen by.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Final

from tclearn.learning.parameters import Parameters, along

STEPS: Final = (1.0, 0.6, 0.35, 0.2)
"""The lengths that are tried, longest first."""


def search_step(
    start: Parameters, candidate: Parameters, performance: Callable[[Parameters], Fraction | None]
) -> tuple[Parameters, float]:
    """The best of M + a·Δ; of equally good ones the longest step.

    Args:
        start: M.
        candidate: M + Δ.
        performance: what a model reaches on the set that is searched on, 0 to 1; ``None`` where it cannot be measured.

    Returns:
        The model to propose, and its a; ``candidate`` and 1 when that set says nothing.
    """
    best, best_step, best_performance = candidate, 1.0, performance(candidate)
    if best_performance is None:
        return best, best_step
    for step in STEPS[1:]:
        shorter = along(start, candidate, step)
        reached = performance(shorter)
        if reached is not None and reached > best_performance:
            best, best_step, best_performance = shorter, step, reached
    return best, best_step
