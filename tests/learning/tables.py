"""Small data sets and a small task for the tests of trainers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tclearn.learning.records import Records
from tclearn.learning.trainer import Task, Work

FEATURES = 4


def table(count: int, seed: int = 0, classes: int = 2) -> Records:
    """Separable records: the class is the position of the largest of the first features."""
    random = np.random.default_rng(seed)
    inputs = random.standard_normal((count, FEATURES)).astype(np.float32)
    return Records(inputs, inputs[:, :classes].argmax(axis=1).astype(np.int64))


def network(features: int = FEATURES, hidden: int = 6, classes: int = 2) -> Any:
    from torch import nn

    return nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, classes))


def with_everything() -> Any:
    """A network with running statistics, random numbers and normalisation."""
    from torch import nn

    return nn.Sequential(
        nn.Linear(FEATURES, 8),
        nn.BatchNorm1d(8),
        nn.PReLU(),
        nn.Dropout(0.5),
        nn.Linear(8, 8),
        nn.LayerNorm(8),
        nn.Linear(8, 2),
    )


def task(**changes: Any) -> Task:
    given: dict[str, Any] = {
        "model": network,
        "metric": "accuracy",
        "global_test": table(40, seed=99),
        "data_key": b"k" * 32,
        **changes,
    }
    return Task(**given)


def work(seed: int = 1, used: Any = frozenset(), **hyperparameters: int) -> Work:
    return Work(seed, hyperparameters, used)


def masks(count: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Images 1 × 8 × 8 and the masks of where they are bright."""
    images = np.random.default_rng(seed).standard_normal((count, 1, 8, 8)).astype(np.float32)
    return images, images[:, 0] > 0.5
