"""A store in memory, for tests, simulations and demonstrations."""

from __future__ import annotations

import io
from typing import BinaryIO

from blake3 import blake3

from tclearn.encoding import Digest
from tclearn.store.faults import check_size, missing
from tclearn.store.interface import Readable
from tclearn.store.streams import Passing


class MemoryStore:
    """Objects in a dictionary; see ``tclearn.store.Store``. Gone with the process."""

    def __init__(self) -> None:
        self._objects: dict[Digest, bytes] = {}

    def put(self, data: bytes) -> Digest:
        """Keep an object; returns its name."""
        name = Digest(blake3(data).digest())
        self._objects.setdefault(name, bytes(data))
        return name

    def put_stream(self, stream: Readable, *, size_max: int, name: Digest | None = None) -> Digest:
        """See ``Store.put_stream``; here the whole object is in memory all the same."""
        return self.put(b"".join(Passing(stream, size_max, name)))

    def has(self, name: Digest) -> bool:
        """Whether the object is here."""
        return name in self._objects

    def get(self, name: Digest, *, size_max: int) -> bytes:
        """The object's bytes.

        Raises:
            StorageError: not here, or larger than ``size_max`` bytes.
        """
        data = self._found(name)
        check_size(name, len(data), size_max)
        return data

    def open(self, name: Digest) -> BinaryIO:
        """The object as a binary stream.

        Raises:
            StorageError: not here.
        """
        return io.BytesIO(self._found(name))

    def size(self, name: Digest) -> int:
        """See ``Store.size``."""
        return len(self._found(name))

    def _found(self, name: Digest) -> bytes:
        data = self._objects.get(name)
        if data is None:
            raise missing(name)
        return data
