"""What a backend is to the vault: sealed files by path, each there as a whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from tclearn.errors import Code, StorageError


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that is there.

    Attributes:
        path: its path, parts joined by ``/``.
        size: in bytes.
        modified_s: when it was written, in seconds since 1970 by the backend's clock.
    """

    path: str
    size: int
    modified_s: float


class Source(Protocol):
    """A file that is being read."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most so many; none only at its end.

        Raises:
            StorageError: the backend fails.
        """

    def close(self) -> None:
        """Read no further."""


@runtime_checkable
class SeekableSource(Source, Protocol):
    """A file that can be read from the middle on."""

    def seek(self, offset: int, /) -> object:
        """Read on from this byte.

        Raises:
            StorageError: the backend fails.
        """


class Backend(Protocol):
    """Files by path. All methods raise ``StorageError`` when the backend fails."""

    def write(self, path: str, pieces: Iterable[bytes]) -> None:
        """Write a file, in place of one that is there. Whole and durable when it returns; before that not there.

        What the iterable raises comes through, and leaves no file.
        """

    def create(self, path: str, data: bytes) -> bool:
        """Write a small file if there is none, as ``write`` does; whether it was this call that made it.

        Of several that do so at once only one makes it.
        """

    def open(self, path: str) -> Source:
        """Read a file from its beginning.

        Raises:
            FileNotFoundError: it is not there.
        """

    def size(self, path: str) -> int | None:
        """A file's size in bytes; ``None``: it is not there."""

    def list(self, folder: str) -> Iterator[Entry]:
        """The files below a folder, in any order."""

    def remove(self, path: str) -> None:
        """Remove a file, if it is there."""

    def settle(self, path: str) -> None:
        """Make a file durable that somebody else may still be writing: it is there, and stays."""


def read_small(backend: Backend, path: str, size_max: int) -> bytes | None:
    """The bytes of a small file; ``None``: it is not there.

    Raises:
        StorageError: larger than ``size_max`` bytes, or the backend fails.
    """
    try:
        source = backend.open(path)
    except FileNotFoundError:
        return None
    try:
        parts = [source.read(size_max + 1)]
        while parts[-1] and sum(map(len, parts)) <= size_max:
            parts.append(source.read(size_max + 1))
    finally:
        source.close()
    data = b"".join(parts)
    if len(data) > size_max:
        raise StorageError(Code.OBJECT_CORRUPT, f"{path} is too long", expected=f"at most {size_max} bytes")
    return data
