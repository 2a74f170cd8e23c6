"""How well scores tell two groups apart: area under the curve, true positives at few false ones, and intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tclearn.errors import Code, UsageError
from tclearn.learning.drawing import derived

Scores = NDArray[np.floating[Any]]
Groups = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and what lies between its 2.5th and 97.5th bootstrap percentile."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Curve:
    """What a receiver operating characteristic comes down to.

    Attributes:
        auc: chance that a member's score is higher than that of another; .5 for blind guessing.
        tpr: share of the members that are found ...
        fpr: ... when at most this share of the others is taken for members.
    """

    auc: Interval
    tpr: Interval
    fpr: float


def curve(scores: Scores, members: Groups, *, fpr: float = 0.01, resamples: int = 500, seed: int = 0) -> Curve:
    """Measure scores, with intervals by drawing records with replacement.

    Args:
        scores: ``(targets, records)``; higher for members.
        members: of the same shape: who was one.
        fpr: share of false positives, 0 to 1.
        resamples: of the bootstrap. A record is drawn with its scores under all targets, which are not independent.
        seed: of the bootstrap.

    Raises:
        UsageError: the shapes differ, a score is NaN, or one of the groups is empty.
    """
    if scores.shape != members.shape or scores.ndim != 2:
        raise UsageError(
            Code.USAGE,
            f"scores of shape {scores.shape}, members of shape {members.shape}",
            expected="two arrays (targets, records)",
        )
    if np.isnan(scores).any():
        raise UsageError(Code.USAGE, "a score is NaN", expected="numbers")
    random = np.random.Generator(np.random.Philox(derived(seed, "bootstrap")))
    drawn = []
    for _ in range(resamples):
        chosen = random.integers(0, scores.shape[1], scores.shape[1])
        if 0 < members[:, chosen].sum() < members.size:
            drawn.append(_figures(scores[:, chosen], members[:, chosen], fpr))
    figures = _figures(scores, members, fpr)
    low, high = np.percentile(np.array([*drawn, figures]), [2.5, 97.5], axis=0)
    auc, tpr = (Interval(*map(float, each)) for each in zip(figures, low, high, strict=True))
    return Curve(auc, tpr, fpr)


def auc(scores: Scores, members: Groups) -> float:
    """Area under the curve; ties count half.

    Raises:
        UsageError: one of the groups is empty.
    """
    flat, positive = scores.ravel(), members.ravel()
    count = int(positive.sum())
    if not 0 < count < len(flat):
        raise UsageError(Code.USAGE, f"{count} members of {len(flat)}", expected="some, and some that are none")
    _, place, repeated = np.unique(flat, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(repeated) - (repeated - 1) / 2)[place]
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(flat) - count)))


def true_positives(scores: Scores, members: Groups, fpr: float) -> float:
    """Share of the members above the threshold that at most a share ``fpr`` of the others exceeds."""
    others = np.sort(scores[~members])[::-1]
    threshold = others[min(int(fpr * len(others)), len(others) - 1)]
    return float((scores[members] > threshold).mean())


def _figures(scores: Scores, members: Groups, fpr: float) -> tuple[float, float]:
    return auc(scores, members), true_positives(scores, members, fpr)
