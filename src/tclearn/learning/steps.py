"""An increment beside those that were accepted before it: its length and its likeness, as integers."""

from __future__ import annotations

import math
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
    # Finite weights of double precision may have differences and squares that are not: such a step is longer than any.
    with np.errstate(over="ignore", invalid="ignore"):
        norm = _norm(start, candidate)
        norms = [_norm(*pair) for pair in earlier]
        middle = median(norms) if norms else 0.0
        likeness = [
            cosine
            for pair, other in zip(earlier, norms, strict=True)
            if 0 < norm * other < math.inf
            and math.isfinite(cosine := abs(_dot(start, candidate, *pair)) / norm / other)
        ]
    return Step(
        relative_ppm=_millionths(norm / middle) if 0 < middle < math.inf else None,
        likeness_ppm=min(MILLION, _millionths(max(likeness))) if likeness else None,
    )


def _millionths(value: float) -> int:
    return round(value * MILLION) if value * MILLION < _MOST else _MOST


def _norm(before: Parameters, after: Parameters) -> float:
    square = _dot(before, after, before, after)
    return square**0.5 if square >= 0 else math.inf  # NaN: two infinities were subtracted


def _dot(before: Parameters, after: Parameters, before_other: Parameters, after_other: Parameters) -> float:
    total = 0.0
    for name, tensor in after.items():
        if np.issubdtype(tensor.dtype, np.floating):
            one = (tensor.astype(np.float64) - before[name]).reshape(-1)
            other = (after_other[name].astype(np.float64) - before_other[name]).reshape(-1)
            total += float(one @ other)
    return total
