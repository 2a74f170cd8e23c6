"""A model's parameters: named arrays that cannot change, with a digest that does not depend on any file format.

The digest is BLAKE3-256 over, in the framing of ``tclearn.learning.canonical``::

    "tclearn/parameters/1" NUL u64(number of tensors)
    then for each tensor, by name in the order of its UTF-8 bytes:  text(name) array(dtype, shape, bytes)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Final, Self

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from tclearn.coalition.terms import TensorRecord
from tclearn.encoding import Digest
from tclearn.errors import Code, ParametersError
from tclearn.learning.canonical import DTYPES, array_head, dtype_name, flat_bytes, text
from tclearn.learning.tensorfile import check_bools, head_of, places_in, read_tensors, write_tensors
from tclearn.limits import PARAMETERS_BYTES_MAX, PARAMETERS_TENSORS_MAX

_DOMAIN: Final = b"tclearn/parameters/1\x00"
_PIECE_BYTES: Final = 1 << 20

Layout = tuple[TensorRecord, ...]
"""Name, element type and shape of every tensor, by name."""


class Parameters(Mapping[str, NDArray[Any]]):
    """Named arrays, read-only, C-contiguous and little-endian. Equal when their digests are.

    Args:
        tensors: arrays by name; one that somebody could still write to is copied, others are kept as they are.

    Raises:
        ParametersError: no tensor, a name that is not usable, an element type that is not one of ``DTYPES``, or larger
            than ``tclearn.limits`` allows.
    """

    __slots__ = ("_digest", "_layout", "_tensors")

    def __init__(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        if not 0 < len(tensors) <= PARAMETERS_TENSORS_MAX:
            raise ParametersError(
                Code.PARAMETERS_FORMAT, f"a model of {len(tensors)} tensors", expected=f"1 to {PARAMETERS_TENSORS_MAX}"
            )
        self._tensors = {name: _frozen(name, tensors[name]) for name in sorted(tensors)}
        if self.nbytes > PARAMETERS_BYTES_MAX:
            raise ParametersError(
                Code.TOO_LARGE, f"a model of {self.nbytes} bytes", expected=f"at most {PARAMETERS_BYTES_MAX}"
            )
        self._layout = tuple(
            TensorRecord(name, dtype_name(tensor.dtype) or "", tensor.shape) for name, tensor in self._tensors.items()
        )
        self._digest: Digest | None = None

    @classmethod
    def from_bytes(cls, data: bytes, *, layout: Sequence[TensorRecord] | None = None) -> Self:
        """Read safetensors bytes from anybody; the arrays point into ``data``.

        Args:
            data: the file.
            layout: what the tensors must be; ``None``: anything.

        Raises:
            ParametersError: not safetensors (the message names a pickle as one), over a limit, or not of the layout.
        """
        parameters = cls(read_tensors(bytes(data)))
        if layout is not None:
            parameters.check(layout)
        return parameters

    def to_bytes(self) -> bytes:
        """Safetensors bytes; equal parameters give equal bytes."""
        return write_tensors(self._tensors)

    def is_written_in(self, data: bytes) -> bool:
        """Whether a file, read as these parameters, is byte for byte what ``to_bytes`` writes; nothing is copied."""
        return data.startswith(head_of(self._layout))

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __eq__(self, other: object) -> bool:
        return self.digest == other.digest if isinstance(other, Parameters) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        count = sum(tensor.size for tensor in self._tensors.values())
        return f"Parameters({len(self)} tensors, {count:,} numbers, blake3:{self.digest.hex()[:16]}…)"

    @property
    def digest(self) -> Digest:
        """BLAKE3-256 over names, element types, shapes and values; computed once."""
        if self._digest is None:
            self._digest = _digest(self._layout, lambda name: (flat_bytes(self._tensors[name]),))
        return self._digest

    @property
    def layout(self) -> Layout:
        """Name, element type and shape of every tensor, by name."""
        return self._layout

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors together."""
        return sum(tensor.nbytes for tensor in self._tensors.values())

    def check(self, layout: Sequence[TensorRecord]) -> None:
        """Compare with the layout that the charter fixes.

        Raises:
            ParametersError: a tensor is missing, unknown, or of another shape or element type; the message names it.
        """
        _check_layout(self._layout, layout)

    def check_finite(self) -> None:
        """Look for values that are no numbers.

        Raises:
            ParametersError: a tensor holds NaN or infinity; the message names it and says how many.
        """
        for name, tensor in self._tensors.items():
            if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
                count = tensor.size - int(np.isfinite(tensor).sum())
                raise ParametersError(
                    Code.PARAMETERS_NOT_FINITE,
                    f"{count} of {tensor.size} values of the tensor {name!r} are NaN or infinite",
                    expected="finite numbers",
                )

    @property
    def finite(self) -> bool:
        """Whether no value is NaN or infinite."""
        return all(tensor.dtype.kind != "f" or np.isfinite(tensor).all() for tensor in self._tensors.values())


def digest_of_file(file: BinaryIO, *, layout: Sequence[TensorRecord]) -> Digest:
    """The digest of the parameters in a safetensors file from anybody, of which few bytes are in memory at a time.

    Args:
        file: it can be read from anywhere on.
        layout: what the tensors must be.

    Raises:
        ParametersError: not safetensors, over a limit, or not of the layout.
    """
    places = {place.name: place for place in places_in(file)}
    found = tuple(
        TensorRecord(name, dtype_name(places[name].dtype) or "", places[name].shape) for name in sorted(places)
    )
    _check_layout(found, layout)

    def pieces(name: str) -> Iterator[bytes]:
        place = places[name]
        file.seek(place.begin)
        left = place.end - place.begin
        while left:
            piece = file.read(min(left, _PIECE_BYTES))
            if not piece:
                raise ParametersError(Code.PARAMETERS_FORMAT, f"a model file that ends within the tensor {name!r}")
            if place.dtype.kind == "b":
                check_bools(name, piece)
            left -= len(piece)
            yield piece

    return _digest(found, pieces)


def _digest(layout: Layout, data: Callable[[str], Iterable[bytes | memoryview]]) -> Digest:
    hasher = blake3(_DOMAIN + len(layout).to_bytes(8, "little"))
    for tensor in layout:
        hasher.update(text(tensor.name) + array_head(tensor.dtype, tensor.shape, _nbytes(tensor)))
        for piece in data(tensor.name):
            hasher.update(piece)
    return Digest(hasher.digest())


def _nbytes(tensor: TensorRecord) -> int:
    return math.prod(tensor.shape) * DTYPES[tensor.dtype].itemsize


def _check_layout(found: Layout, layout: Sequence[TensorRecord]) -> None:
    if found == tuple(layout):
        return
    mine, wanted = ({tensor.name: tensor for tensor in each} for each in (found, layout))
    for name in sorted(wanted.keys() - mine.keys()):
        raise _misfit(f"a model without the tensor {name!r}", _described(wanted[name]))
    for name in sorted(mine.keys() - wanted.keys()):
        raise _misfit(f"a model with the unknown tensor {name!r}", f"{len(wanted)} tensors without it")
    for name in sorted(wanted):
        if mine[name] != wanted[name]:
            raise _misfit(f"a model whose tensor {name!r} is {_described(mine[name])}", _described(wanted[name]))


def along(start: Parameters, candidate: Parameters, step: float) -> Parameters:
    """The point M + a·Δ on the way from one model to another.

    Args:
        start: M.
        candidate: M + Δ, of the same layout.
        step: a, 0 to 1; 1 gives ``candidate`` itself.

    Returns:
        Floating tensors ``start + step · (candidate - start)`` in their own element type, others as in ``candidate``.

    Raises:
        ParametersError: the layouts differ.
    """
    candidate.check(start.layout)
    if step == 1:
        return candidate
    tensors = {}
    for name, tensor in candidate.items():
        if tensor.dtype.kind == "f":
            wide = np.promote_types(tensor.dtype, np.float32)
            origin = start[name].astype(wide, copy=False)
            moved = origin + wide.type(step) * (tensor.astype(wide, copy=False) - origin)
            tensors[name] = np.asarray(moved, dtype=tensor.dtype)
            tensors[name].flags.writeable = False
        else:
            tensors[name] = tensor
    return Parameters(tensors)


def _frozen(name: object, value: Any) -> NDArray[Any]:
    if not isinstance(name, str) or name == "__metadata__" or any("\ud800" <= letter <= "\udfff" for letter in name):
        raise ParametersError(Code.PARAMETERS_FORMAT, f"a tensor named {name!r}", expected="Unicode text as its name")
    array = np.asarray(value)
    dtype = dtype_name(array.dtype)
    if dtype is None:
        raise ParametersError(
            Code.PARAMETERS_FORMAT,
            f"the tensor {name!r} has the element type {array.dtype}",
            expected=", ".join(DTYPES),
            remedy="convert the model, for instance with model.float()",
        )
    kept = np.asarray(array, dtype=DTYPES[dtype], order="C")
    if not kept.flags.aligned or _writable(kept):
        kept = kept.copy()
        kept.flags.writeable = False
    return kept


def _writable(array: NDArray[Any]) -> bool:
    owner: Any = array
    while isinstance(owner, np.ndarray):
        if owner.flags.writeable:
            return True
        owner = owner.base
    return not (owner is None or isinstance(owner, bytes))


def _described(tensor: TensorRecord) -> str:
    return f"{tensor.dtype} of shape {tensor.shape}"


def _misfit(what: str, expected: str) -> ParametersError:
    return ParametersError(
        Code.PARAMETERS_SHAPE, what, expected=expected, remedy="every member must have the model that the charter names"
    )
