"""Small stand-ins that go through the same code: the digits that scikit-learn ships, enlarged to MNIST's size."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tclearn.learning.datasets import Dataset, load
from tclearn.learning.records import Records
from tclearn.reproduce import digits, hyperparameters, segmentation, unbalanced

FIGURE = digits.Figure(sizes=(60, 80, 100, 120, 150, 180, 220), final=0.5, epochs=6, quick_epochs=1)
SCENE = hyperparameters.Scene(sizes=FIGURE.sizes, epochs=6, later_epochs=3, after=3)
MIXTURES = unbalanced.Scene(records=420, contributions=1, epochs=3, alphas=(0.5,))
CELLS = segmentation.Figure(side=16, partners=3, tested=14, width=4, levels=2, epochs=2, quick_epochs=1)
FIG5, CHANGING, UNBALANCED, FIG4 = "tclearn-fig5", "tclearn-hyperparameters", "tclearn-unbalanced", "tclearn-fig4"


@cache
def mnist() -> Dataset:
    """1,357 and 440 digits of 28 × 28 pixels."""
    small = load("digits")

    def enlarged(records: Records) -> Records:
        images = np.round(records.inputs * 255 / records.inputs.max()).astype(np.uint8).astype(np.float32) / 255
        large = images.reshape(-1, 1, 8, 8).repeat(3, axis=2).repeat(3, axis=3)
        return Records(np.pad(large, ((0, 0), (0, 0), (2, 2), (2, 2))), records.targets)

    return Dataset("mnist", enlarged(small.train), enlarged(small.test), 10)


def write_mnist(folder: Path) -> None:
    """As the file that ``TCLEARN_DATA`` leads to."""
    arrays = {}
    for part in ("train", "test"):
        records = getattr(mnist(), part)
        arrays[f"x_{part}"] = np.round(records.inputs[:, 0] * 255).astype(np.uint8)
        arrays[f"y_{part}"] = records.targets.astype(np.uint8)
    (folder / "mnist").mkdir(parents=True)
    np.savez(folder / "mnist" / "mnist.npz", **arrays)


def cells() -> Records:
    """Forty images of bright squares on noise, and where they are."""
    random = np.random.default_rng(0)
    images, masks = random.random((40, 1, 16, 16)).astype(np.float32) / 2, np.zeros((40, 1, 16, 16), np.uint8)
    for number, (row, column) in enumerate(random.integers(0, 9, (40, 2))):
        masks[number, 0, row : row + 7, column : column + 7] = 1
    return Records(np.clip(images + masks * np.float32(0.4), 0, 1), masks)


def make_small(patch: pytest.MonkeyPatch) -> None:
    """Every experiment with its stand-in, as the command line finds it."""
    patch.setitem(digits.FIGURES, FIG5, FIGURE)
    patch.setattr(digits, "LAMBDA", Decimal("0.6"))  # what has seen so little is hardly better each time
    patch.setattr(hyperparameters, "Scene", lambda **_: SCENE)
    patch.setattr(unbalanced, "Scene", lambda **_: MIXTURES)
    patch.setattr(segmentation, "Figure", lambda: CELLS)
    patch.setattr(segmentation, "load", lambda _: cells())
