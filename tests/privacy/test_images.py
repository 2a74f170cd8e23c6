"""PSNR, SSIM and the assignment, against values of others."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tclearn.errors import UsageError
from tclearn.privacy.images import PSNR_MAX_DB, assigned, likeness, matched, psnr, ssim


def pair(name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    small = np.arange(64).reshape(8, 8) / 63
    large = np.sin(np.arange(784)).reshape(28, 28) / 2 + 0.5
    other = np.cos(1.01 * np.arange(784)).reshape(28, 28) / 2 + 0.5
    pairs = {
        "upside down": (small, small[::-1]),
        "striped": (small, np.clip(small + 0.1 * (np.arange(64).reshape(8, 8) % 3 - 1), 0, 1)),
        "darker": (small, small / 2),
        "unlike": (large, other),
        "mixed": (large, 0.7 * large + 0.3 * other),
    }
    first, second = pairs[name]
    return first[None, None], second[None, None]


# As scikit-image 0.26 computes them: structural_similarity and peak_signal_noise_ratio with data_range=1.
PEERS = {
    "upside down": (-0.9257079823687879, 4.70281830189357),
    "striped": (0.9531838034588584, 22.08900568193649),
    "darker": (0.6417582471026773, 10.75748070209231),
    "unlike": (0.015379527647519077, 5.513781606559594),
    "mixed": (0.8738692389559198, 15.971356512166345),
}


@pytest.mark.parametrize("name", PEERS)
def test_as_scikit_image_computes_them(name: str) -> None:
    first, second = pair(name)
    assert ssim(first, second)[0] == pytest.approx(PEERS[name][0], abs=1e-12)
    assert psnr(first, second)[0] == pytest.approx(PEERS[name][1], abs=1e-9)
    assert ssim(first, second)[0] == ssim(second, first)[0]


def test_flat_and_equal_images() -> None:
    flat = [np.full((1, 1, 9, 9), grey) for grey in (0.2, 0.6)]
    assert psnr(*flat)[0] == pytest.approx(-20 * np.log10(0.4))
    assert ssim(*flat)[0] == pytest.approx((2 * 0.12 + 1e-4) / (0.04 + 0.36 + 1e-4))
    assert (psnr(flat[0], flat[0])[0], ssim(flat[0], flat[0])[0]) == (PSNR_MAX_DB, 1)


def test_the_assignment_has_the_least_cost() -> None:
    random = np.random.default_rng(1)
    for size in (1, 2, 3, 5, 6):
        for cost in (random.random((size, size)), random.integers(0, 3, (size, size)).astype(float)):
            rows = np.arange(size)
            least = min(cost[rows, list(each)].sum() for each in permutations(range(size)))
            found = assigned(cost)
            assert sorted(found) == list(rows)
            assert cost[rows, found].sum() == pytest.approx(least)


def test_the_assignment_is_scipys() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    cost = np.random.default_rng(2).random((70, 70))
    assert list(assigned(cost)) == list(optimize.linear_sum_assignment(cost)[1])


def test_the_order_of_rebuilt_images_does_not_matter() -> None:
    random = np.random.default_rng(3)
    true = random.random((6, 1, 8, 8))
    near = true + 0.05 * random.standard_normal(true.shape)
    moved = random.permutation(6)
    assert list(moved[matched(true, near[moved])]) == list(range(6))
    grey = np.full_like(true, 0.5)
    found = likeness(true, near[moved], grey)
    assert found == likeness(true, near, grey)
    assert found.gain == pytest.approx(found.psnr - found.known)
    assert found.most > found.gain > 10 and found.ssim > 0.9


def test_what_is_compared_must_be_images_of_one_shape() -> None:
    one = np.zeros((1, 1, 8, 8))
    for measure in (psnr, ssim, matched):
        with pytest.raises(UsageError, match="expected two arrays of one shape"):
            measure(one, np.zeros((2, 1, 8, 8)))
        with pytest.raises(UsageError, match="expected two arrays of one shape"):
            measure(one[0], one[0])
    with pytest.raises(UsageError, match="expected at least 7 × 7"):
        ssim(one[..., :6], one[..., :6])
