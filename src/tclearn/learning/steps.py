"""An increment beside those that were accepted before it: its length and its likeness, as integers."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import numpy as np

from tclearn.coalition.evidence import MILLION, Step
from tclearn.learning.parameters import Parameters

_MOST: int = (1 << 63) - 1


def compared(start: Parameters, candidate: Parameters, earlier: Sequence[tuple[Parameters, Parameters]]) -> Step:
    """Compare Δ = candidate − start with the increments accepted lately, over all floating-point tensors together.

    Args:
        start: the model that the candidate was trained from.
        candidate: the offered model, finite.
        earlier: for each accepted increment the model before and the model after it.

    Returns:
        Length and likeness, rounded to millionths; sums are taken in double precision.
    """
    norm = _dot(start, candidate, start, candidate) ** 0.5
    norms = [_dot(*pair, *pair) ** 0.5 for pair in earlier]
    middle = median(norms) if norms else 0.0
    likeness = [
        abs(_dot(start, candidate, *pair)) / norm / other
        for pair, other in zip(earlier, norms, strict=True)
        if norm * other
    ]
    return Step(
        relative_ppm=min(_MOST, round(norm / middle * MILLION)) if middle else None,
        likeness_ppm=min(MILLION, round(max(likeness) * MILLION)) if likeness else None,
    )


def _dot(before: Parameters, after: Parameters, before_other: Parameters, after_other: Parameters) -> float:
    total = 0.0
    for name, tensor in after.items():
        if np.issubdtype(tensor.dtype, np.floating):
            one = (tensor.astype(np.float64) - before[name]).reshape(-1)
            other = (after_other[name].astype(np.float64) - before_other[name]).reshape(-1)
            total += float(one @ other)
    return total
