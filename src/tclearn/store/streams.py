"""Objects on their way from one place to another, a piece at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from blake3 import blake3

from tclearn.encoding import Digest
from tclearn.store.faults import other_bytes, too_long
from tclearn.store.interface import Readable, Store

PIECE_BYTES: Final = 1 << 20


class Passing:
    """A stream whose bytes are counted and hashed as they pass. ``size`` and ``digest`` are of what has passed.

    Args:
        stream: read once.
        size_max: a longer one is refused, in bytes.
        name: what it must come to; ``None``: anything.
    """

    def __init__(self, stream: Readable, size_max: int, name: Digest | None = None) -> None:
        self._stream = stream
        self._size_max = size_max
        self._name = name
        self._hash = blake3()
        self.size = 0

    @property
    def digest(self) -> Digest:
        """BLAKE3-256 of the bytes."""
        return Digest(self._hash.digest())

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most so many; none only at the end.

        Raises:
            StorageError: longer than ``size_max``.
        """
        piece = self._stream.read(size)
        self.size += len(piece)
        if self.size > self._size_max:
            raise too_long(self._size_max)
        self._hash.update(piece)
        return piece

    def check_name(self) -> None:
        """At the end: that the bytes were those of the name, where there is one; returns nothing.

        Raises:
            StorageError: other bytes.
        """
        if self._name is not None and self.digest != self._name:
            raise other_bytes(self._name)

    def __iter__(self) -> Iterator[bytes]:
        """The pieces in order, and an error in place of the end when they are not what they must be.

        Raises:
            StorageError: longer than ``size_max``, or other bytes than those of the name.
        """
        while piece := self.read(PIECE_BYTES):
            yield piece
        self.check_name()


def checked(stream: Readable, size_max: int, name: Digest) -> int:
    """Read a stream to its end and keep nothing; its number of bytes.

    Raises:
        StorageError: longer than ``size_max``, or other bytes than those of the name.
    """
    passing = Passing(stream, size_max, name)
    for _ in passing:
        pass
    return passing.size


def hand_on(name: Digest, source: Store, target: Store, *, size_max: int) -> None:
    """Put an object of one store into another, without holding it as a whole.

    Args:
        name: of the object.
        source: where it is.
        target: where it goes.
        size_max: bytes that it may have.

    Raises:
        StorageError: not in the source, damaged there, or larger; or as ``put_stream`` of the target.
    """
    with source.open(name) as stream:
        target.put_stream(stream, size_max=size_max, name=name)
