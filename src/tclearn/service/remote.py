"""A member's end: the log and the store of a coalition over HTTPS."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, BinaryIO, Final

import httpx
from blake3 import blake3

from tclearn.encoding import Digest
from tclearn.errors import Code, StorageError, TCLearnError, UnreachableError, UsageError
from tclearn.ledger.engines.follower import Page
from tclearn.limits import CHARTER_BYTES_MAX, PAGE_BYTES_MAX
from tclearn.service.wire import decode_error, decode_page
from tclearn.store import Store

_TIMEOUT_S: Final = 20.0
_KEPT_OPEN_S: Final = 60.0  # the service closes later: what it closes just when it is used looks like a fault
_TRIES: Final = 5
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
        """The body of an answer, piece by piece, from a byte on."""
        headers = {"range": f"bytes={start}-"} if start else {}
        with self._guarded(), self._client.stream("GET", path, headers=headers) as answer:
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


class RemoteStore:
    """The service's store; what was fetched once is kept in a store of the member's own.

    Args:
        connection: to the service.
        kept: the member's own copies.
    """

    def __init__(self, connection: Connection, kept: Store) -> None:
        self._connection = connection
        self._kept = kept
        self._lock = threading.Lock()

    def put(self, data: bytes) -> Digest:
        """See ``Store.put``: kept here and handed over."""
        name = self._kept.put(data)
        hand_over(self._connection, name, data)
        return name

    def has(self, name: Digest) -> bool:
        """Whether the service has the object."""
        try:
            for _ in self._connection.stream(_path(name), start=_BEYOND):
                pass
        except StorageError as error:
            if error.code is Code.OBJECT_MISSING:
                return False
            raise
        except UsageError:  # it has not that much of it
            return True
        return True

    def get(self, name: Digest, *, size_max: int) -> bytes:
        """See ``Store.get``. A transfer that breaks off goes on where it stopped; a damaged copy is fetched anew.

        Raises:
            UnreachableError: it broke off ``_TRIES`` times without a byte in between.
        """
        with self._lock:
            try:
                return self._kept.get(name, size_max=size_max)
            except StorageError as error:
                if error.code not in (Code.OBJECT_MISSING, Code.OBJECT_CORRUPT):
                    raise
            data = fetched(name, lambda start: self._connection.stream(_path(name), start=start), size_max)
            self._kept.put(data)
            return data

    def open(self, name: Digest) -> BinaryIO:
        """See ``Store.open``."""
        return BytesIO(self.get(name, size_max=1 << 62))


def hand_over(connection: Connection, name: Digest, data: bytes) -> None:
    """Put an object into the service's store; errors as ``Connection.send``."""
    connection.send("PUT", _path(name), data, "application/octet-stream")


def fetched(name: Digest, pieces: Callable[[int], Iterator[bytes]], size_max: int) -> bytes:
    """An object that comes in pieces; a transfer that breaks off goes on where it stopped.

    Args:
        name: what it must be.
        pieces: begins a transfer from a byte on.
        size_max: bytes that it may have.

    Raises:
        UnreachableError: it broke off ``_TRIES`` times without a byte in between.
        StorageError: too large, or other bytes than those of the name.
    """
    data, failures = bytearray(), 0
    while True:
        before = len(data)
        try:
            for piece in pieces(len(data)):
                data += piece
                if len(data) > size_max:
                    raise StorageError(Code.TOO_LARGE, f"an object of more than {size_max} bytes")
            break
        except UsageError:
            if not data:
                raise
            break  # it broke off after its last byte
        except UnreachableError:
            failures = failures + 1 if len(data) == before else 1
            if failures == _TRIES:
                raise
    if blake3(data).digest() != name:
        raise StorageError(
            Code.OBJECT_CORRUPT,
            f"the service sent other bytes than those of the object {name.hex()[:16]}…",
            expected="bytes with that BLAKE3 digest",
            remedy="tell whoever runs the service",
        )
    return bytes(data)


def _path(name: Digest) -> str:
    return f"/v1/objects/{name.hex()}"


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
