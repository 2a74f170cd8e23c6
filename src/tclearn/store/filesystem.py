"""A store in a folder, for any number of processes at once, on one machine or a file server.

An object with the name ``ab12…`` is the file ``objects/ab/12…``. It is written under ``incoming/``, made durable, and
only then renamed to its name: a file that has its name is complete, whatever was interrupted. What an interrupted
process leaves in ``incoming/`` means nothing and goes with the first writing a day later.
"""

from __future__ import annotations

import io
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

from blake3 import blake3

from tclearn.encoding import Digest
from tclearn.errors import StorageError
from tclearn.store.faults import check_size, corrupt, guarded, missing
from tclearn.store.interface import Readable
from tclearn.store.streams import Passing, checked

_LEFT_OVER_S: Final = 86_400
_SWEEP_S: Final = 3600
_DIGEST_BYTES: Final = 32


class FilesystemStore:
    """Objects as files; see ``tclearn.store.Store``.

    Args:
        folder: made when it is not there.

    Raises:
        StorageError: the folder cannot be made or written to.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._objects = self.folder / "objects"
        self._incoming = self.folder / "incoming"
        self._left_overs = LeftOvers(self._incoming)
        with self._guarded():
            for place in (self._objects, self._incoming):
                place.mkdir(parents=True, exist_ok=True)
            for place in (self.folder.absolute().parent, self.folder):
                sync_folder(place)
            self._left_overs.sweep()

    def put(self, data: bytes) -> Digest:
        """Keep an object; returns its name. Durable when it returns; a damaged copy is replaced.

        Raises:
            StorageError: the disk is full, the folder cannot be written to, or something like it.
        """
        name = Digest(blake3(data).digest())
        if not self._holds(name):
            with self._incoming_file() as (stream, temporary):
                with self._guarded():
                    stream.write(data)
                self._settle(name, stream, temporary)
        self._sync(name)
        return name

    def put_stream(self, stream: Readable, *, size_max: int, name: Digest | None = None) -> Digest:
        """Keep what a stream has, a few pieces of it in memory at a time; see ``Store.put_stream``.

        Raises:
            StorageError: longer than ``size_max`` bytes, other bytes than those of ``name``, or as ``put``.
        """
        passing = Passing(stream, size_max, name)
        if name is not None and self._holds(name):
            for _ in passing:  # it is what it says, or this raises
                pass
        else:
            with self._incoming_file() as (file, temporary):
                for piece in passing:  # its errors are not the folder's
                    with self._guarded():
                        file.write(piece)
                if not self._holds(passing.digest):
                    self._settle(passing.digest, file, temporary)
        self._sync(passing.digest)
        return passing.digest

    def has(self, name: Digest) -> bool:
        """Whether the object is here and complete; damage of the disk shows in ``get`` only."""
        return len(name) == _DIGEST_BYTES and self._path(name).is_file()

    def get(self, name: Digest, *, size_max: int) -> bytes:
        """The object's bytes, checked against its name.

        Raises:
            StorageError: not here, larger than ``size_max`` bytes, damaged, or not readable.
        """
        with self._guarded(), self.open(name) as stream:
            size = os.fstat(stream.fileno()).st_size
            check_size(name, size, size_max)
            data = stream.read(size + 1)  # not size_max: reading reserves what is asked for
            while size < len(data) <= size_max and (more := stream.read(1 << 20)):  # it grew meanwhile
                data += more
        check_size(name, len(data), size_max)
        if blake3(data).digest() != name:
            raise corrupt(name, "is damaged")
        return data

    def open(self, name: Digest) -> BinaryIO:
        """The object as a binary stream, not checked; the reader compares the digest.

        Raises:
            StorageError: not here, or not readable; so does reading the stream.
        """
        if len(name) != _DIGEST_BYTES:
            raise missing(name)
        with self._guarded():
            try:
                return io.BufferedReader(_File(self._path(name), self.folder))
            except FileNotFoundError:
                raise missing(name) from None

    def _path(self, name: Digest) -> Path:
        text = name.hex()
        return self._objects / text[:2] / text[2:]

    def size(self, name: Digest) -> int:
        """An object's size in bytes.

        Raises:
            StorageError: not here, or not readable.
        """
        with self._guarded(), self.open(name) as stream:
            return os.fstat(stream.fileno()).st_size

    def _holds(self, name: Digest) -> bool:
        try:
            with self._guarded(), self.open(name) as stream:
                checked(stream, os.fstat(stream.fileno()).st_size, name)
        except StorageError:
            return False
        return True

    @contextmanager
    def _incoming_file(self) -> Iterator[tuple[BinaryIO, Path]]:
        """A new file that is not an object yet; gone at the end, unless it has been moved to its name."""
        with self._guarded():
            self._left_overs.sweep()
            descriptor, name = tempfile.mkstemp(dir=self._incoming)
        temporary, stream = Path(name), os.fdopen(descriptor, "wb")
        try:
            yield stream, temporary
        finally:
            with suppress(OSError):  # a full disk may refuse what is left to write: it has been told
                stream.close()
            with suppress(OSError):
                temporary.unlink()

    def _settle(self, name: Digest, stream: BinaryIO, temporary: Path) -> None:
        target = self._path(name)
        with self._guarded():
            stream.flush()
            os.fsync(stream.fileno())
            stream.close()
            target.parent.mkdir(exist_ok=True)
            temporary.replace(target)

    def _sync(self, name: Digest) -> None:
        # Also when it was here: whoever put it may not have come to this point yet.
        with self._guarded():
            sync_folder(self._path(name).parent)
            sync_folder(self._objects)

    def _guarded(self) -> AbstractContextManager[None]:
        return guarded(self.folder)


class _File(io.FileIO):
    """A file that is being read, with the store's words for what goes wrong."""

    def __init__(self, path: Path, folder: Path) -> None:
        super().__init__(path)
        self._folder = folder

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer with what is next."""
        with guarded(self._folder):
            return super().readinto(buffer)

    def readall(self) -> bytes:
        """All that is left."""
        with guarded(self._folder):
            return super().readall()

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go on from another byte."""
        with guarded(self._folder):
            return super().seek(offset, whence)


class LeftOvers:
    """What interrupted processes have left in a folder of unfinished files: it goes when it is a day old.

    Args:
        folder: nothing else is in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._next_s = float("-inf")

    def sweep(self) -> None:
        """Look for it, once an hour at the most; for whoever is about to write there.

        Raises:
            OSError: the folder cannot be read.
        """
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + _SWEEP_S
        oldest = time.time() - _LEFT_OVER_S
        for path in self._folder.iterdir():
            with suppress(OSError):  # another process may be sweeping too
                if path.stat().st_mtime < oldest:
                    path.unlink()


def sync_folder(folder: Path) -> None:
    """Make the entries of a folder durable."""
    if os.name == "nt":
        return  # Windows has no such call; its rename is durable enough for what is promised there
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
