"""A folder, for any number of processes at once, on one machine or a file server.

A file is written under ``incoming/`` while its pieces are made, made durable, and only then renamed to its path: what
has its path is complete, whatever was interrupted. What an interrupted process leaves in ``incoming/`` means nothing
and goes with the first writing a day later. Files can be read by their owner only.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from tclearn.store.faults import guarded
from tclearn.store.filesystem import LeftOvers, sync_folder
from tclearn.store.vault.backends.interface import Entry
from tclearn.store.vault.backends.write_behind import WriteBehind
from tclearn.store.vault.forms import BODIES, HEADS


class FolderBackend:
    """Files in a folder; see ``Backend``.

    Args:
        folder: made with the first file that is written, when it is not there.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._incoming = self.folder / "incoming"
        self._left_overs = LeftOvers(self._incoming)
        self._prepared = False

    def write(self, path: str, pieces: Iterable[bytes]) -> None:
        """Write a file, in place of one that is there; whole and durable when it returns.

        Raises:
            StorageError: the disk is full, the folder cannot be written to, or something like it.
        """
        self._write(path, pieces, Path.replace)

    def create(self, path: str, data: bytes) -> bool:
        """Write a small file, if there is none.

        Raises:
            StorageError: it cannot be written.
        """
        try:
            self._write(path, [data], _move_if_free)
        except _TakenError:
            return False
        return True

    def _write(self, path: str, pieces: Iterable[bytes], move: Callable[[Path, Path], object]) -> None:
        target = self.folder / path
        with self._guarded():
            self._prepare()
            target.parent.mkdir(exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=self._incoming)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as stream:
                with WriteBehind(stream) as file:
                    for piece in pieces:  # its errors are not the folder's
                        with self._guarded():
                            file.write(piece)
                    with self._guarded():
                        file.flush()
                with self._guarded():
                    os.fsync(descriptor)
            with self._guarded():
                move(Path(temporary), target)
                self._sync(target)
        except BaseException:
            with suppress(OSError):
                Path(temporary).unlink()
            raise

    def open(self, path: str) -> _File:
        """Read a file.

        Raises:
            FileNotFoundError: it is not there.
            StorageError: it cannot be read.
        """
        with self._guarded():
            try:
                return _File(self, (self.folder / path).open("rb", buffering=0))
            except FileNotFoundError as error:
                missing = error
        raise missing

    def size(self, path: str) -> int | None:
        """A file's size in bytes; ``None``: it is not there."""
        with self._guarded():
            try:
                return (self.folder / path).stat().st_size
            except FileNotFoundError:
                return None

    def list(self, folder: str) -> Iterator[Entry]:
        """The files below a folder."""
        with self._guarded():
            for path in (self.folder / folder).rglob("*"):
                with suppress(FileNotFoundError):  # it may be removed meanwhile
                    status = path.stat()
                    if path.is_file():
                        yield Entry(path.relative_to(self.folder).as_posix(), status.st_size, status.st_mtime)

    def remove(self, path: str) -> None:
        """Remove a file, if it is there."""
        target = self.folder / path
        with self._guarded(), suppress(FileNotFoundError):
            target.unlink()
            sync_folder(target.parent)

    def settle(self, path: str) -> None:
        """Make a file's name durable."""
        with self._guarded():
            self._sync(self.folder / path)

    def __repr__(self) -> str:
        return str(self.folder)

    def _sync(self, target: Path) -> None:
        # Also the folder above: whoever made this one may not have come to that point yet.
        sync_folder(target.parent)
        if target.parent != self.folder:
            sync_folder(target.parent.parent)

    def _prepare(self) -> None:
        if not self._prepared:
            self._make_folders()
            self._prepared = True
        self._left_overs.sweep()

    def _make_folders(self) -> None:
        for place in (self.folder / HEADS, self.folder / BODIES, self._incoming):
            place.mkdir(parents=True, exist_ok=True)
        for place in (self.folder.absolute().parent, self.folder):
            sync_folder(place)

    def _guarded(self) -> AbstractContextManager[None]:
        return guarded(self.folder)


class _File:
    """A file that is being read, with the folder's words for what goes wrong."""

    def __init__(self, backend: FolderBackend, stream: object) -> None:
        self._backend = backend
        self._stream = cast(BinaryIO, stream)

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most so many."""
        with self._backend._guarded():
            return self._stream.read(size)

    def seek(self, offset: int, /) -> None:
        """Go on from so many bytes after the start."""
        with self._backend._guarded():
            self._stream.seek(offset)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


class _TakenError(Exception):
    """There is a file of that name."""


def _move_if_free(temporary: Path, target: Path) -> None:
    try:
        target.hardlink_to(temporary)  # unlike a rename it never replaces a file
    except FileExistsError:
        raise _TakenError from None
    temporary.unlink()
