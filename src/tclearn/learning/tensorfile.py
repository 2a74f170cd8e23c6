"""Reading safetensors bytes that nobody vouches for, and writing them.

The format is a little-endian ``u64``, a JSON header of that many bytes, and the tensors' bytes. The reader is our own:
it points into the bytes it is given instead of copying, holds them to ``tclearn.limits`` before it allocates, and names
what is wrong; the library's reader takes the last of two tensors of one name. Source: safetensors, "Format".
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from tclearn.errors import Code, ParametersError
from tclearn.learning.canonical import DTYPES
from tclearn.limits import PARAMETERS_BYTES_MAX, PARAMETERS_HEADER_BYTES_MAX, PARAMETERS_TENSORS_MAX

_METADATA: Final = "__metadata__"
_RANK_MAX: Final = 32
_ELSE: Final = (
    (b"PK\x03\x04", "a zip archive, as torch.save makes, offered as a model"),
    (b"\x80", "a pickle, as torch.save and joblib make, offered as a model"),
    (b"\x89HDF", "an HDF5 file, as Keras makes, offered as a model"),
    (b"\x93NUMPY", "a NumPy array file offered as a model"),
    (b"GGUF", "a GGUF file offered as a model"),
    (b"\x1f\x8b", "a gzip file offered as a model"),
)


def write_tensors(tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """Safetensors bytes of C-contiguous arrays; the same tensors give the same bytes."""
    return safetensors.numpy.save({name: tensors[name] for name in sorted(tensors)})


def read_tensors(data: bytes) -> dict[str, NDArray[Any]]:
    """The tensors of safetensors bytes, as arrays that point into ``data``.

    Raises:
        ParametersError: not safetensors, over a limit, or of an element type that parameters may not have.
    """
    header, body = _header(data)
    header.pop(_METADATA, None)
    if len(header) > PARAMETERS_TENSORS_MAX:
        raise _malformed(f"a model file with {len(header)} tensors", f"at most {PARAMETERS_TENSORS_MAX}")
    places = sorted((_place(name, entry, len(data) - body) for name, entry in header.items()), key=lambda p: p[3:])
    tensors, position = {}, 0
    for name, dtype, shape, begin, end in places:
        if begin != position:
            raise _malformed(
                f"a model file whose tensor {name!r} starts at {begin}", f"{position}: no holes, no overlaps"
            )
        position = end
        flat = np.frombuffer(data, dtype, math.prod(shape), body + begin)
        if dtype.kind == "b" and flat.size and int(flat.view(np.uint8).max()) > 1:
            raise _malformed(f"a model file whose tensor {name!r} has a BOOL that is neither 0 nor 1", "0 or 1")
        try:  # an extent of 0 lets the others be beyond what any array may have
            tensors[name] = flat.reshape(shape)
        except ValueError as error:
            raise _malformed(
                f"a model file whose tensor {name!r} has an impossible shape", "one that NumPy takes"
            ) from error
    if body + position != len(data):
        raise _malformed(f"a model file with {len(data) - body - position} bytes after the last tensor", "none")
    return tensors


def _header(data: bytes) -> tuple[dict[str, Any], int]:
    if len(data) > PARAMETERS_BYTES_MAX:
        raise ParametersError(
            Code.TOO_LARGE, f"a model file of {len(data)} bytes", expected=f"at most {PARAMETERS_BYTES_MAX}"
        )
    size = int.from_bytes(data[:8], "little")
    # A header of 640 bytes starts with b"\x80\x02" too: what a file looks like is asked only when it is not ours.
    if len(data) < 10 or size > len(data) - 8 or data[8:9] != b"{":
        for magic, looks_like in _ELSE:
            if data.startswith(magic):
                raise _malformed(looks_like, "a safetensors file")
        raise _malformed(f"{len(data)} bytes offered as a model", "a safetensors file")
    if size > PARAMETERS_HEADER_BYTES_MAX:
        raise _malformed(f"a model file with a header of {size} bytes", f"at most {PARAMETERS_HEADER_BYTES_MAX}")
    try:
        header = json.loads(data[8 : 8 + size].decode(), object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise _malformed(f"a model file with a broken header ({error})", "JSON") from error
    return header, 8 + size


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a name occurs twice")
    return result


def _place(name: str, entry: Any, room: int) -> tuple[str, np.dtype[Any], tuple[int, ...], int, int]:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _malformed(f"a model file whose tensor {name!r} is not described", "dtype, shape and data_offsets")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _naturals(shape) or not _naturals(offsets) or len(offsets) != 2 or len(shape) > _RANK_MAX:
        raise _malformed(
            f"a model file whose tensor {name!r} has a shape or offsets of another form", "natural numbers"
        )
    dtype = DTYPES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if dtype is None:
        raise ParametersError(
            Code.PARAMETERS_FORMAT,
            f"the tensor {name!r} has the element type {str(entry['dtype'])[:32]}",
            expected=", ".join(DTYPES),
            remedy="convert the model, for instance with model.float()",
        )
    begin, end = offsets
    if end > room or end - begin != math.prod(shape) * dtype.itemsize:
        raise _malformed(
            f"a model file whose tensor {name!r} of shape {tuple(shape)} does not fill its place", "all of it"
        )
    return name, dtype, tuple(shape), begin, end


def _naturals(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _malformed(what: str, expected: str) -> ParametersError:
    return ParametersError(
        Code.PARAMETERS_FORMAT, what, expected=expected, remedy="write it with safetensors; pickles are never read"
    )
