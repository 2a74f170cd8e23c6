"""Reading safetensors bytes that nobody vouches for, and writing them.

The format is a little-endian ``u64``, a JSON header of that many bytes, and the tensors' bytes. The reader is our own:
it points into the bytes it is given instead of copying, holds them to ``tclearn.limits`` before it allocates, and names
what is wrong; the library's reader takes the last of two tensors of one name. Source: safetensors, "Format".
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from tclearn.coalition.terms import TensorRecord
from tclearn.errors import Code, ParametersError
from tclearn.learning.canonical import DTYPES
from tclearn.limits import PARAMETERS_BYTES_MAX, PARAMETERS_HEADER_BYTES_MAX, PARAMETERS_TENSORS_MAX

_METADATA: Final = "__metadata__"
_RANK_MAX: Final = 32
_ORDER: Final = ("I64", "F64", "F32", "I32", "F16", "I16", "I8", "U8", "BOOL")
"""In which the library writes tensors: by element type, and then by name."""
_ELSE: Final = (
    (b"PK\x03\x04", "a zip archive, as torch.save makes, offered as a model"),
    (b"\x80", "a pickle, as torch.save and joblib make, offered as a model"),
    (b"\x89HDF", "an HDF5 file, as Keras makes, offered as a model"),
    (b"\x93NUMPY", "a NumPy array file offered as a model"),
    (b"GGUF", "a GGUF file offered as a model"),
    (b"\x1f\x8b", "a gzip file offered as a model"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """A tensor in a file.

    Attributes:
        name: its name.
        dtype: its element type.
        shape: its extents.
        begin: its first byte in the file.
        end: the byte after its last.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int
    end: int


def write_tensors(tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """Safetensors bytes of C-contiguous arrays; the same tensors give the same bytes."""
    return safetensors.numpy.save({name: tensors[name] for name in sorted(tensors)})


def head_of(layout: Sequence[TensorRecord]) -> bytes:
    """The first bytes of what ``write_tensors`` makes, up to those of the tensors; a test compares them.

    Args:
        layout: name, element type and shape of every tensor.
    """
    entries, position = {}, 0
    for tensor in sorted(layout, key=lambda each: (_ORDER.index(each.dtype), each.name.encode())):
        end = position + math.prod(tensor.shape) * DTYPES[tensor.dtype].itemsize
        entries[tensor.name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [position, end],
        }
        position = end
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def read_tensors(data: bytes) -> dict[str, NDArray[Any]]:
    """The tensors of safetensors bytes, as arrays that point into ``data``.

    Raises:
        ParametersError: not safetensors, over a limit, or of an element type that parameters may not have.
    """
    tensors = {}
    for place in _places(data, len(data)):
        flat = np.frombuffer(data, place.dtype, math.prod(place.shape), place.begin)
        if place.dtype.kind == "b":
            check_bools(place.name, memoryview(data)[place.begin : place.end])
        try:  # an extent of 0 lets the others be beyond what any array may have
            tensors[place.name] = flat.reshape(place.shape)
        except ValueError as error:
            raise _malformed(
                f"a model file whose tensor {place.name!r} has an impossible shape", "one that NumPy takes"
            ) from error
    return tensors


def places_in(file: BinaryIO) -> list[Place]:
    """Where the tensors of a safetensors file lie, in the file's order. The file can be read from anywhere on.

    Raises:
        ParametersError: not safetensors, over a limit, or of an element type that parameters may not have.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(10)
    start += file.read(min(int.from_bytes(start[:8], "little"), PARAMETERS_HEADER_BYTES_MAX))
    return _places(start, size)


def check_bools(name: str, data: bytes | memoryview) -> None:
    """Refuse bytes of a BOOL tensor that are no truth values.

    Raises:
        ParametersError: one is neither 0 nor 1.
    """
    if len(data) and int(np.frombuffer(data, np.uint8).max()) > 1:
        raise _malformed(f"a model file whose tensor {name!r} has a BOOL that is neither 0 nor 1", "0 or 1")


def _places(data: bytes, whole: int) -> list[Place]:
    """Where tensors lie in ``whole`` bytes, of which ``data`` are the first ones, the header among them."""
    header, body = _header(data, whole)
    header.pop(_METADATA, None)
    if len(header) > PARAMETERS_TENSORS_MAX:
        raise _malformed(f"a model file with {len(header)} tensors", f"at most {PARAMETERS_TENSORS_MAX}")
    places = sorted(
        (_place(name, entry, body, whole) for name, entry in header.items()), key=lambda each: (each.begin, each.end)
    )
    position = body
    for place in places:
        if place.begin != position:
            raise _malformed(
                f"a model file whose tensor {place.name!r} starts at {place.begin - body}",
                f"{position - body}: no holes, no overlaps",
            )
        position = place.end
    if position != whole:
        raise _malformed(f"a model file with {whole - position} bytes after the last tensor", "none")
    return places


def _header(data: bytes, whole: int) -> tuple[dict[str, Any], int]:
    if whole > PARAMETERS_BYTES_MAX:
        raise ParametersError(
            Code.TOO_LARGE, f"a model file of {whole} bytes", expected=f"at most {PARAMETERS_BYTES_MAX}"
        )
    size = int.from_bytes(data[:8], "little")
    # A header of 640 bytes starts with b"\x80\x02" too: what a file looks like is asked only when it is not ours.
    if whole < 10 or size > whole - 8 or data[8:9] != b"{":
        for magic, looks_like in _ELSE:
            if data.startswith(magic):
                raise _malformed(looks_like, "a safetensors file")
        raise _malformed(f"{whole} bytes offered as a model", "a safetensors file")
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


def _place(name: str, entry: Any, body: int, whole: int) -> Place:
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
    if body + end > whole or end - begin != math.prod(shape) * dtype.itemsize:
        raise _malformed(
            f"a model file whose tensor {name!r} of shape {tuple(shape)} does not fill its place", "all of it"
        )
    return Place(name, dtype, tuple(shape), body + begin, body + end)


def _naturals(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _malformed(what: str, expected: str) -> ParametersError:
    return ParametersError(
        Code.PARAMETERS_FORMAT, what, expected=expected, remedy="write it with safetensors; pickles are never read"
    )
