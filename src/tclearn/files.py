"""Writing files whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from tclearn.errors import Code, StorageError


@contextmanager
def writing(path: Path, *, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A stream whose content takes the file's place when the block ends, durably; on an error the file stays as it was.

    What was written can be read again before that.

    Args:
        path: the file.
        mode: its permissions, before the umask.

    Raises:
        StorageError: the file cannot be written.
    """
    if is_folder(path):
        raise StorageError(
            Code.STORE_FAILED, f"{path} cannot be written: it is a directory", expected="a name for the file"
        )
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        # Not mkstemp: a record or a report is made to be handed on, with the permissions that the user's umask gives.
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, mode)
    except OSError as error:
        raise StorageError(
            Code.STORE_FAILED,
            f"{path} cannot be written: {error.strerror}",
            remedy="check the folder and its permissions",
        ) from error
    try:
        with os.fdopen(handle, "w+b") as stream:
            yield cast(BinaryIO, stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise StorageError(
            Code.STORE_FAILED, f"{path} cannot be written: {error.strerror}", remedy="check the disk's free space"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    # The new name is durable only when the folder is.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_whole(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Write a file, whole or not at all; arguments and errors as ``writing``."""
    with writing(path, mode=mode) as stream:
        stream.write(data)


def is_there(path: Path) -> bool:
    """Whether there is anything at a path; no where that cannot be looked up: whoever opens it then says why."""
    try:
        return path.exists()
    except OSError:  # no permission for a folder above it, or a name that no file can have
        return False


def is_folder(path: Path) -> bool:
    """Whether there is a directory at a path; no where that cannot be looked up, as ``is_there``."""
    try:
        return path.is_dir()
    except OSError:
        return False


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where they are not there.

    Raises:
        StorageError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            Code.STORE_FAILED,
            f"the folder {path} cannot be made: {error.strerror}",
            remedy="check the name, and the permissions of the folder above it",
        ) from error
