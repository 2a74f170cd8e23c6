"""The files in the store: batches of ciphertexts, sums or shares with their proofs; and sums that are opened.

Format: ``docs/formats/deepchain.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from tclearn.encoding import Digest, decode, encode, head
from tclearn.errors import Code, MessageError
from tclearn.limits import DEEPCHAIN_BATCH, DEEPCHAIN_CIPHERTEXT_BYTES_MAX, PAILLIER_BATCH_BYTES_MAX
from tclearn.paillier.masks import MASK_ROOM_BITS
from tclearn.paillier.proof_encryption import rows
from tclearn.protocols.deepchain.agent.streaming import Items
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


# What stands between their strings; keys ascend.
_BEGIN: Final = head(5, 2) + encode("format") + encode(_BATCHES) + encode("batches")
_ITEMS: Final = head(5, 2) + encode("items")
_PROOF: Final = encode("proof")


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

    What is larger than an honest one, of which little could be shown on the ledger, is not read: it is for votes.

    Args:
        data: the file.
        root: what the ledger has for it.
        key: how many batches there must be.

    Raises:
        MessageError: not such a file, or not the one that the ledger names.
    """
    return stream_batches(BytesIO(data), root, key)


def stream_batches(stream: BinaryIO, root: Digest, key: KeyTerms) -> tuple[Batch, ...]:
    """``read_batches`` from a stream, which is not held beside what is read from it; for args and errors see there."""
    items = Items(stream)
    items.literal(_BEGIN)
    count = items.array()
    if count != key.batches:
        raise MessageError(Code.ENCODING, f"{count} batches", expected=f"{key.batches}")
    batches = tuple(_read_batch(items, number, key) for number in range(count))
    items.end()
    if root_of(batches) != root:
        raise MessageError(Code.ENCODING, "batches of another root", expected=root.hex())
    return batches


def batches_bytes_max(key: KeyTerms) -> int:
    """Bytes that an honest member's file of batches can have at most."""
    return _FRAME_BYTES + key.batches * (batch_bytes_max(key) + _FRAME_BYTES)


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


def batch_bytes_max(key: KeyTerms) -> int:
    """Bytes that an honest member's batch can have at most: 128 strings, 16 more for each, and their proof."""
    return DEEPCHAIN_BATCH * (max(key.ciphertext_bytes, key.share_bytes) + _STRING_BYTES) + _proof_bytes_max(key)


def _proof_bytes_max(key: KeyTerms) -> int:
    # Of encryption: one of shares is one number. A mask is as long as a ciphertext, which is modulo N^2; the response
    # in plaintexts is below N, that in exponents below the root of N and the mask's room. See ``EncryptedBatch``.
    size = key.ciphertext_bytes
    row = size + size // 2 + size // 4 + (MASK_ROOM_BITS + 7 >> 3)
    return min(_FRAME_BYTES + rows(DEEPCHAIN_BATCH) * row, PAILLIER_BATCH_BYTES_MAX)


def _read_batch(items: Items, number: int, key: KeyTerms) -> Batch:
    left = batch_bytes_max(key)
    try:
        items.literal(_ITEMS)
        strings = []
        for _ in range(items.array()):
            left -= _STRING_BYTES
            # A dispute carries one string of every gradient.
            strings.append(items.string(min(left, DEEPCHAIN_CIPHERTEXT_BYTES_MAX)))
            left -= len(strings[-1])
        items.literal(_PROOF)
        return Batch(tuple(strings), items.string(left))
    except MessageError as error:
        error.what = f"batch {number}: {error.what}"
        raise


def _kind(slot_bits: int) -> np.dtype[np.signedinteger]:
    return np.dtype(">i4" if slot_bits <= _NARROW_BITS else ">i8")
