"""A member's end of a coalition's store: objects come from the service once, piece by piece, and stay here."""

from __future__ import annotations

import io
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

from tclearn.encoding import Digest
from tclearn.errors import Code, StorageError, UnreachableError
from tclearn.limits import VAULT_OBJECT_BYTES_MAX
from tclearn.service.remote import Connection
from tclearn.store import Store
from tclearn.store.interface import Readable
from tclearn.store.streams import checked

_TRIES: Final = 5
_PAUSES_S: Final = (0.2, 1.0, 3.0, 8.0)
"""Before the second try, and so on: 12 s in all, in which a service is started again."""
_FETCH_ANEW: Final = (Code.OBJECT_MISSING, Code.OBJECT_CORRUPT)

Begin = Callable[[int], Iterator[bytes]]
"""Begins a transfer from a byte on."""
Pause = Callable[[float], bool]
"""Waits so many seconds; says whether whoever waits is to stop, at once when it learns so."""


def slept(seconds: float) -> bool:
    """A ``Pause`` that nobody cuts short."""
    time.sleep(seconds)
    return False


class FetchingStore(ABC):
    """The service's store, as ``tclearn.store.Store``; what was fetched once is in a store of the member's own.

    Attributes:
        connection: to the service.
        kept: the member's own copies.
        pause: before a transfer that has broken off goes on.
    """

    def __init__(self, connection: Connection, kept: Store, *, pause: Pause = slept) -> None:
        self.connection = connection
        self.kept = kept
        self.pause = pause
        self._lock = threading.Lock()

    @abstractmethod
    def begin(self, name: Digest) -> Begin:
        """How an object is asked for.

        Raises:
            TCLearnError: it will not be handed out.
        """

    @abstractmethod
    def has(self, name: Digest) -> bool:
        """See ``Store.has``: whether the service has the object."""

    def put(self, data: bytes) -> Digest:
        """See ``Store.put``: kept here, and handed over."""
        name = self.kept.put(data)
        self.connection.upload(object_path(name), io.BytesIO(data), len(data))
        return name

    def put_stream(self, stream: Readable, *, size_max: int, name: Digest | None = None) -> Digest:
        """See ``Store.put_stream``: kept here, and handed over."""
        found = self.kept.put_stream(stream, size_max=size_max, name=name)
        with self.kept.open(found) as source:
            self.connection.upload(object_path(found), source, self.kept.size(found))
        return found

    def get(self, name: Digest, *, size_max: int) -> bytes:
        """See ``Store.get``. A transfer that breaks off goes on where it stopped; a damaged copy is fetched anew.

        Raises:
            UnreachableError: it broke off ``_TRIES`` times without a byte in between.
            TCLearnError: as ``begin``.
        """
        with self._lock:
            try:
                return self.kept.get(name, size_max=size_max)
            except StorageError as error:
                if error.code not in _FETCH_ANEW:
                    raise
            fetch(name, self.begin(name), self.kept, size_max, pause=self.pause)
            return self.kept.get(name, size_max=size_max)

    def open(self, name: Digest) -> BinaryIO:
        """See ``Store.open``; errors as ``get``. Nowhere is the object in memory as a whole."""
        return self.opened(name, size_max=VAULT_OBJECT_BYTES_MAX)

    def opened(self, name: Digest, *, size_max: int) -> BinaryIO:
        """As ``open``, of at most so many bytes. What is in the stream has been compared with the name once."""
        with self._lock:
            try:
                with self.kept.open(name) as stream:
                    checked(stream, size_max, name)
            except StorageError as error:
                if error.code not in _FETCH_ANEW:
                    raise
                fetch(name, self.begin(name), self.kept, size_max, pause=self.pause)
            return self.kept.open(name)

    def size(self, name: Digest) -> int:
        """See ``Store.size``: of what is here."""
        return self.kept.size(name)


class Incoming:
    """An object on its way here, as a stream; a transfer that breaks off goes on where it stopped.

    Args:
        begin: begins a transfer from a byte on.
        size_max: bytes that the object may have.
        pause: before it goes on.
    """

    def __init__(self, begin: Begin, size_max: int, *, pause: Pause = slept) -> None:
        self._begin = begin
        self._size_max = size_max
        self._pause = pause
        self._pieces: Iterator[bytes] | None = None
        self._ready = memoryview(b"")
        self._came = 0
        self._came_before = 0
        self._failures = 0
        self._ended = False

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most so many; none only at the end.

        Raises:
            UnreachableError: it broke off ``_TRIES`` times without a byte in between, or there is to be no other try.
            StorageError: too large.
            TCLearnError: what the service says is wrong.
        """
        while not self._ready and not self._ended:
            self._ready = memoryview(self._next())
        piece = bytes(self._ready[:size])
        self._ready = self._ready[size:]
        return piece

    def close(self) -> None:
        """End the transfer."""
        pieces, self._pieces, self._ended = self._pieces, None, True
        close = getattr(pieces, "close", None)
        if close is not None:
            close()

    def _next(self) -> bytes:
        try:
            if self._pieces is None:
                self._came_before = self._came
                self._pieces = self._begin(self._came)
            piece = next(self._pieces, None)
        except UnreachableError:
            self._pieces = None
            self._failures = self._failures + 1 if self._came == self._came_before else 1
            if self._failures == _TRIES or self._pause(_PAUSES_S[self._failures - 1]):
                raise
            return b""
        if piece is None:
            self._ended = True
            return b""
        self._came += len(piece)
        if self._came > self._size_max:
            raise StorageError(Code.TOO_LARGE, f"an object of more than {self._size_max} bytes")
        return piece


def fetch(name: Digest, begin: Begin, kept: Store, size_max: int, *, pause: Pause = slept) -> None:
    """Bring an object here, piece by piece; under its name it is only when it was compared with it.

    Args:
        name: what it must be.
        begin: begins a transfer from a byte on.
        kept: where it goes.
        size_max: bytes that it may have.
        pause: before a transfer that has broken off goes on.

    Raises:
        UnreachableError: it broke off ``_TRIES`` times without a byte in between.
        StorageError: too large, or other bytes than those of the name; or it cannot be kept here.
        TCLearnError: what the service says is wrong.
    """
    incoming = Incoming(begin, size_max, pause=pause)
    try:
        kept.put_stream(incoming, size_max=size_max, name=name)
    except StorageError as error:
        if error.code is not Code.OBJECT_CORRUPT:
            raise
        raise StorageError(
            Code.OBJECT_CORRUPT,
            f"the service sent other bytes than those of the object {name.hex()[:16]}…",
            expected="bytes with that BLAKE3 digest",
            remedy="tell whoever runs the service",
        ) from None
    finally:
        incoming.close()


class RemoteStore(FetchingStore):
    """The service's store at level A.

    Args:
        connection: to the service.
        kept: the member's own copies.
        pause: before a transfer that has broken off goes on.
    """

    def begin(self, name: Digest) -> Begin:
        """From ``/v1/objects``."""
        return lambda start: self.connection.stream(object_path(name), start=start)

    def has(self, name: Digest) -> bool:
        """Whether the service has the object."""
        return self.connection.has(object_path(name))


def object_path(name: Digest) -> str:
    """Where an object is put, and at level A found."""
    return f"/v1/objects/{name.hex()}"
