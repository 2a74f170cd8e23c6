"""What a store of model files is to everybody else."""

from __future__ import annotations

from typing import BinaryIO, Protocol

from tclearn.encoding import Digest


class Store(Protocol):
    """Objects named by the BLAKE3-256 digest of their bytes."""

    def put(self, data: bytes) -> Digest:
        """Keep an object; returns its name. Durable when it returns; putting the same bytes again changes nothing."""

    def has(self, name: Digest) -> bool:
        """Whether the object is here and complete."""

    def get(self, name: Digest, *, size_max: int) -> bytes:
        """The object's bytes, checked against its name.

        Raises:
            StorageError: not here, larger than ``size_max`` bytes, or not what its name says.
        """

    def open(self, name: Digest) -> BinaryIO:
        """The object as a binary stream, not checked; the reader compares the digest.

        Raises:
            StorageError: not here.
        """
