"""Objects in a folder from somebody else: only read, whatever the folder holds."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

from blake3 import blake3

from tclearn.encoding import Digest
from tclearn.errors import Code, StorageError, UnreachableError
from tclearn.store.faults import check_size, corrupt, failed, missing
from tclearn.store.streams import checked

_INSIDE: Final = "objects"
_DEEPEST: Final = 2
"""From a coalition's folder to the store in it, and to the objects in that."""
_NO_FILE: Final = frozenset({errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.EOPNOTSUPP, errno.EISDIR})
"""A link to itself, a socket, a device without a driver, a folder: nobody can open it, and nobody has bytes of it."""
_NO_WAITING: Final = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class ObjectFolder:
    """The objects of a ``FilesystemStore`` that nobody trusts: a copy, a read-only disk, a download.

    Nothing is written. Objects are asked for by digest, so no name in the folder is ever followed; what lies under a
    name counts only when its bytes have that digest.

    Args:
        folder: of a coalition, of a store, or the innermost one, with the folders ``00`` to ``ff``.

    Raises:
        UnreachableError: there is no such folder.
        StorageError: it is no folder, or cannot be looked at.
    """

    def __init__(self, folder: Path) -> None:
        try:
            is_folder = stat.S_ISDIR(folder.stat().st_mode)
        except FileNotFoundError:
            raise UnreachableError(
                Code.FILE_MISSING,
                f"no directory {folder}",
                remedy="name the `objects` directory of a coalition, or a copy of it",
            ) from None
        except NotADirectoryError:
            raise _no_folder(folder.parent) from None
        except OSError as error:
            raise _unreadable(folder, error) from error
        if not is_folder:
            raise _no_folder(folder)
        for _ in range(_DEEPEST):
            try:
                if not (folder / _INSIDE).is_dir():
                    break
            except OSError as error:
                raise _unreadable(folder, error) from error
            folder /= _INSIDE
        self.folder = folder

    def get(self, name: Digest, *, size_max: int) -> bytes:
        """An object's bytes, checked against its name before any are kept.

        Raises:
            StorageError: as ``open``; ``TOO_LARGE``, more than ``size_max`` bytes, and not read; or ``OBJECT_CORRUPT``,
                other bytes than those of the name.
        """
        try:
            with self.open(name) as stream:
                size = stream.seek(0, os.SEEK_END)
                check_size(name, size, size_max)
                stream.seek(0)
                checked(stream, size_max, name)
                stream.seek(0)
                data = stream.read(size)
        except OSError as error:
            raise failed(error, self.folder) from error
        if blake3(data).digest() != name:  # it has changed meanwhile
            raise corrupt(name, "has other bytes than its name says")
        return data

    def open(self, name: Digest) -> BinaryIO:
        """An object as a stream that can be set back, not checked; the reader compares the digest.

        Raises:
            StorageError: ``OBJECT_MISSING``; ``OBJECT_CORRUPT``, no file. ``STORE_FAILED``: it cannot be read.
        """
        text = name.hex()
        try:
            # A pipe in the place of a file would make whoever opens it wait for ever.
            descriptor = os.open(self.folder / text[:2] / text[2:], os.O_RDONLY | _NO_WAITING)
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return os.fdopen(descriptor, "rb")
            os.close(descriptor)
        except (FileNotFoundError, NotADirectoryError):
            raise missing(name) from None
        except OSError as error:
            if error.errno not in _NO_FILE:
                raise failed(error, self.folder) from error
        raise corrupt(name, "is no file")


def _no_folder(path: Path) -> StorageError:
    return StorageError(Code.STORE_FAILED, f"{path} is not a directory", expected="a directory of objects")


def _unreadable(folder: Path, error: OSError) -> StorageError:
    return StorageError(
        Code.STORE_FAILED,
        f"{folder} cannot be read: {error.strerror}",
        expected="a directory that you may read",
        remedy="check the path and its permissions",
    )
