"""What a store of model files is to everybody else."""

from __future__ import annotations

from typing import BinaryIO, Protocol

from tclearn.encoding import Digest


class Readable(Protocol):
    """Anything that gives out its bytes in order; fewer than asked for, but none only at its end."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most so many."""


class Store(Protocol):
    """Objects named by the BLAKE3-256 digest of their bytes."""

    def put(self, data: bytes) -> Digest:
        """Keep an object; returns its name. Durable when it returns; putting the same bytes again changes nothing."""

    def put_stream(self, stream: Readable, *, size_max: int, name: Digest | None = None) -> Digest:
        """Keep what a stream has, a few pieces of it in memory at a time; returns its name. Otherwise as ``put``.

        Args:
            stream: read to its end, by any thread.
            size_max: bytes that it may have.
            name: what it must be; ``None``: anything.

        Raises:
            StorageError: ``TOO_LARGE``, longer; or ``OBJECT_CORRUPT``, other bytes than those of the name. Nothing is
                kept then, nor when the stream itself raises something, which comes through.
        """

    def has(self, name: Digest) -> bool:
        """Whether the object is here and complete."""

    def size(self, name: Digest) -> int:
        """An object's size in bytes.

        Raises:
            StorageError: not here.
        """

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
