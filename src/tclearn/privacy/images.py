"""How alike two images are, and which rebuilt image belongs to which true one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tclearn.errors import Code, UsageError

PSNR_MAX_DB: Final = 100.0
"""What equal images get, instead of infinity."""
WINDOW: Final = 7
"""Side of the window of SSIM, pixels."""
_C1: Final = 0.01**2
_C2: Final = 0.03**2

Images = NDArray[np.floating[Any]]
"""``(n, channels, height, width)``, 0 to 1."""


def psnr(true: Images, rebuilt: Images) -> NDArray[np.float64]:
    """Peak signal-to-noise ratio of each pair of images.

    Args:
        true: ``(n, channels, height, width)``, 0 to 1.
        rebuilt: of the same shape.

    Returns:
        ``(n,)``, dB: 10 · log10(1 / mean squared error), at most ``PSNR_MAX_DB``.

    Raises:
        UsageError: the shapes differ, or are not those of images.
    """
    error = ((_checked(true, rebuilt) - rebuilt) ** 2).mean(axis=(1, 2, 3))
    result: NDArray[np.float64] = -10 * np.log10(np.maximum(error, 10 ** (-PSNR_MAX_DB / 10)))
    return result


def ssim(true: Images, rebuilt: Images) -> NDArray[np.float64]:
    """Structural similarity of each pair of images, in square windows of ``WINDOW`` pixels, averaged.

    Source: Wang, Bovik, Sheikh, Simoncelli 2004, eq. 13, with K1 = .01, K2 = .03, a uniform window, and variances
    divided by one less than its pixels.

    Args:
        true: ``(n, channels, height, width)``, 0 to 1, at least ``WINDOW`` pixels high and wide.
        rebuilt: of the same shape.

    Returns:
        ``(n,)``, -1 to 1; 1 for equal images.

    Raises:
        UsageError: the shapes differ, are not those of images, or are too small.
    """
    first = _checked(true, rebuilt)
    second = np.asarray(rebuilt, dtype=np.float64)
    if min(first.shape[2:]) < WINDOW:
        raise UsageError(
            Code.USAGE,
            f"images of {first.shape[2:]} pixels",
            expected=f"at least {WINDOW} × {WINDOW}",
        )
    mean_1, mean_2 = _windowed(first), _windowed(second)
    unbiased = WINDOW**2 / (WINDOW**2 - 1)
    variance_1 = unbiased * (_windowed(first**2) - mean_1**2)
    variance_2 = unbiased * (_windowed(second**2) - mean_2**2)
    covariance = unbiased * (_windowed(first * second) - mean_1 * mean_2)
    alike = (2 * mean_1 * mean_2 + _C1) * (2 * covariance + _C2)
    apart = (mean_1**2 + mean_2**2 + _C1) * (variance_1 + variance_2 + _C2)
    result: NDArray[np.float64] = (alike / apart).mean(axis=(1, 2, 3))
    return result


def matched(true: Images, rebuilt: Images) -> NDArray[np.intp]:
    """The assignment of rebuilt images to true ones with the least sum of squared errors.

    An increment does not tell in which order its records were; so this is the order that is kindest to the attack.

    Args:
        true: ``(n, channels, height, width)``.
        rebuilt: of the same shape.

    Returns:
        ``(n,)``: for each true image the position of the rebuilt one, each once.

    Raises:
        UsageError: the shapes differ, or are not those of images.
    """
    first = _checked(true, rebuilt).reshape(len(true), -1)
    second = np.asarray(rebuilt, dtype=np.float64).reshape(len(rebuilt), -1)
    return assigned(((first[:, None] - second[None]) ** 2).sum(axis=2))


@dataclass(frozen=True, slots=True)
class Likeness:
    """Rebuilt images beside true ones, and beside what is known without the attack.

    Attributes:
        psnr: mean over the images, dB, after the best assignment.
        ssim: mean over the images.
        known: mean PSNR of what is known anyway.
        gain: ``psnr`` less ``known``.
        most: the largest gain of a single image: the most exposed record.
    """

    psnr: float
    ssim: float
    known: float
    gain: float
    most: float


def likeness(true: Images, rebuilt: Images, known: Images) -> Likeness:
    """Compare rebuilt images with true ones, in the order that is kindest to the attack.

    Args:
        true: ``(n, channels, height, width)``, 0 to 1.
        rebuilt: of the same shape, in any order.
        known: of the same shape, such as a grey image or the mean of the class; assigned in the same way.

    Raises:
        UsageError: the shapes differ, are not those of images, or are too small for SSIM.
    """
    found, plain = rebuilt[matched(true, rebuilt)], known[matched(true, known)]
    reached, baseline = psnr(true, found), psnr(true, plain)
    gains = reached - baseline
    return Likeness(
        psnr=float(reached.mean()),
        ssim=float(ssim(true, found).mean()),
        known=float(baseline.mean()),
        gain=float(gains.mean()),
        most=float(gains.max()),
    )


def assigned(cost: NDArray[np.float64]) -> NDArray[np.intp]:
    """One column for each row, each once, with the least sum.

    Source: Jonker and Volgenant 1987: shortest augmenting paths, O(n³).

    Args:
        cost: ``(n, n)``, finite.

    Returns:
        ``(n,)``: the column of each row.
    """
    size = len(cost)
    of_row, of_column = np.zeros(size), np.zeros(size)
    row_of = np.full(size, -1)
    for start in range(size):
        shortest, came_from, done = np.full(size, np.inf), np.full(size, -1), np.zeros(size, dtype=np.bool_)
        row, reached, column = start, 0.0, -1
        tree = [start]
        while row >= 0:
            through = reached + cost[row] - of_row[row] - of_column
            better = ~done & (through < shortest)
            shortest[better], came_from[better] = through[better], column
            column = int(np.argmin(np.where(done, np.inf, shortest)))
            reached, done[column] = float(shortest[column]), True
            row = int(row_of[column])
            if row >= 0:
                tree.append(row)
        of_row[start] += reached
        for other in tree[1:]:
            of_row[other] += reached - shortest[row_of == other][0]
        of_column[done] -= reached - shortest[done]
        while column >= 0:
            before = int(came_from[column])
            row_of[column] = row_of[before] if before >= 0 else start
            column = before
    return np.argsort(row_of)


def _windowed(images: NDArray[np.float64]) -> NDArray[np.float64]:
    windows = sliding_window_view(images, (WINDOW, WINDOW), axis=(2, 3))
    means: NDArray[np.float64] = windows.mean(axis=(4, 5))
    return means


def _checked(true: Images, rebuilt: Images) -> NDArray[np.float64]:
    if true.shape != rebuilt.shape or true.ndim != 4 or not true.size:
        raise UsageError(
            Code.USAGE,
            f"images of shapes {true.shape} and {rebuilt.shape}",
            expected="two arrays of one shape (n, channels, height, width)",
        )
    return np.asarray(true, dtype=np.float64)
