"""Hidden parts as data: how a member divides its records into parts, and the file in which a part travels.

A part's file is safetensors with two tensors, ``inputs`` and ``targets``. What a member commits to is not the file but
the digest of its records, that of a data set (``learning.data_ids``), so that the element types do not matter.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final

import numpy as np

from tclearn.encoding import Digest
from tclearn.errors import Code, DataError, ParametersError
from tclearn.learning.data_ids import data_set_digest, record_digests
from tclearn.learning.records import Records, materialise
from tclearn.learning.tensorfile import read_tensors, write_tensors
from tclearn.limits import HIDDEN_PART_BYTES_MAX, HIDDEN_PART_RECORDS_MAX, HIDDEN_PARTS_MAX

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
        DataError: a part would be larger than ``HIDDEN_PART_BYTES_MAX`` or have more than ``HIDDEN_PART_RECORDS_MAX``
            records, or there would be too many parts.
    """
    if not 1 <= parts <= HIDDEN_PARTS_MAX:
        raise DataError(Code.DATA_SHAPE, f"{parts} hidden parts", expected=f"1 to {HIDDEN_PARTS_MAX}")
    digests = record_digests(records)
    order = np.array(sorted(range(len(records)), key=digests.__getitem__), dtype=np.intp)
    divided = tuple(records.take(order[first::parts]) for first in range(min(parts, len(records))))
    for part in divided:
        if len(part) > HIDDEN_PART_RECORDS_MAX:
            raise _too_large(f"{len(part)} records", HIDDEN_PART_RECORDS_MAX)
        size = part.inputs.nbytes + part.targets.nbytes + _HEADER_BYTES
        if size > HIDDEN_PART_BYTES_MAX:
            raise _too_large(f"{size} bytes", HIDDEN_PART_BYTES_MAX)
    return divided


def write_part(records: Records) -> bytes:
    """A part's file; the same records in the same element types give the same bytes."""
    return write_tensors(
        {_INPUTS: np.ascontiguousarray(records.inputs), _TARGETS: np.ascontiguousarray(records.targets)}
    )


def read_part(data: bytes) -> Records:
    """The records of a part's file.

    Raises:
        DataError: it is no such file, what it holds are no records, or they are more than ``HIDDEN_PART_RECORDS_MAX``.
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
    inputs, targets = tensors[_INPUTS], tensors[_TARGETS]
    # Tensors with an extent of 0 take no bytes: a file of a few bytes could claim any number of records.
    if 0 in inputs.shape or 0 in targets.shape:
        raise DataError(
            Code.DATA_SHAPE,
            f"what is offered as a hidden part has inputs of shape {inputs.shape} and targets of shape {targets.shape}",
            expected="no extent of 0",
        )
    if inputs.ndim and len(inputs) > HIDDEN_PART_RECORDS_MAX:
        raise _too_large(f"{len(inputs)} records", HIDDEN_PART_RECORDS_MAX)
    return materialise((inputs, targets), _PART)


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


def without(records: Records, known: Container[Digest]) -> Records | None:
    """The records whose digests are not known, each once; ``None`` where none is left."""
    first: dict[Digest, int] = {}
    for position, digest in enumerate(record_digests(records)):
        if digest not in known:
            first.setdefault(digest, position)
    return records.take(list(first.values())) if first else None


def _too_large(what: str, most: int) -> DataError:
    return DataError(
        Code.TOO_LARGE,
        f"a hidden part of {what}",
        expected=f"at most {most}",
        remedy="divide the records into more parts (hidden_parts), or hide fewer",
    )
