"""Names of records and of data sets.

The digest of a record is BLAKE3-256 over, in the framing of ``tclearn.learning.canonical``::

    "tclearn/record/1" NUL array(input) array(target)

each in canonical form: real numbers as F32 without negative zero, integers and truth values as I64. A record has one
digest, then, whether it is held by NumPy or torch, in double or single precision, as int32 or int64. The digest of a
data set is BLAKE3-256 over ``"tclearn/data-set/1" NUL u64(n)`` and its records' digests in their order: the same
records in another order are another data set.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from tclearn.encoding import Digest
from tclearn.errors import Code, UsageError
from tclearn.learning.canonical import array_head
from tclearn.learning.id_source import IdSource, KeyedIds
from tclearn.learning.records import Records
from tclearn.learning.trainer import DataId

_RECORD: Final = b"tclearn/record/1\x00"
_DATA_SET: Final = b"tclearn/data-set/1\x00"
_CHUNK: Final = 4096
_PREFIX: Final = "blake3:"


def record_digests(records: Records) -> list[Digest]:
    """The digest of each record, in order."""
    digests = []
    for begin in range(0, len(records), _CHUNK):
        inputs, input_head = _rows(records.inputs[begin : begin + _CHUNK])
        targets, target_head = _rows(records.targets[begin : begin + _CHUNK])
        head = _RECORD + input_head
        for row, target in zip(inputs, targets, strict=True):
            digests.append(Digest(blake3(head + row.tobytes() + target_head + target.tobytes()).digest()))
    return digests


def data_ids(records: Records, key: bytes) -> list[DataId]:
    """The data ID of each record, in order: HMAC-SHA256 of its digest under the coalition's key, cut to 16 bytes.

    Args:
        records: the records.
        key: the coalition's data key (32 bytes).
    """
    return ids_of(records, KeyedIds(key))


def ids_of(records: Records, source: IdSource) -> list[DataId]:
    """The data ID of each record, in order.

    Args:
        records: the records.
        source: where the IDs come from.
    """
    return source.ids(record_digests(records))


def data_set_digest(records: Records) -> Digest:
    """The digest by which a charter names its global test set."""
    hasher = blake3(_DATA_SET + len(records).to_bytes(8, "little"))
    for digest in record_digests(records):
        hasher.update(digest)
    return Digest(hasher.digest())


def digest_text(digest: Digest) -> str:
    """The digest as ``tclearn data digest`` prints it and a charter holds it: ``blake3:`` and 64 hexadecimal digits."""
    return _PREFIX + digest.hex()


def digest_from_text(text: str) -> Digest:
    """The inverse of ``digest_text``.

    Raises:
        UsageError: not of that form.
    """
    try:
        digest = bytes.fromhex(text.removeprefix(_PREFIX))
    except ValueError:
        digest = b""
    if not text.startswith(_PREFIX) or len(text) != len(_PREFIX) + 64 or len(digest) != 32:
        raise UsageError(
            Code.USAGE,
            f"the digest {text[:80]!r}",
            expected="blake3: and 64 hexadecimal digits, as tclearn data digest prints",
        )
    return Digest(digest)


def _rows(array: NDArray[Any]) -> tuple[NDArray[np.uint8], bytes]:
    if array.dtype.kind == "f":
        name, canonical = "F32", np.asarray(array, dtype="<f4", order="C") + np.float32(0)  # -0.0 + 0.0 is 0.0
    else:
        name, canonical = "I64", np.asarray(array, dtype="<i8", order="C")
    shape = canonical.shape[1:]
    rows = canonical.reshape(len(canonical), -1).view(np.uint8)
    return rows, array_head(name, shape, rows.shape[1])
