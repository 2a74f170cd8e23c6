"""The byte forms that digests are taken of: framed, so that no two different values share one.

Every number is an unsigned 64-bit little-endian integer, written ``u64``::

    text  = u64(length of the UTF-8) UTF-8
    array = text(dtype) u64(rank) u64(extent)* u64(length of the bytes) bytes

``dtype`` is the name that safetensors gives the element type; ``bytes`` are the elements in C order, little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

DTYPES: Final[dict[str, np.dtype[Any]]] = {
    "BOOL": np.dtype("?"),
    "U8": np.dtype("u1"),
    "I8": np.dtype("i1"),
    "I16": np.dtype("<i2"),
    "I32": np.dtype("<i4"),
    "I64": np.dtype("<i8"),
    "F16": np.dtype("<f2"),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
}
"""Element types of parameters, by their safetensors name."""

_NAMES: Final = {dtype: name for name, dtype in DTYPES.items()}


def dtype_name(dtype: np.dtype[Any]) -> str | None:
    """The safetensors name of an element type, whatever its byte order; ``None`` when it is not one of ``DTYPES``."""
    return _NAMES.get(dtype.newbyteorder("<"))


def text(value: str) -> bytes:
    """The frame of a text."""
    encoded = value.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def array_head(dtype: str, shape: Sequence[int], nbytes: int) -> bytes:
    """The frame of an array, without the bytes that follow it."""
    return text(dtype) + struct.pack(f"<{len(shape) + 2}Q", len(shape), *shape, nbytes)


def flat_bytes(array: NDArray[Any]) -> memoryview:
    """The bytes of a C-contiguous array; nothing is copied."""
    return array.reshape(-1).view(np.uint8).data
