"""What the members of a small coalition have installed: a model, and data."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from tclearn.files import write_whole


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


_asked = count()


def failing_later() -> tuple[Any, Any]:
    if next(_asked):
        raise OSError("the disk is gone")
    return _table(1, 40)


def classifier() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression()


def _growing(seed: int, name: str) -> tuple[Any, Any]:
    # Ten records more each time that it is asked, also after its process was killed.
    noted = Path(os.environ["TCLEARN_TEST_FOLDER"]) / f"{name}.asked"
    asked = int(noted.read_text()) + 1 if noted.exists() else 1
    write_whole(noted, str(asked).encode())
    x, y = _table(seed, 400)
    return x[: 10 * asked], y[: 10 * asked]


def more_of_leuven() -> tuple[Any, Any]:
    return _growing(1, "leuven")


def more_of_namur() -> tuple[Any, Any]:
    return _growing(2, "namur")


def more_of_porto() -> tuple[Any, Any]:
    return _growing(3, "porto")


def more_of_turin() -> tuple[Any, Any]:
    return _growing(4, "turin")


COLUMNS = 40_000
"""So that a model's file has 320 kB."""


def _wide(records: tuple[Any, Any]) -> tuple[Any, Any]:
    x, y = records
    return np.hstack([x, np.random.default_rng(5).normal(scale=1e-3, size=(len(x), COLUMNS - 4))]).astype(np.float32), y


def wide_test() -> tuple[Any, Any]:
    return _wide(global_test())


def wide_of_leuven() -> tuple[Any, Any]:
    return _wide(more_of_leuven())


def wide_of_namur() -> tuple[Any, Any]:
    return _wide(more_of_namur())


def wide_of_porto() -> tuple[Any, Any]:
    return _wide(more_of_porto())


def wide_of_turin() -> tuple[Any, Any]:
    return _wide(more_of_turin())
