"""An object on its way out of the vault."""

from __future__ import annotations

import io
from typing import Final

from blake3 import blake3

from tclearn.errors import StorageError
from tclearn.store.faults import corrupt
from tclearn.store.vault.backends.interface import SeekableSource, Source
from tclearn.store.vault.chunks import CHUNK_BYTES, TAG_BYTES, ChunkCipher, chunk_count, read_fully
from tclearn.store.vault.forms import Content

_SEALED_BYTES: Final = CHUNK_BYTES + TAG_BYTES


class Opening(io.RawIOBase):
    """The plain bytes of an object, a chunk at a time.

    A chunk's bytes come out only when the chunk is authentic, those of the last one only when the whole object has its
    size and, read from its beginning, its digest. Read from the middle on, each chunk is known by its number and the
    object's own key; whoever puts the parts together compares the digest. Once something was wrong, reading on says so
    again.

    Args:
        source: the sealed chunks; closed with this stream.
        cipher: opens them.
        content: what they must come to.
        start: the first byte that is wanted, at most the object's size. Chunks before it are not opened.
    """

    def __init__(self, source: Source, cipher: ChunkCipher, content: Content, start: int = 0) -> None:
        self._source = source
        self._cipher = cipher
        self._content = content
        self._hash = blake3() if start == 0 else None
        self._number, self._left_out = divmod(start, CHUNK_BYTES)
        self._skipped = self._number == 0
        self._count = chunk_count(content.size)
        self._ready = memoryview(b"")
        self._failure: StorageError | None = None

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: object, /) -> int:
        """Fill a buffer with what is next.

        Raises:
            StorageError: a chunk is not as it was sealed, is missing or too many; or the backend fails.
        """
        target = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        if not self._ready and target:
            self._ready = memoryview(self._next())
        size = min(len(target), len(self._ready))
        target[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def readall(self) -> bytes:
        """All that is left.

        Raises:
            StorageError: as ``readinto``.
        """
        whole = io.BytesIO()
        whole.write(self._ready)
        self._ready = memoryview(b"")
        while chunk := self._next():
            whole.write(chunk)
        return whole.getvalue()

    def close(self) -> None:
        """Read no further."""
        if not self.closed:
            self._source.close()
        super().close()

    def _next(self) -> bytes:
        if self._failure is not None:
            raise self._failure
        if self._number >= self._count:
            return b""
        try:
            if not self._skipped:
                self._skip()
            chunk = self._opened()
            first, self._left_out = self._left_out, 0
            return chunk[first:] if first else chunk
        except StorageError as error:
            self._failure = error
            raise

    def _skip(self) -> None:
        sealed = self._number * _SEALED_BYTES
        if isinstance(self._source, SeekableSource):
            self._source.seek(sealed)
        else:
            while sealed and (passed := len(self._source.read(min(sealed, _SEALED_BYTES)))):
                sealed -= passed
        self._skipped = True

    def _opened(self) -> bytes:
        last = self._number == self._count - 1
        sealed = read_fully(self._source, _SEALED_BYTES)
        chunk = self._cipher.open(self._number, sealed, last=last)
        if chunk is None:
            raise self._corrupt(f"is damaged in chunk {self._number} of {self._count}")
        if self._hash is not None:
            self._hash.update(chunk)
        self._number += 1
        if last:
            self._check_end(len(chunk))
        return chunk

    def _check_end(self, size: int) -> None:
        if (self._number - 1) * CHUNK_BYTES + size != self._content.size or self._source.read(1):
            raise self._corrupt("is longer or shorter than it was")
        if self._hash is not None and self._hash.digest() != self._content.digest:
            raise self._corrupt("is not what was sealed")

    def _corrupt(self, what: str) -> StorageError:
        return corrupt(self._content.digest, what)


def drained(stream: io.RawIOBase) -> int:
    """Read a stream to its end, in one buffer; its number of bytes."""
    buffer = bytearray(CHUNK_BYTES)
    total = 0
    while size := stream.readinto(buffer):
        total += size
    return total
