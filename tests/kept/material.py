"""What the members of the kept coalition had installed. It is part of what is kept: a changed byte is other model code.

The records are arithmetic, so that no library's random numbers can change them.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def classifier() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression()


def _table(seed: int, count: int) -> tuple[Any, Any]:
    number = np.arange(count, dtype=np.int64)[:, None] * 7919 + np.arange(1, 5, dtype=np.int64)[None, :] * 104729
    y = np.arange(count, dtype=np.int64) % 2
    x = (number * (seed + 12) % 1009).astype(np.float32) / 1009 + y[:, None] * 0.5
    return x.astype(np.float32), y


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


def of_ghent() -> tuple[Any, Any]:
    return _table(5, 40)
