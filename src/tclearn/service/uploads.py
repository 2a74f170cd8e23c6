"""Bodies that the service takes in: signed messages as a whole, objects piece by piece into the store.

An object is never in the service's memory as a whole, nor in a file of its own before the store seals it: what has come
goes on into the store at once. Whatever does not come to its end, or not to what it must be, leaves nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Final

from starlette.requests import ClientDisconnect, Request

from tclearn.encoding import MemberId
from tclearn.errors import Code, MessageError, StorageError, TCLearnError, UnreachableError
from tclearn.limits import UPLOAD_BYTES_PER_SECOND_MIN, UPLOAD_GRACE_SECONDS, UPLOADS_AT_ONCE_MAX
from tclearn.service.inflow import Inflow
from tclearn.service.signed import SIGNED
from tclearn.store.interface import Readable

_WAIT: Final = "wait until it has ended, or for the time after which a silent connection is closed"


class Uploads:
    """Places for objects that are being sent. Each has a thread of its own: what waits for a member delays no other.

    Args:
        most: how many there are.
    """

    def __init__(self, most: int = UPLOADS_AT_ONCE_MAX) -> None:
        self.most = most
        self._sending: set[MemberId] = set()
        self._keeping: set[asyncio.Future[None]] = set()

    @contextmanager
    def place(self, member: MemberId) -> Iterator[None]:
        """A member's only upload; one event loop only.

        Raises:
            UnreachableError: it has another one, or no place is free.
        """
        if member in self._sending:
            raise UnreachableError(
                Code.BUSY, f"{member} is sending another object already", expected="one at a time", remedy=_WAIT
            )
        if len(self._sending) >= self.most:
            raise UnreachableError(
                Code.BUSY, f"{self.most} members are sending objects already", expected="a free place", remedy=_WAIT
            )
        self._sending.add(member)
        try:
            yield
        finally:
            self._sending.discard(member)

    async def received(self, request: Request, size_max: int, keep: Callable[[Readable], None]) -> None:
        """Hand a request's body to whoever keeps it, while it comes.

        Args:
            request: of which nothing has been read.
            size_max: bytes that it may have.
            keep: reads a stream to its end, in a thread; what the stream raises it lets through, and keeps nothing.

        Raises:
            MessageError: larger than ``size_max`` bytes, at once when the request says so.
            UnreachableError: it comes too slowly.
            StorageError: there is no thread for it.
            ClientDisconnect: it does not come to its end.
            Exception: what ``keep`` raises.
        """
        check_announced(request, size_max)
        inflow = Inflow()
        keeping = self._begun(keep, inflow)
        filling = asyncio.create_task(_filled(inflow, request, size_max))
        try:
            await asyncio.wait({keeping})  # whoever is cancelled here leaves the thread to its end
            keeping.result()
        finally:
            inflow.end(ClientDisconnect())  # unless it has ended: also when the service ends
            filling.cancel()

    async def ended(self) -> None:
        """Wait until no thread keeps anything any more; each ends soon once its request has."""
        while self._keeping:
            await asyncio.wait(self._keeping)

    def _begun(self, keep: Callable[[Readable], None], inflow: Inflow) -> asyncio.Future[None]:
        # No pool: one that has failed to start a thread keeps what it was given, and counts wrongly from then on.
        kept: Future[None] = Future()
        kept.set_running_or_notify_cancel()  # whoever waits may go away; the thread ends by itself

        def run() -> None:
            try:
                keep(inflow)
            except BaseException as error:  # noqa: BLE001 - it is raised again where this is awaited
                kept.set_exception(error)
            else:
                kept.set_result(None)

        try:
            threading.Thread(target=run, name="upload").start()
        except RuntimeError as error:
            raise StorageError(
                Code.STORE_FAILED,
                f"the service cannot keep an object now: {error}",
                expected="a thread for each object on its way",
                remedy="raise the limit of threads (ulimit -u), or end other programs there",
            ) from error
        keeping = asyncio.wrap_future(kept)
        keeping.add_done_callback(_seen)
        self._keeping.add(keeping)
        keeping.add_done_callback(self._keeping.discard)
        return keeping


def check_announced(request: Request, size_max: int) -> None:
    """Refuse a body for its announced length, before any of it is read.

    Raises:
        MessageError: larger than ``size_max`` bytes.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > size_max:
        raise MessageError(Code.TOO_LARGE, f"a body of {announced} bytes", expected=f"at most {size_max}")


async def body_of(request: Request, size_max: int) -> bytes:
    """A request's body, of a message that is small.

    Raises:
        MessageError: larger than ``size_max`` bytes.
    """
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > size_max:
            raise MessageError(Code.TOO_LARGE, f"a body of more than {size_max} bytes")
    if request.url.path in SIGNED:
        request.state.body = bytes(data)  # for the journal, if it is refused
    return bytes(data)


async def _filled(inflow: Inflow, request: Request, size_max: int) -> None:
    loop, size, ours_s = asyncio.get_running_loop(), 0, 0.0
    began_s = loop.time()
    try:
        async for piece in request.stream():
            size += len(piece)
            if size > size_max:
                raise MessageError(Code.TOO_LARGE, f"a body of more than {size_max} bytes")
            came_s = loop.time()
            _check_pace(size, came_s - began_s - ours_s)
            await inflow.give(piece)
            ours_s += loop.time() - came_s  # a slow store of ours is nobody else's fault
    except (TCLearnError, ClientDisconnect) as error:
        inflow.end(error)  # whoever reads meets it
    else:
        inflow.end()
    finally:
        inflow.end(ClientDisconnect())  # whatever else has happened: nobody waits for more


def _check_pace(size: int, seconds: float) -> None:
    if size < (seconds - UPLOAD_GRACE_SECONDS) * UPLOAD_BYTES_PER_SECOND_MIN:
        raise UnreachableError(
            Code.BUSY,
            f"an object of which {size} bytes have come in {seconds:.0f} s",
            expected=f"{UPLOAD_BYTES_PER_SECOND_MIN} bytes a second, after {UPLOAD_GRACE_SECONDS} s",
            remedy="look after the network; it is sent again",
        )


def _seen(keeping: asyncio.Future[None]) -> None:
    if not keeping.cancelled():
        keeping.exception()  # who waited for it may be gone: nobody else has to be told
