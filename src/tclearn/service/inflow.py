"""A request's body on its way from the event loop to a thread, which reads it as a stream while it comes."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import Final

ROOM_BYTES: Final = 2 << 20
"""So much of a body may have come before it is read; then the other end has to wait."""


class Inflow:
    """Bytes that the event loop gives and a thread takes, in order, few of them waiting in between.

    Made in the event loop. ``read`` makes it a ``tclearn.store.interface.Readable``, for any one thread at a time.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pieces: deque[bytes] = deque()
        self._held = 0
        self._ended = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._room = asyncio.Event()

    async def give(self, piece: bytes) -> None:
        """Add bytes, and wait until there is room for more."""
        with self._changed:
            self._pieces.append(piece)
            self._held += len(piece)
            self._room.clear()
            self._changed.notify()
            full = self._held > ROOM_BYTES and not self._ended
        if full:
            await self._room.wait()

    def end(self, error: BaseException | None = None) -> None:
        """Nothing more comes; the first word counts.

        Args:
            error: what the reader meets in place of the end, whatever it has not read yet.
        """
        with self._changed:
            if not self._ended:
                self._ended, self._error = True, error
                self._changed.notify()

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most so many; none only at the end. Waits for them."""
        with self._changed:
            self._changed.wait_for(lambda: self._pieces or self._ended)
            if self._error is not None:
                raise self._error
            if not self._pieces:
                return b""
            piece = self._pieces.popleft()
            if len(piece) > size:
                self._pieces.appendleft(piece[size:])
                piece = piece[:size]
            before, self._held = self._held, self._held - len(piece)
            if before > ROOM_BYTES >= self._held:
                self._loop.call_soon_threadsafe(self._room.set)
        return piece
