"""The vault: a store whose files tell nothing of what is in them.

An object is two files. Its *body* is the chunks (``chunks``), under a random id; it never changes. Its *head*
(``forms``) has the key of the body, wrapped, and is filed under a keyed hash of the object's name. The head is written
last and at once: with it the object is there, without it it is not. Rotating keys rewrites heads only.
"""

from __future__ import annotations

import io
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO, Final

from blake3 import blake3

from tclearn.encoding import Digest
from tclearn.errors import Code, StorageError, UnreachableError, UsageError
from tclearn.limits import VAULT_OBJECT_BYTES_MAX, VAULT_RECORD_BYTES_MAX
from tclearn.store.faults import check_size, corrupt, missing
from tclearn.store.interface import Readable
from tclearn.store.streams import checked
from tclearn.store.vault.backends import Backend
from tclearn.store.vault.backends.interface import read_small
from tclearn.store.vault.chunks import CHUNK_BYTES, ChunkCipher, Sealing, sealed_size
from tclearn.store.vault.forms import (
    BODIES,
    HEADS,
    ID_BYTES,
    ROOT,
    Content,
    Envelope,
    Head,
    Root,
    body_path,
    head_path,
    id_in,
    label_of,
)
from tclearn.store.vault.keys import KeyEncryption, new_key
from tclearn.store.vault.reading import Opening, drained

_DIGEST_BYTES: Final = 32
_LEFT_OVER_S: Final = 86_400


class Vault:
    """Sealed objects; a ``tclearn.store.Store`` that also takes and gives streams.

    Any number of processes may read and write at once. One at a time rotates keys.

    Args:
        backend: where the files lie.
        keys: the vault's KEKs.
        create: make a new vault in an empty backend.

    Raises:
        UnreachableError: there is no vault.
        UsageError: ``create``, and there is something already.
        StorageError: the vault's record is damaged, or the keys are not its own.
    """

    def __init__(self, backend: Backend, keys: KeyEncryption, *, create: bool = False) -> None:
        self.backend = backend
        self.keys = keys
        if create:
            self._create()
        root = self.root()
        names = root.names_key(keys)
        if names is None:
            raise _damaged(backend)
        self.names_key = names
        self.envelope = Envelope(root.id, keys)
        self._id = root.id

    # --- as a store --------------------------------------------------------------------------------------------------

    def put(self, data: bytes) -> Digest:
        """Keep an object; returns its name. Durable when it returns; a damaged copy is replaced.

        Raises:
            StorageError: the backend fails, or the keys were rotated since the vault was opened.
        """
        self._check_current()
        name = Digest(blake3(data).digest())
        if self._settled(name):
            return name
        return self._added(io.BytesIO(data), VAULT_OBJECT_BYTES_MAX)

    def put_stream(
        self, stream: Readable, *, size_max: int = VAULT_OBJECT_BYTES_MAX, name: Digest | None = None
    ) -> Digest:
        """Keep what a stream has, sealed a few chunks at a time; nothing of it is written in the clear.

        Args:
            stream: read to its end, by any thread.
            size_max: bytes that it may have.
            name: what it must be; ``None``: anything.

        Raises:
            StorageError: longer than ``size_max`` bytes, other bytes than those of the name, or as ``put``. Nothing is
                kept then, nor when the stream itself raises something, which comes through.
        """
        if name is not None:
            self._check_current()
            if self._settled(name):
                checked(stream, size_max, name)
                return name
        return self._added(stream, size_max, name)

    def has(self, name: Digest) -> bool:
        """Whether the object is here and complete; damage within its chunks shows in reading only.

        Raises:
            StorageError: the backend fails, or the keys were rotated since the vault was opened.
        """
        try:
            head, _, content = self._head(name)
        except StorageError as error:
            if error.code in {Code.OBJECT_MISSING, Code.OBJECT_CORRUPT}:
                return False
            raise
        return self.backend.size(body_path(head.body)) == sealed_size(content.size)

    def get(self, name: Digest, *, size_max: int) -> bytes:
        """The object's bytes, authentic and checked against its name.

        Raises:
            StorageError: not here, larger than ``size_max`` bytes, damaged, or not readable.
        """
        with self.opening(name, size_max) as stream:
            return stream.readall()

    def open(self, name: Digest, start: int = 0) -> BinaryIO:
        """The object as a binary stream that gives out authentic bytes only, and ends only when all of them were.

        Args:
            name: of the object.
            start: the first byte that is wanted; what lies in chunks before it is not opened.

        Raises:
            StorageError: not here, damaged, or not readable; so does reading the stream.
            UsageError: it begins before, or ends before that byte.
        """
        return io.BufferedReader(self.opening(name, VAULT_OBJECT_BYTES_MAX, start), CHUNK_BYTES)

    # --- more than a store -------------------------------------------------------------------------------------------

    def size(self, name: Digest) -> int:
        """An object's size in bytes.

        Raises:
            StorageError: not here, or its head is damaged.
        """
        return self._head(name)[2].size

    def names(self) -> Iterator[Digest]:
        """The names of all objects, in any order.

        Raises:
            StorageError: a head is damaged.
        """
        for label, head in self.heads():
            opened = self.envelope.open(label, head) if head else None
            if opened is None:
                raise damaged_head(label)
            yield opened[1].digest

    def remove(self, name: Digest) -> None:
        """Remove an object, if it is here. Its key is gone with its head: of a body that stays somewhere nobody learns.

        Raises:
            StorageError: the backend fails.
        """
        path = head_path(self._label(name))
        data = read_small(self.backend, path, VAULT_RECORD_BYTES_MAX)
        self.backend.remove(path)
        head = Head.read(data) if data else None
        if head:
            self.backend.remove(body_path(head.body))

    def sweep(self, *, older_than_s: float = _LEFT_OVER_S) -> int:
        """Remove bodies without a head, which interrupted writers leave.

        Args:
            older_than_s: younger ones may belong to an object that is being written; the longest time that may take.

        Returns:
            How many were removed.

        Raises:
            StorageError: a head is damaged, so that its body cannot be told.
        """
        oldest = time.time() - older_than_s
        found = {entry.path for entry in self.backend.list(BODIES) if entry.modified_s < oldest}
        for label, head in self.heads():
            if head is None:
                raise damaged_head(label)
            found.discard(body_path(head.body))
        for path in found:
            self.backend.remove(path)
        return len(found)

    # --- for rotation and backups ------------------------------------------------------------------------------------

    def heads(self) -> Iterator[tuple[bytes, Head | None]]:
        """Every object's label and head; ``None`` in place of one that cannot be read."""
        for entry in list(self.backend.list(HEADS)):
            label = id_in(entry.path)
            data = read_small(self.backend, entry.path, VAULT_RECORD_BYTES_MAX) if label else None
            if label and data is not None:
                yield label, Head.read(data)

    def write_head(self, label: bytes, head: Head) -> None:
        """Put a head in its place."""
        self.backend.write(head_path(label), [head.encode()])

    def root(self) -> Root:
        """The vault's record, as it is now.

        Raises:
            UnreachableError: there is none.
            StorageError: it is damaged.
        """
        data = read_small(self.backend, ROOT, VAULT_RECORD_BYTES_MAX)
        if data is None:
            raise UnreachableError(
                Code.FILE_MISSING,
                f"there is no vault in {self.backend!r}",
                remedy="name the place where the vault was made, or make one",
            )
        root = Root.read(data)
        if root is None:
            raise _damaged(self.backend)
        return root

    def write_root(self) -> None:
        """Write the vault's record anew, under the current KEK."""
        self.backend.write(ROOT, [Root.made(self._id, self.names_key, self.keys).encode()])

    def __repr__(self) -> str:
        return f"Vault({self.backend!r})"

    # --- below -------------------------------------------------------------------------------------------------------

    def _create(self) -> None:
        used = any(True for folder in (HEADS, BODIES) for _ in self.backend.list(folder)) or self.backend.size(ROOT)
        root = Root.made(secrets.token_bytes(ID_BYTES), new_key(), self.keys)
        # Of two that make it at once only one may: what was put under the other's record nobody would find.
        if used or not self.backend.create(ROOT, root.encode()):
            raise UsageError(
                Code.VAULT,
                f"in {self.backend!r} there is a vault already, or a part of one",
                expected="an empty place",
                remedy="open it, or choose another place",
            )

    def _added(self, stream: Readable, size_max: int, wanted: Digest | None = None) -> Digest:
        self._check_current()
        key, body = new_key(), secrets.token_bytes(ID_BYTES)
        sealing = Sealing(stream, self.envelope.cipher(key, body), size_max, wanted)
        label: bytes | None = None
        placed = False
        try:
            self.backend.write(body_path(body), sealing.pieces())
            name = sealing.digest
            label = self._label(name)
            if not self._settled(name):
                self._check_current()
                placed = self._placed(label, self.envelope.seal(label, body, key, Content(name, sealing.size)), name)
        finally:
            if not placed:
                self._let_go(body, label)
        return name

    def _placed(self, label: bytes, head: Head, name: Digest) -> bool:
        """Put the head of a new object in its place, but not over another writer's; whether it is there."""
        if self.backend.create(head_path(label), head.encode()):
            return True
        if self._settled(name):
            return False
        self.write_head(label, head)  # what is there is damaged, or has lost its chunks
        return True

    def _let_go(self, body: bytes, label: bytes | None) -> None:
        # A failed call may have written the head all the same: then the body stays, as it does when nobody can tell.
        with suppress(StorageError):
            data = read_small(self.backend, head_path(label), VAULT_RECORD_BYTES_MAX) if label else None
            head = Head.read(data) if data else None
            if head is None or head.body != body:
                self.backend.remove(body_path(body))

    def _settled(self, name: Digest) -> bool:
        """Whether the object is here, every byte of it; then it stays."""
        try:
            with self.opening(name, VAULT_OBJECT_BYTES_MAX) as stream:
                drained(stream)
        except StorageError as error:
            # These keys are the vault's, as was checked before: what they do not open nobody can read.
            if error.code in {Code.OBJECT_MISSING, Code.OBJECT_CORRUPT, Code.VAULT_KEY}:
                return False
            raise
        # Whoever put it may not have come to this point yet.
        self.backend.settle(head_path(self._label(name)))
        return True

    def opening(self, name: Digest, size_max: int = VAULT_OBJECT_BYTES_MAX, start: int = 0) -> Opening:
        """As ``open``, without a buffer.

        Raises:
            StorageError: not here, larger than ``size_max`` bytes, damaged, or not readable; so does reading it.
            UsageError: it begins before, or ends before that byte.
        """
        head, cipher, content = self._head(name)
        check_size(name, content.size, size_max)
        if not 0 <= start <= content.size:
            raise UsageError(Code.USAGE, f"bytes from {start} on, of an object with {content.size}")
        try:
            source = self.backend.open(body_path(head.body))
        except FileNotFoundError:
            raise corrupt(name, "has lost its chunks") from None
        return Opening(source, cipher, content, start)

    def _head(self, name: Digest) -> tuple[Head, ChunkCipher, Content]:
        if len(name) != _DIGEST_BYTES:
            raise missing(name)
        label = self._label(name)
        data = read_small(self.backend, head_path(label), VAULT_RECORD_BYTES_MAX)
        if data is None:
            raise missing(name)
        head = Head.read(data)
        opened = self.envelope.open(label, head) if head else None
        if head is None or opened is None or opened[1].digest != name:
            raise corrupt(name, "has a damaged head")
        return head, *opened

    def _label(self, name: Digest) -> bytes:
        return label_of(self.names_key, name)

    def _check_current(self) -> None:
        # A writer that has missed a rotation would wrap under a KEK that may be retired soon.
        current = self.root().kek
        if current != self.keys.current:
            raise StorageError(
                Code.VAULT_KEY,
                "the vault's keys were rotated since they were read here, or a rotation was begun and not finished",
                expected=f"the current key {current!r}",
                remedy="open the vault again, or rotate to the end",
            )


def damaged_head(label: bytes) -> StorageError:
    """The error for a head that does not open, of which only the label is known."""
    return StorageError(
        Code.OBJECT_CORRUPT,
        f"the head {head_path(label)} is damaged",
        expected="a head as the vault wrote it",
        remedy="put the object again, or restore it from a backup",
    )


def _damaged(backend: Backend) -> StorageError:
    return StorageError(
        Code.VAULT,
        f"the record of the vault in {backend!r} is damaged",
        expected="the file `vault` as it was written",
        remedy="restore it from a backup",
    )
