"""A bucket of S3 or of what speaks like it, through ``obstore`` (the extra ``s3``).

A file is uploaded in parts while it is sealed, and is there only when the upload is complete. What an interrupted
upload leaves is hidden, but paid for: let the bucket's own rules abort uploads that stay incomplete.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, UnauthenticatedError

from tclearn.errors import Code, StorageError
from tclearn.store.vault.backends.interface import Entry

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_PART_BYTES: Final = 8 << 20  # a bucket takes 10,000 parts at the most
_PARTS_AT_ONCE: Final = 3
_READ_BYTES: Final = 8 << 20
_CHARACTERS_MAX: Final = 200
_DENIED: Final = re.compile(r"status code: 40[13]\b")


class BucketBackend:
    """Files in a bucket; see ``Backend``.

    Args:
        store: such as ``obstore.store.S3Store("bucket", prefix="vault")``; its user must be allowed to get, put, list
            and delete there.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def write(self, path: str, pieces: Iterable[bytes]) -> None:
        """Upload a file, in place of one that is there; it is there when all of it is.

        Raises:
            StorageError: the bucket refuses, or cannot be reached.
        """
        # Not obstore.put: it asks for the pieces from inside itself, where making them may not use a bucket again.
        with self._writing(path) as file:
            for piece in pieces:
                with self._guarded():
                    file.write(piece)

    def create(self, path: str, data: bytes) -> bool:
        """Write a small file, if there is none.

        Raises:
            StorageError: the bucket refuses, or cannot be reached.
        """
        with self._guarded():
            try:
                obstore.put(self._store, path, data, mode="create")
            except AlreadyExistsError:
                return False
        return True

    def open(self, path: str) -> _Object:
        """Read a file.

        Raises:
            FileNotFoundError: it is not there.
            StorageError: the bucket refuses, or cannot be reached.
        """
        with self._guarded():
            return _Object(self, obstore.open_reader(self._store, path, buffer_size=_READ_BYTES))

    def size(self, path: str) -> int | None:
        """A file's size in bytes; ``None``: it is not there."""
        with self._guarded():
            try:
                return obstore.head(self._store, path)["size"]
            except FileNotFoundError:
                return None

    def list(self, folder: str) -> Iterator[Entry]:
        """The files below a folder."""
        with self._guarded():
            for some in obstore.list(self._store, folder):
                for meta in some:
                    yield Entry(meta["path"], meta["size"], meta["last_modified"].timestamp())

    def remove(self, path: str) -> None:
        """Remove a file, if it is there."""
        with self._guarded(), suppress(FileNotFoundError):
            obstore.delete(self._store, path)

    def settle(self, path: str) -> None:
        """Nothing: what can be seen in a bucket is durable."""

    def __repr__(self) -> str:
        return repr(self._store)

    @contextmanager
    def _writing(self, path: str) -> Iterator[obstore.WritableFile]:
        file = obstore.open_writer(self._store, path, buffer_size=_PART_BYTES, max_concurrency=_PARTS_AT_ONCE)
        try:
            yield file
        except BaseException as error:
            with suppress(BaseError, OSError):
                file.__exit__(type(error), error, error.__traceback__)  # the upload is not completed
            raise
        with self._guarded():
            file.close()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except (BaseError, OSError) as error:
            raise self._failed(error) from None  # its text goes on for a page

    def _failed(self, error: Exception) -> StorageError:
        first = str(error).partition("\n")[0][:_CHARACTERS_MAX]
        denied = isinstance(error, PermissionDeniedError | UnauthenticatedError | PermissionError) or bool(
            _DENIED.search(str(error))
        )
        return StorageError(
            Code.STORE_FAILED,
            f"the bucket {self!r} failed: {first}",
            expected="a bucket where this user may get, put, list and delete",
            remedy="look after its credentials and policy" if denied else "look after its address and the network",
        )


class _Object:
    """A file that is being read, some megabytes at a time, with the backend's words for what goes wrong."""

    def __init__(self, backend: BucketBackend, reader: obstore.ReadableFile) -> None:
        self._backend = backend
        self._reader = reader
        self._left = reader.size

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most so many."""
        wanted = min(size, self._left)
        if wanted <= 0:
            return b""
        with self._backend._guarded():
            found = bytes(self._reader.read(wanted))
        self._left -= len(found)
        return found

    def seek(self, offset: int, /) -> None:
        """Read on from this byte."""
        offset = min(offset, self._reader.size)
        with self._backend._guarded():
            self._reader.seek(offset)
        self._left = self._reader.size - offset

    def close(self) -> None:
        """Ask for nothing more."""
        self._reader.close()
