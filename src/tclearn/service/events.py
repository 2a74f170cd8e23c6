"""Server-sent events: the size of the log, told to whoever listens as soon as it has grown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from tclearn.encoding import MemberId
from tclearn.limits import LISTENERS_PER_MEMBER_MAX
from tclearn.service.turnstile import Newest

_QUIET_S: Final = 15.0


class _Listener(asyncio.Event):
    ended = False

    def end(self) -> None:
        self.ended = True
        self.set()


class Announcer:
    """Tells listeners of one event loop; ``grown`` may be called from any thread.

    Args:
        size: of the log now.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: set[_Listener] = set()
        self._newest = Newest[_Listener](LISTENERS_PER_MEMBER_MAX, _Listener.end)
        self._ended = False

    def grown(self, size: int) -> None:
        """The log has this size now."""
        self._size = max(self._size, size)
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._wake)

    def end(self) -> None:
        """End all streams, from their own loop: the service stops."""
        self._ended = True
        for listener in self._listeners:
            listener.end()

    async def told(self, member: MemberId, size: int) -> AsyncIterator[str]:
        """Events for one listener: a line now and then, so that a dead connection shows, and each larger size.

        Args:
            member: who listens; of its streams the newest few go on.
            size: of the log, as far as it knows.
        """
        self._loop = asyncio.get_running_loop()
        listener = _Listener()
        self._listeners.add(listener)
        self._newest.add(member, listener)
        try:
            yield ": here\n\n"
            while not listener.ended and not self._ended:
                listener.clear()
                if self._size > size:
                    size = self._size
                    yield f'data: {{"entries": {size}}}\n\n'
                    continue
                try:
                    await asyncio.wait_for(listener.wait(), _QUIET_S)
                except TimeoutError:
                    yield ": still here\n\n"
        finally:
            self._listeners.discard(listener)
            self._newest.remove(member, listener)

    def _wake(self) -> None:
        for listener in self._listeners:
            listener.set()
