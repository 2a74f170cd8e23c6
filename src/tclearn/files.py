"""Writing files whole or not at all."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from tclearn.errors import Code, StorageError


@contextmanager
def writing(path: Path, *, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A stream whose content takes the file's place when the block ends, durably; on an error the file stays as it was.

    What was written can be read again before that. Until then only the file's owner can read it, under another name: so
    it also stays where the process is killed.

    Args:
        path: the file.
        mode: its permissions, before the umask.

    Raises:
        StorageError: the file cannot be written; so does the stream. Other errors of the block come through.
    """
    if is_folder(path):
        raise StorageError(
            Code.STORE_FAILED, f"{path} cannot be written: it is a directory", expected="a name for the file"
        )
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    with _told(path, "check the folder and its permissions"):
        temporary.unlink(missing_ok=True)  # of a process that was killed, and had this one's number
        # Not mkstemp: a record or a report is made to be handed on, with the permissions that the user's umask gives.
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
    try:
        with io.BufferedRandom(_File(handle, path)) as stream:
            permissions = stat.S_IMODE(os.fstat(handle).st_mode)
            _permit(handle, permissions & 0o600)
            try:
                yield stream
            except BaseException:
                with suppress(StorageError):  # of what is not wanted any more
                    stream.close()
                raise
            stream.flush()
            with _told(path):
                os.fsync(handle)
            _permit(handle, permissions)
        with _told(path):
            temporary.replace(path)
            _sync_folder(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink()


class _File(io.FileIO):
    """A file that is being written, with words for what goes wrong."""

    def __init__(self, handle: int, path: Path) -> None:
        super().__init__(handle, "r+")
        self._path = path

    def write(self, data: Any, /) -> int:
        """Write some of the bytes; how many."""
        with _told(self._path):
            return super().write(data)

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer with what is next."""
        with _told(self._path):
            return super().readinto(buffer)

    def readall(self) -> bytes:
        """All that is left."""
        with _told(self._path):
            return super().readall()


@contextmanager
def _told(path: Path, remedy: str = "check the disk's free space") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(Code.STORE_FAILED, f"{path} cannot be written: {error.strerror}", remedy=remedy) from error


def _permit(handle: int, mode: int) -> None:
    with suppress(OSError):  # a disk without permissions: who can read it was settled elsewhere
        os.chmod(handle, mode)


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
