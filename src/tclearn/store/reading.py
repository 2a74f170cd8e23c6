"""Objects in a folder from somebody else: only read, whatever the folder holds."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from blake3 import blake3

from tclearn.encoding import Digest
from tclearn.errors import Code, StorageError, UnreachableError
from tclearn.store.faults import check_size, corrupt, failed, missing

_INSIDE: Final = "objects"
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
            raise StorageError(
                Code.STORE_FAILED,
                f"{folder} cannot be read: {error.strerror}",
                expected="a directory that you may read",
                remedy="check the path and its permissions",
            ) from error
        if not is_folder:
            raise _no_folder(folder)
        while (folder / _INSIDE).is_dir():
            folder /= _INSIDE
        self.folder = folder

    def get(self, name: Digest, *, size_max: int) -> bytes:
        """An object's bytes, checked against its name.

        Raises:
            StorageError: ``OBJECT_MISSING``; ``TOO_LARGE``, more than ``size_max`` bytes, and not read; or
                ``OBJECT_CORRUPT``, no file, or one with other bytes. ``STORE_FAILED``: it cannot be read.
        """
        text = name.hex()
        try:
            # A pipe in the place of a file would make whoever opens it wait for ever.
            descriptor = os.open(self.folder / text[:2] / text[2:], os.O_RDONLY | _NO_WAITING)
            with os.fdopen(descriptor, "rb") as stream:
                status = os.fstat(stream.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise corrupt(name, "is no file")
                check_size(name, status.st_size, size_max)
                data = stream.read(status.st_size + 1)
        except (FileNotFoundError, NotADirectoryError):
            raise missing(name) from None
        except IsADirectoryError:
            raise corrupt(name, "is no file") from None
        except OSError as error:
            raise failed(error, self.folder) from error
        if blake3(data).digest() != name:
            raise corrupt(name, "has other bytes than its name says")
        return data


def _no_folder(path: Path) -> StorageError:
    return StorageError(Code.STORE_FAILED, f"{path} is not a directory", expected="a directory of objects")
