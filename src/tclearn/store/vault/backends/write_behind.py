"""Writing a file's pieces while the next are made.

One thread makes the pieces, such as sealed chunks; another writes them, in the same order. The kernel copies without
Python's lock, so both go on at once. On Linux the disk is begun with, too, every few megabytes: what is left for the
``fsync`` at the end is short.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from queue import SimpleQueue
from types import TracebackType
from typing import Final, Protocol, Self

_WAITING_MAX: Final = 2  # pieces that are not in the file yet: one is being written, one is next
_BEGIN_BYTES: Final = 4 << 20


class Writable(Protocol):
    """A file without a buffer."""

    def write(self, data: memoryview, /) -> int:
        """Write some of the bytes; how many."""

    def fileno(self) -> int:
        """Its descriptor."""


class WriteBehind:
    """A file that is written to from the beginning, by a thread of its own from the second piece on.

    At most two pieces wait for it. Whatever ends the ``with`` block, the thread has ended then, and the file may be
    closed. Nothing here is durable: the caller syncs the file after ``flush``.

    Args:
        file: at its beginning, and nobody else's until the block ends.
    """

    def __init__(self, file: Writable) -> None:
        self._file = file
        self._written = 0
        self._begun = 0
        self._handed: SimpleQueue[bytes | None] = SimpleQueue()
        self._answers: SimpleQueue[BaseException | None] = SimpleQueue()
        self._waiting = 0
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def write(self, piece: bytes) -> None:
        """Hand over the next piece; it must not change any more.

        Raises:
            OSError: an earlier piece could not be written, or this one. None is written after it.
        """
        if not self._written or not (self._thread or self._start()):
            self._write(piece)  # most files, such as every head, have one piece: no thread is made for them
            return
        if self._waiting == _WAITING_MAX:
            self._await()
        self._handed.put(piece)
        self._waiting += 1

    def flush(self) -> None:
        """Wait until every piece is in the file.

        Raises:
            OSError: one could not be written.
        """
        while self._waiting:
            self._await()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._thread is not None:
            self._end(self._thread)

    def _await(self) -> None:
        failure = self._answers.get()
        self._waiting -= 1
        if failure is not None:
            raise failure

    def _start(self) -> bool:
        # A daemon, as its caller may be one: that would never end it when the interpreter exits.
        self._thread = threading.Thread(target=self._run, name="write behind", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no more threads, or the interpreter is about to exit: then without
            self._thread = None
            return False
        return True

    def _end(self, thread: threading.Thread) -> None:
        try:
            self._handed.put(None)
            if thread.ident is not None:
                self._ended.wait()  # not by join alone: interrupted, it takes the thread for ended (CPython 3.11)
                thread.join()
        except BaseException:  # somebody is impatient; but the file would be closed under the thread
            self._end(thread)
            raise

    def _run(self) -> None:
        failure: BaseException | None = None
        while (piece := self._handed.get()) is not None:
            try:
                if failure is None:
                    self._write(piece)
            except BaseException as error:  # noqa: BLE001 - it is raised again, in the caller's thread
                failure = error
            del piece  # while it waits for the next
            self._answers.put(failure)
        self._ended.set()

    def _write(self, piece: bytes) -> None:
        left = memoryview(piece)
        while left:
            count = self._file.write(left)
            self._written += count
            left = left[count:]
        self._begin()

    def _begin(self) -> None:
        """Have the disk begin with what was written, without waiting for it."""
        if sys.platform == "linux":
            # The advice is that these pages are not needed soon. Linux then begins to write them back, and drops those
            # that are on the disk already. Python has no sync_file_range, and fdatasync would wait. Whole pages only.
            end = self._written - self._written % _BEGIN_BYTES
            if end > self._begun:
                with suppress(OSError):  # only advice: what cannot be written shows in fsync
                    os.posix_fadvise(self._file.fileno(), self._begun, end - self._begun, os.POSIX_FADV_DONTNEED)
                self._begun = end
