"""Seeded random numbers that do not depend on the order in which they are asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray


def derived(seed: int, purpose: str) -> int:
    """A number below 2^63 for one purpose, from a seed of any size."""
    return int.from_bytes(blake3(f"tclearn/seed/1 {seed} {purpose}".encode()).digest()[:8], "big") >> 1


def normal(seed: int, name: str, shape: tuple[int, ...], deviation: float, dtype: np.dtype[Any]) -> NDArray[Any]:
    """A tensor of M_0, drawn from a normal distribution around zero.

    Each tensor has a stream of its own (Philox, keyed by seed and name), so neither the order of tensors nor any other
    tensor matters; numbers are drawn in double precision and rounded, which hides what processors do differently.

    Args:
        seed: the charter's.
        name: the tensor's.
        shape: its shape.
        deviation: standard deviation.
        dtype: its floating element type.
    """
    stream = np.random.Generator(np.random.Philox(derived(seed, f"initial {name}")))
    return (stream.standard_normal(shape) * deviation).astype(dtype)


def order(seed: int, purpose: str, count: int) -> NDArray[np.intp]:
    """A permutation of ``count`` positions, the same under every version of NumPy."""
    prefix = f"tclearn/order/1 {seed} {purpose} ".encode()
    keys = [blake3(prefix + position.to_bytes(8, "little")).digest() for position in range(count)]
    return np.array(sorted(range(count), key=keys.__getitem__), dtype=np.intp)
