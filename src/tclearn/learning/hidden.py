"""Hidden parts as data: how a member divides its records into parts, and the file in which a part travels.

A part's file is safetensors with two tensors, ``inputs`` and ``targets``. What a member commits to is not the file but
the digest of its records, that of a data set (``learning.data_ids``), so that the element types do not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from tclearn.encoding import Digest
from tclearn.errors import Code, DataError, ParametersError
from tclearn.learning.data_ids import data_set_digest, record_digests
from tclearn.learning.records import Records, materialise
from tclearn.learning.tensorfile import read_tensors, write_tensors
from tclearn.limits import HIDDEN_PART_BYTES_MAX, HIDDEN_PARTS_MAX

_INPUTS: Final = "inputs"
_TARGETS: Final = "targets"
_PART: Final = "a hidden part"
_HEADER_BYTES: Final = 4096


def divide(records: Records, parts: int) -> tuple[Records, ...]:
    """Records in parts of nearly equal size, in the order of the records' digests: the same records, the same parts.

    Args:
        records: all different.
        parts: how many parts there are, unless there are fewer records.

    Raises:
        DataError: a part would be larger than ``HIDDEN_PART_BYTES_MAX``, or there would be too many.
    """
    if not 1 <= parts <= HIDDEN_PARTS_MAX:
        raise DataError(Code.DATA_SHAPE, f"{parts} hidden parts", expected=f"1 to {HIDDEN_PARTS_MAX}")
    digests = record_digests(records)
    order = np.array(sorted(range(len(records)), key=digests.__getitem__), dtype=np.intp)
    divided = tuple(records.take(order[first::parts]) for first in range(min(parts, len(records))))
    for part in divided:
        size = part.inputs.nbytes + part.targets.nbytes + _HEADER_BYTES
        if size > HIDDEN_PART_BYTES_MAX:
            raise DataError(
                Code.TOO_LARGE,
                f"a hidden part of {size} bytes",
                expected=f"at most {HIDDEN_PART_BYTES_MAX}",
                remedy="divide the records into more parts (hidden_parts), or hide fewer",
            )
    return divided


def write_part(records: Records) -> bytes:
    """A part's file; the same records in the same element types give the same bytes."""
    return write_tensors(
        {_INPUTS: np.ascontiguousarray(records.inputs), _TARGETS: np.ascontiguousarray(records.targets)}
    )


def read_part(data: bytes) -> Records:
    """The records of a part's file.

    Raises:
        DataError: it is no such file, or what it holds are no records.
    """
    try:
        tensors = read_tensors(data)
    except ParametersError as error:
        raise DataError(
            Code.DATA_UNREADABLE, "what is offered as a hidden part cannot be read", expected="a safetensors file"
        ) from error
    if set(tensors) != {_INPUTS, _TARGETS}:
        raise DataError(
            Code.DATA_SHAPE,
            f"what is offered as a hidden part has {len(tensors)} tensors",
            expected=f"two, {_INPUTS} and {_TARGETS}",
        )
    return materialise((tensors[_INPUTS], tensors[_TARGETS]), _PART)


def opened(data: bytes, digest: Digest, n: int) -> Records:
    """The records of a part's file, when they are those that a digest names.

    Raises:
        DataError: as ``read_part``, or they are others.
    """
    records = read_part(data)
    if len(records) != n or data_set_digest(records) != digest:
        raise DataError(
            Code.DATA_CHANGED,
            f"what is offered as a hidden part holds {len(records)} other records",
            expected=f"the {n} that were committed to",
        )
    return records


def without(records: Records, known: Sequence[Records]) -> Records | None:
    """The records that are in none of other sets, each once; ``None`` where none is left."""
    seen = {digest for each in known for digest in record_digests(each)}
    kept = []
    for position, digest in enumerate(record_digests(records)):
        if digest not in seen:
            seen.add(digest)
            kept.append(position)
    return records.take(kept) if kept else None
