"""Files that users name: opened, or refused with the same code wherever it happens (``docs/reference/errors.md``)."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from tclearn.errors import Code, StorageError, UnreachableError, UsageError
from tclearn.limits import KEY_FILE_BYTES_MAX


def open_file(path: Path, remedy: str) -> BinaryIO:
    """A file, open for reading.

    Args:
        path: the file.
        remedy: what to do when it is not there.

    Raises:
        UnreachableError: it is not there.
        StorageError: it is a directory or no regular file, or may not be read.
    """
    check_file(path, remedy)
    try:
        return path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from error


def read_file(path: Path, size_max: int, remedy: str) -> bytes:
    """The whole of a file.

    Args:
        path: the file.
        size_max: bytes that it may have.
        remedy: what to do when it is not there.

    Raises:
        UnreachableError: it is not there.
        StorageError: it is a directory or no regular file, or may not be read.
        UsageError: it is larger than ``size_max``.
    """
    with open_file(path, remedy) as stream:
        try:
            size = os.fstat(stream.fileno()).st_size
            too_large = size > size_max
            # Not the limit itself: a buffer of that size would be asked for at once. What is being written may grow.
            data = b"" if too_large else stream.read(size + 1)
            if len(data) > size:
                data += stream.read(size_max + 1 - len(data))
        except OSError as error:
            raise _unreadable(path, error) from error
    if too_large or len(data) > size_max:
        raise UsageError(
            Code.TOO_LARGE, f"{path} is too large", expected=f"at most {size_max:,} bytes", remedy="name another file"
        )
    return data


def read_key(path: Path) -> bytes:
    """The 32 bytes in a key file of a coalition's own directory.

    Raises:
        UnreachableError: it is not there.
        StorageError: it cannot be read, or is no key.
        UsageError: it is larger than a key file may be.
    """
    content = read_file(path, KEY_FILE_BYTES_MAX, "run this where the file is kept, or restore it")
    try:
        secret = bytes.fromhex(content.decode("ascii").strip())
    except ValueError:
        secret = b""
    if len(secret) != 32:
        raise StorageError(
            Code.KEY_FILE, f"{path} is no key", expected="64 hexadecimal digits", remedy="restore it from a copy"
        )
    return secret


def check_file(path: Path, remedy: str) -> None:
    """Check that a regular file is there, without opening it; returns nothing.

    Raises:
        UnreachableError: it is not there.
        StorageError: it is a directory or no regular file, or cannot be looked at.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise UnreachableError(Code.FILE_MISSING, f"no file {path}", remedy=remedy) from None
    except OSError as error:
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(mode):
        kind = "a directory" if stat.S_ISDIR(mode) else "no regular file"
        raise StorageError(Code.STORE_FAILED, f"{path} is {kind}", expected="a file")


def _unreadable(path: Path, error: OSError) -> StorageError:
    if isinstance(error, NotADirectoryError):
        return StorageError(Code.STORE_FAILED, f"{path.parent} is not a directory", expected=f"one with {path.name}")
    return StorageError(
        Code.STORE_FAILED,
        f"{path} cannot be read: {error.strerror}",
        expected="a file that you may read",
        remedy="check the path and its permissions",
    )
