"""What the members of a small coalition have installed: a model, and data."""

from __future__ import annotations

from typing import Any

import numpy as np


def network() -> Any:
    import torch

    return torch.nn.Sequential(torch.nn.Linear(4, 2))


def _table(seed: int, count: int) -> tuple[Any, Any]:
    draw = np.random.default_rng(seed)
    y = draw.integers(0, 2, count)
    x = draw.normal(size=(count, 4)) + 1.5 * y[:, None]
    return x.astype(np.float32), y.astype(np.int64)


def global_test() -> tuple[Any, Any]:
    return _table(99, 80)


def of_leuven() -> tuple[Any, Any]:
    return _table(1, 40)


def of_namur() -> tuple[Any, Any]:
    return _table(2, 40)


def of_porto() -> tuple[Any, Any]:
    return _table(3, 40)


def of_turin() -> tuple[Any, Any]:
    return _table(4, 40)
