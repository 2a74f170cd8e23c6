"""What can be wrong with an object, in words that all stores share."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tclearn.encoding import Digest
from tclearn.errors import Code, StorageError

_REMEDIES: Final = {
    errno.ENOSPC: "make room on that disk",
    errno.EDQUOT: "make room in the quota of this user on that disk",
    errno.EACCES: "let this user read and write that folder",
    errno.EPERM: "let this user read and write that folder",
    errno.EROFS: "mount that disk for writing, or name another folder",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "raise the system's limit of open files",
}


def missing(name: Digest) -> StorageError:
    """The error for an object that is not in the store."""
    return StorageError(
        Code.OBJECT_MISSING,
        f"the object {_short(name)} is not in the store",
        remedy="wait for the member that offered it, or fetch it from another",
    )


def corrupt(name: Digest, what: str) -> StorageError:
    """The error for an object whose bytes are not those that its name stands for."""
    return StorageError(
        Code.OBJECT_CORRUPT,
        f"the object {_short(name)} {what}",
        expected="bytes with the BLAKE3 digest that is its name",
        remedy="look after the disk; the object is replaced when it is put again",
    )


def other_bytes(name: Digest) -> StorageError:
    """The error for a stream that is not the object that it was to be."""
    return StorageError(
        Code.OBJECT_CORRUPT,
        f"bytes that are not those of the object {_short(name)}",
        expected="bytes with the BLAKE3 digest that is its name",
        remedy="look after where they come from; the object is replaced when it is put again",
    )


def too_long(size_max: int) -> StorageError:
    """The error for a stream that does not end in time."""
    return StorageError(Code.TOO_LARGE, "the stream is too long for an object", expected=f"at most {size_max} bytes")


def check_size(name: Digest, size: int, size_max: int) -> None:
    """Refuse an object that is larger than whoever reads it allows.

    Raises:
        StorageError: larger than ``size_max`` bytes.
    """
    if size > size_max:
        raise StorageError(
            Code.TOO_LARGE, f"the object {_short(name)} has {size} bytes", expected=f"at most {size_max}"
        )


def failed(error: OSError, place: object) -> StorageError:
    """The error for an operating system that refuses."""
    return StorageError(
        Code.STORE_FAILED,
        f"the store in {place} failed: {error.strerror or error}",
        expected="a folder that can be read and written",
        remedy=_REMEDIES.get(error.errno or 0, "look after that folder and its disk"),
    )


@contextmanager
def guarded(place: object) -> Iterator[None]:
    """Tell what the operating system refuses as an error of the store in a place.

    Raises:
        StorageError: it refuses.
    """
    try:
        yield
    except OSError as error:
        raise failed(error, place) from error


def _short(name: Digest) -> str:
    return f"{name.hex()[:16]}…"
