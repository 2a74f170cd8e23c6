"""Targets: files of inputs that a model is asked about."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import numpy as np
from tests.fuzz.harness import Target
from tests.fuzz.mutators import by_bytes, text

from tclearn.learning.inputs import inputs_in


def _read(name: str, data: bytes) -> object:
    found = inputs_in(Path(name), data)
    assert found.dtype.kind in "fiub" and len(found) and np.isfinite(found).all()
    assert found.nbytes <= 64 * len(data)
    return found.ndim, found.dtype.str


def _npy() -> list[bytes]:
    found = []
    for array in (
        np.arange(12.0).reshape(3, 4),
        np.zeros((2, 3, 4), np.uint8),
        np.asfortranarray(np.eye(5, dtype="f4")),
    ):
        buffer = io.BytesIO()
        np.save(buffer, array)
        found.append(buffer.getvalue())
    return found


def _npz() -> list[bytes]:
    found = []
    for save in (np.savez, np.savez_compressed):
        buffer = io.BytesIO()
        save(buffer, inputs=np.arange(6.0), targets=np.zeros(6))
        found.append(buffer.getvalue())
    return found


def _compressed(data: bytes) -> object:
    found = inputs_in(Path("a.npz"), data)
    assert len(found) and np.isfinite(found).all()
    return found.ndim, found.dtype.str


TARGETS: Final = (
    Target("inputs-npy", _npy, lambda data: _read("a.npy", data), by_bytes, 300),
    Target("inputs-npz", _npz, _compressed, by_bytes, 300),
    Target(
        "inputs-csv",
        lambda: [b"a,b\n1,2\n3,4e-5\n", b"1\n2\n"],
        lambda data: _read("a.csv", data),
        text("1", ",", '"', "1e400", "\n", "nan"),
        300,
    ),
)
