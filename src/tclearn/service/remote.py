"""A member's end: HTTPS to the service, and the log of a coalition over it."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx

from tclearn.errors import Code, StorageError, TCLearnError, UnreachableError, UsageError
from tclearn.ledger.engines.follower import Page
from tclearn.limits import CHARTER_BYTES_MAX, PAGE_BYTES_MAX
from tclearn.service.wire import decode_error, decode_page
from tclearn.store.interface import Readable

_TIMEOUT_S: Final = 20.0
_KEPT_OPEN_S: Final = 60.0  # the service closes later: what it closes just when it is used looks like a fault
_UPLOAD_S: Final = 120.0  # the service takes an object as fast as its disk does, and answers when that has all of it
_PIECE: Final = 1 << 18
_ANSWER_BYTES_MAX: Final = 1 << 16
_BEYOND: Final = 1 << 49
_DIGITS_MAX: Final = 12


class Later(Exception):
    """The service will do it, but not now.

    Attributes:
        error: what it says.
        wait_s: seconds until it may be asked again.
    """

    def __init__(self, error: TCLearnError, wait_s: int) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait_s = wait_s


class Connection:
    """HTTPS to one service, over connections that are kept open.

    Args:
        url: ``https://host:port``.
        context: with the member's certificate, and trust in that service alone.
    """

    def __init__(self, url: str, context: ssl.SSLContext) -> None:
        self.url = url.rstrip("/")
        self._known = False  # the service has answered before: it knows this member
        self._context = context
        self._client = self._new_client()

    def get(self, path: str, *, size_max: int, start: int = 0) -> bytes:
        """The body of an answer.

        Raises:
            UnreachableError: no answer.
            TCLearnError: what the service says is wrong.
            StorageError: larger than ``size_max`` bytes.
        """
        data = bytearray()
        headers = {"range": f"bytes={start}-"} if start else {}
        with self._guarded(), self._client.stream("GET", path, headers=headers) as answer:
            _check(answer)
            for piece in answer.iter_raw():
                data += piece
                if len(data) > size_max:
                    raise StorageError(Code.TOO_LARGE, f"{path} is larger than {size_max} bytes")
        return bytes(data)

    def stream(self, path: str, *, start: int = 0) -> Iterator[bytes]:
        """The body of an answer, piece by piece, from a byte on; nothing where it ends there. Errors as ``get``."""
        headers = {"range": f"bytes={start}-"} if start else {}
        with self._guarded(), self._client.stream("GET", path, headers=headers) as answer:
            if start and _ends_at(answer, start):
                return
            _check(answer)
            if start and answer.status_code != httpx.codes.PARTIAL_CONTENT:
                raise httpx.RemoteProtocolError("something between here and the service leaves out ranges")
            yield from answer.iter_raw()

    def pieces(self, path: str, data: bytes, media: str) -> Iterator[bytes]:
        """Send bytes; the body of the answer, piece by piece. Errors as ``get``."""
        headers = {"content-type": media}
        with self._guarded(), self._client.stream("POST", path, content=data, headers=headers) as answer:
            _check(answer)
            yield from answer.iter_raw()

    def lines(self, path: str, *, quiet_s: float) -> Iterator[str]:
        """The lines of an answer that does not end; an end, or silence for that long, is an ``UnreachableError``.

        They have a connection of their own, which whoever reads them closes, and ``close`` does not: a socket that is
        closed under a thread that waits for it leaves its number to another one, whose bytes that thread then takes.
        """
        limits = httpx.Timeout(_TIMEOUT_S, read=quiet_s)
        with self._new_client() as client, self._guarded(), client.stream("GET", path, timeout=limits) as answer:
            _check(answer)
            yield from answer.iter_lines()
            raise httpx.RemoteProtocolError("the stream has ended")

    def send(self, method: str, path: str, data: bytes, media: str) -> Any:
        """Send bytes; returns the answer as JSON, ``None`` where it has no body."""
        headers = {"content-type": media}
        with self._guarded(), self._client.stream(method, path, content=data, headers=headers) as answer:
            _check(answer)
            said = _little(answer)
        try:
            return json.loads(said) if said else None
        except ValueError as error:
            raise _unreachable(self.url, error, known=True) from error

    def upload(self, path: str, stream: Readable, size: int) -> None:
        """Put an object, a piece at a time. Errors as ``send``.

        Args:
            path: where it goes.
            stream: has it, and nothing else.
            size: bytes that it has.

        Raises:
            StorageError: the stream has not that many.
        """
        headers = {"content-type": "application/octet-stream", "content-length": str(size)}
        limits = httpx.Timeout(_TIMEOUT_S, read=_UPLOAD_S, write=_UPLOAD_S)
        body = _exactly(stream, size)
        with self._guarded(), self._client.stream("PUT", path, content=body, headers=headers, timeout=limits) as answer:
            _check(answer)
            _little(answer)

    def has(self, path: str) -> bool:
        """Whether there is an object; nothing of it is sent."""
        try:
            for _ in self.stream(path, start=_BEYOND):
                pass
        except StorageError as error:
            if error.code is Code.OBJECT_MISSING:
                return False
            raise
        except UsageError:  # it has not that much of it
            return True
        return True

    def exchange(self, path: str, data: bytes, media: str, *, size_max: int, quiet_s: float) -> bytes:
        """Send bytes; returns the body of the answer.

        Args:
            path: what is asked.
            data: the body of the request.
            media: its type.
            size_max: bytes that the answer may have.
            quiet_s: how long the service may be silent while it computes.

        Raises:
            UnreachableError: no answer.
            Later: the service says from when on it will do it.
            TCLearnError: what the service says is wrong.
            StorageError: larger than ``size_max`` bytes.
        """
        received = bytearray()
        limits = httpx.Timeout(_TIMEOUT_S, read=quiet_s)
        headers = {"content-type": media}
        with (
            self._guarded(),
            self._client.stream("POST", path, content=data, headers=headers, timeout=limits) as answer,
        ):
            try:
                _check(answer)
            except TCLearnError as error:
                wait = answer.headers.get("retry-after", "")
                if answer.status_code == httpx.codes.TOO_MANY_REQUESTS and wait.isdecimal() and len(wait) < _DIGITS_MAX:
                    raise Later(error, int(wait)) from error
                raise
            for piece in answer.iter_raw():
                received += piece
                if len(received) > size_max:
                    raise StorageError(Code.TOO_LARGE, f"{path} is larger than {size_max} bytes")
        return bytes(received)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _new_client(self) -> httpx.Client:
        limits = httpx.Limits(keepalive_expiry=_KEPT_OPEN_S)
        return httpx.Client(base_url=self.url, verify=self._context, timeout=_TIMEOUT_S, limits=limits, trust_env=False)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (httpx.HTTPError, ssl.SSLError) as error:
            raise _unreachable(self.url, error, known=self._known) from error
        except TCLearnError:
            self._known = True
            raise
        self._known = True


class RemoteLog:
    """The service's log, as ``tclearn.ledger.engines.follower.Source``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def submit(self, raw: bytes) -> None:
        """See ``Source.submit``."""
        self._connection.send("POST", "/v1/ledger/transactions", raw, "application/cose")

    def read(self, start: int) -> Page:
        """See ``Source.read``."""
        return decode_page(self._connection.get(f"/v1/ledger/entries?start={start}", size_max=PAGE_BYTES_MAX))

    def charter(self) -> bytes:
        """The charter's bytes, as the service shows them."""
        return self._connection.get("/v1/charter", size_max=CHARTER_BYTES_MAX)


def _exactly(stream: Readable, size: int) -> Iterator[bytes]:
    left = size
    while piece := stream.read(_PIECE):
        left -= len(piece)
        if left < 0:
            break
        yield piece
    if left:
        raise StorageError(
            Code.OBJECT_CORRUPT, "an object that is longer or shorter than it was", expected=f"{size} bytes"
        )


def _check(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    try:
        error = decode_error(json.loads(_little(answer)))
    except ValueError:
        error = None
    if error is None:
        raise httpx.RemoteProtocolError(f"status {answer.status_code} from something that is no TCLearn service")
    if answer.is_server_error:  # its disk, or a defect: nothing of ours is at fault, and later it may work
        raise UnreachableError(
            Code.LEDGER_UNREACHABLE,
            f"the service cannot do it now: {error.what} ({error.label})",
            remedy="try again later; if that goes on, tell whoever runs the service",
        )
    raise error


def _ends_at(answer: httpx.Response, start: int) -> bool:
    beyond = answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE
    return beyond and answer.headers.get("content-range") == f"bytes */{start}"


def _little(answer: httpx.Response) -> bytes:
    said = bytearray()
    for piece in answer.iter_raw():
        said += piece
        if len(said) > _ANSWER_BYTES_MAX:
            raise httpx.RemoteProtocolError("an answer that is too long")
    return bytes(said)


def _unreachable(url: str, error: Exception, *, known: bool) -> UnreachableError:
    text = str(error) or type(error).__name__
    if "certificate" in text.lower() or "unknown ca" in text.lower():
        return UnreachableError(
            Code.LEDGER_UNREACHABLE,
            f"{url} refuses this member's certificate, or shows one that the charter does not name ({text[:200]})",
            expected="a connection between a member and the service of this charter",
            remedy="check the address and this member's keys; who is new is let in once `tclearn coalition admit` of "
            "its .pem file is approved and in force",
        )
    closed = isinstance(error, httpx.ReadError) or "disconnected" in text
    if closed and not known:  # so strangers end
        return UnreachableError(
            Code.LEDGER_UNREACHABLE,
            f"{url} was reached, but it closed the connection: perhaps this member is not admitted yet ({text[:200]})",
            expected="a member that is admitted, and a service that is not just being started or ended",
            remedy="ask the members whether `tclearn coalition admit` of your .pem file is approved and in force, then "
            "try again",
        )
    return UnreachableError(
        Code.LEDGER_UNREACHABLE,
        f"{url} does not answer ({text[:200]})",
        remedy="check the address and the network, and with whoever runs the service",
    )
