"""A store in memory, for tests, simulations and demonstrations."""

from __future__ import annotations

import io
from typing import BinaryIO

from blake3 import blake3

from tclearn.encoding import Digest
from tclearn.store.faults import check_size, missing


class MemoryStore:
    """Objects in a dictionary; see ``tclearn.store.Store``. Gone with the process."""

    def __init__(self) -> None:
        self._objects: dict[Digest, bytes] = {}

    def put(self, data: bytes) -> Digest:
        """Keep an object; returns its name."""
        name = Digest(blake3(data).digest())
        self._objects.setdefault(name, bytes(data))
        return name

    def has(self, name: Digest) -> bool:
        """Whether the object is here."""
        return name in self._objects

    def get(self, name: Digest, *, size_max: int) -> bytes:
        """The object's bytes.

        Raises:
            StorageError: not here, or larger than ``size_max`` bytes.
        """
        data = self._objects.get(name)
        if data is None:
            raise missing(name)
        check_size(name, len(data), size_max)
        return data

    def open(self, name: Digest) -> BinaryIO:
        """The object as a binary stream.

        Raises:
            StorageError: not here.
        """
        data = self._objects.get(name)
        if data is None:
            raise missing(name)
        return io.BytesIO(data)
