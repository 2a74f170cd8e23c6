"""Which records were trained on: the likelihood-ratio attack, online, with Gaussians of pooled variance.

Source: Carlini et al. 2022, "Membership Inference Attacks From First Principles", §IV and algorithm 1; a variance for
all records together where shadow models are few, §VI.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tclearn.errors import Code, UsageError

Numbers = NDArray[np.floating[Any]]


def confidence(logits: Numbers, targets: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """log(p / (1 - p)) of the probability p that a model gives to the right class.

    Args:
        logits: ``(records, classes)``, two classes at least.
        targets: ``(records,)``, class numbers.

    Returns:
        ``(records,)``: the right logit less the log of the sum of the other exponentials; no rounding of p to 1.

    Raises:
        UsageError: the shapes do not fit.
    """
    if logits.ndim != 2 or logits.shape[1] < 2 or targets.shape != logits.shape[:1]:
        raise UsageError(
            Code.USAGE,
            f"logits of shape {logits.shape} and targets of shape {targets.shape}",
            expected="(records, classes), two classes at least, and (records,)",
        )
    rows = np.arange(len(logits))
    others = logits.astype(np.float64)
    right = others[rows, targets].copy()
    others[rows, targets] = -np.inf
    highest = others.max(axis=1)
    result: NDArray[np.float64] = right - highest - np.log(np.exp(others - highest[:, None]).sum(axis=1))
    return result


def likelihood_ratios(shadows: Numbers, trained_on: NDArray[np.bool_], target: Numbers) -> NDArray[np.float64]:
    """How much likelier the target's confidence is if it was trained on a record than if not.

    Args:
        shadows: ``(models, records)``, their confidences.
        trained_on: of the same shape: whether the shadow model was trained on the record.
        target: ``(records,)``, the confidences of the model that is attacked.

    Returns:
        ``(records,)``: the log of the ratio; 0, undecided, for a record that no shadow model, or every one, has.

    Raises:
        UsageError: the shapes do not fit, or there are too few shadow models for a variance.
    """
    if shadows.shape != trained_on.shape or shadows.ndim != 2 or target.shape != shadows.shape[1:]:
        raise UsageError(
            Code.USAGE,
            f"confidences of shapes {shadows.shape} and {target.shape}, memberships of shape {trained_on.shape}",
            expected="(models, records), (records,) and (models, records)",
        )
    with_it, without = _normal(shadows, trained_on, target), _normal(shadows, ~trained_on, target)
    return np.nan_to_num(with_it - without, nan=0.0)


def _normal(shadows: Numbers, chosen: NDArray[np.bool_], target: Numbers) -> NDArray[np.float64]:
    """Log-density of the target's confidences under those of some of the shadow models; NaN where there is none."""
    count = chosen.sum(axis=0)
    mean = np.where(chosen, shadows, 0).sum(axis=0) / np.where(count, count, np.nan)
    free = int(np.maximum(count - 1, 0).sum())
    if not free:
        raise UsageError(
            Code.USAGE, f"{len(shadows)} shadow models", expected="enough for two of them to share records"
        )
    variance = np.nansum(np.where(chosen, (shadows - mean) ** 2, 0)) / free + 1e-12
    result: NDArray[np.float64] = -0.5 * ((target - mean) ** 2 / variance + np.log(variance))
    return result
