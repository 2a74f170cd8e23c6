"""The files in the store: batches of ciphertexts, sums or shares with their proofs; and sums that are opened.

Format: ``docs/formats/deepchain.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tclearn.encoding import Digest, decode
from tclearn.errors import Code, MessageError
from tclearn.limits import DEEPCHAIN_BATCH, DEEPCHAIN_CIPHERTEXT_BYTES_MAX, PAILLIER_BATCH_BYTES_MAX
from tclearn.protocols.deepchain.batches import batches_tree
from tclearn.protocols.deepchain.terms import KeyTerms
from tclearn.records import Record

_BATCHES: Final = "tclearn/deepchain-batches/1"
_OPENED: Final = "tclearn/deepchain-opened/1"
_FRAME_BYTES: Final = 1 << 10
_STRING_BYTES: Final = 16
_NARROW_BITS: Final = 32


@dataclass(frozen=True, slots=True)
class Batch(Record):
    """A batch and its proof.

    Attributes:
        items: ciphertexts or shares.
        proof: of them all; empty for a sum.
    """

    items: tuple[bytes, ...] = field(repr=False)
    proof: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _BatchFile(Record):
    format: str
    batches: tuple[Batch, ...]


@dataclass(frozen=True, slots=True)
class _OpenedFile(Record):
    format: str
    iteration: int
    sums: bytes


def root_of(batches: Sequence[Batch]) -> Digest:
    """The root that the ledger has for batches."""
    return batches_tree((batch.items, batch.proof) for batch in batches).root(len(batches))


def write_batches(batches: Sequence[Batch]) -> bytes:
    """The file of batches; equal batches give equal bytes."""
    return _BatchFile(_BATCHES, tuple(batches)).encode()


def read_batches(data: bytes, root: Digest, key: KeyTerms) -> tuple[Batch, ...]:
    """Read a file that somebody has put into the store. What is in it may still be wrong: the proofs tell.

    What could not be shown to be wrong, because no transaction would carry it, is not read: it is for votes.

    Args:
        data: the file.
        root: what the ledger has for it.
        key: how many batches there must be.

    Raises:
        MessageError: not such a file, or not the one that the ledger names.
    """
    read = _BatchFile.from_value(decode(data, size_max=batches_bytes_max(key)), "the batches")
    if read.format != _BATCHES:
        raise MessageError(Code.ENCODING, f"a file {read.format[:40]!r}", expected=_BATCHES)
    if len(read.batches) != key.batches or root_of(read.batches) != root:
        raise MessageError(
            Code.ENCODING, f"{len(read.batches)} batches of another root", expected=f"{key.batches}, as on the ledger"
        )
    for number, batch in enumerate(read.batches):
        _check_size(number, batch, key)
    return read.batches


def batches_bytes_max(key: KeyTerms) -> int:
    """Bytes that an honest member's file of batches can have at most."""
    return _FRAME_BYTES + key.batches * (_batch_bytes_max(key) + _FRAME_BYTES)


def write_opened(iteration: int, sums: Sequence[int], slot_bits: int) -> bytes:
    """The file of an opened sum; its name in the store is what parties report.

    Args:
        iteration: its number.
        sums: weighted sums of steps.
        slot_bits: of the layout; no sum has more.
    """
    return _OpenedFile(_OPENED, iteration, np.array(sums, dtype=_kind(slot_bits)).tobytes()).encode()


def read_opened(data: bytes, iteration: int, count: int, slot_bits: int) -> NDArray[np.int64]:
    """Read a file that ``write_opened`` has written.

    Args:
        data: the file, of which the name was checked.
        iteration: of which iteration it must be.
        count: how many sums it must have.
        slot_bits: of the layout.

    Returns:
        ``(count,)``

    Raises:
        MessageError: not such a file.
    """
    read = _OpenedFile.from_value(decode(data, size_max=opened_bytes_max(count)), "the opened sum")
    kind = _kind(slot_bits)
    if read.format != _OPENED or read.iteration != iteration or len(read.sums) != count * kind.itemsize:
        raise MessageError(Code.ENCODING, "another opened sum", expected=f"{count} numbers of iteration {iteration}")
    return np.frombuffer(read.sums, kind).astype(np.int64)


def opened_bytes_max(count: int) -> int:
    """Bytes that the file of so many opened sums has at most."""
    return _FRAME_BYTES + 8 * count


def _batch_bytes_max(key: KeyTerms) -> int:
    # Of an honest one; an accusation carries one whole batch, a challenge one of the sum besides.
    return DEEPCHAIN_BATCH * (max(key.ciphertext_bytes, key.share_bytes) + _STRING_BYTES) + PAILLIER_BATCH_BYTES_MAX


def _check_size(number: int, batch: Batch, key: KeyTerms) -> None:
    size = len(batch.proof) + sum(len(item) + _STRING_BYTES for item in batch.items)
    longest = max(map(len, batch.items), default=0)  # a dispute carries one string of every gradient
    if size > _batch_bytes_max(key) or longest > DEEPCHAIN_CIPHERTEXT_BYTES_MAX:
        raise MessageError(
            Code.TOO_LARGE,
            f"batch {number} with {size} bytes, its longest string with {longest}",
            expected=f"at most {_batch_bytes_max(key)}, and {DEEPCHAIN_CIPHERTEXT_BYTES_MAX}",
        )


def _kind(slot_bits: int) -> np.dtype[np.signedinteger]:
    return np.dtype(">i4" if slot_bits <= _NARROW_BITS else ">i8")
