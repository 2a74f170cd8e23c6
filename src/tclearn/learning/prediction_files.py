"""Predictions as files: comma-separated values, JSON, or NumPy's archive for masks."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from tclearn.errors import Code, UsageError
from tclearn.learning.prediction import Predictions


def as_csv(predictions: Predictions) -> bytes:
    """A line a record, ``record,class,score``, counted from 0; class and score are empty where there is no answer."""
    lines = [f"{at},," if row is None else f"{at},{row[0]},{row[1]!r}" for at, row in enumerate(rows(predictions))]
    return "\n".join(["record,class,score", *lines, ""]).encode()


def as_json(predictions: Predictions) -> bytes:
    """An array with ``{"class": …, "score": …}`` for each record, ``null`` where there is no answer."""
    return (json.dumps(for_json(predictions)) + "\n").encode()


def as_npz(predictions: Predictions) -> bytes:
    """An archive with the arrays ``masks`` and ``answered``, or ``classes``, ``scores`` and ``answered``."""
    arrays = {name: getattr(predictions, name) for name in ("masks", "classes", "scores", "answered")}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{name: array for name, array in arrays.items() if array is not None})
    return buffer.getvalue()


def rows(predictions: Predictions) -> list[tuple[int, float] | None]:
    """Class and score of each record; ``None`` where there is no answer.

    Raises:
        UsageError: these are masks.
    """
    if predictions.classes is None or predictions.scores is None:
        raise UsageError(
            Code.USAGE, "the model gives masks, and no classes", expected="--out with a name that ends in .npz"
        )
    given = zip(predictions.answered.tolist(), predictions.classes.tolist(), predictions.scores.tolist(), strict=True)
    return [(one, score) if answered else None for answered, one, score in given]


def for_json(predictions: Predictions) -> list[dict[str, Any] | None]:
    """What ``as_json`` writes, as a value."""
    return [None if row is None else {"class": row[0], "score": row[1]} for row in rows(predictions)]


WRITERS: Final[Mapping[str, Callable[[Predictions], bytes]]] = {".csv": as_csv, ".json": as_json, ".npz": as_npz}
"""By the ending of the file's name."""


def writer_for(path: Path) -> Callable[[Predictions], bytes]:
    """What makes the bytes of a file of this name.

    Raises:
        UsageError: the name says nothing.
    """
    if path.suffix not in WRITERS:
        raise UsageError(Code.USAGE, f"{path} is no name for predictions", expected=f"ending in {', '.join(WRITERS)}")
    return WRITERS[path.suffix]
