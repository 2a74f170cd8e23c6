"""A member's end of the data IDs of level B: it asks the service, waits where it must, and keeps what it was told."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tclearn.coalition.allowance import IdEntry, Rate, blinded_digest
from tclearn.coalition.id_book import IdBook
from tclearn.encoding import Digest, MemberId
from tclearn.errors import Code, MessageError, StorageError, TCLearnError, UnreachableError, VerificationError
from tclearn.identity import Signer
from tclearn.identity.oprf_messages import IdRequest
from tclearn.learning.id_source import IdsLater, IdSource
from tclearn.limits import ID_JOURNAL_PAGE_BYTES_MAX, ID_RECEIPTS_MAX, OPRF_MESSAGE_BYTES_MAX
from tclearn.service.id_messages import IdAsk, IdPage, IdServed
from tclearn.service.remote import Connection, Later

PATH: Final = "/v1/data-ids"
JOURNAL: Final = "/v1/data-ids/journal"
_ANSWER_BYTES_MAX: Final = OPRF_MESSAGE_BYTES_MAX + (1 << 10)
_QUIET_S: Final = 120.0
_BACKOFF_S: Final = (1.0, 2.0, 5.0, 10.0)
_NAP_S: Final = 60.0
_RECEIPT: Final = 8 + 32
_OWNER_ONLY: Final = 0o600


class IdReceipts:
    """A member's own file of the journal's entries about its requests, by number and digest.

    With them a member notices a journal that was set back or written anew: it asks whether its entries are there.

    Args:
        path: where it is, or will be.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, entry: IdEntry) -> None:
        """Note an entry.

        Raises:
            StorageError: it cannot be written.
        """
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _OWNER_ONLY)
            try:
                torn = os.fstat(handle).st_size % _RECEIPT
                if torn:  # of a process that was killed while it wrote
                    os.ftruncate(handle, os.fstat(handle).st_size - torn)
                os.write(handle, entry.number.to_bytes(8, "big") + entry.digest)
            finally:
                os.close(handle)
        except OSError as error:
            raise self._failed(error) from error

    def load(self) -> dict[int, Digest]:
        """The newest ``ID_RECEIPTS_MAX``; none where there is no such file.

        Raises:
            StorageError: it cannot be read.
        """
        try:
            with self._path.open("rb") as file:
                whole = file.seek(0, os.SEEK_END) // _RECEIPT
                count = min(whole, ID_RECEIPTS_MAX)
                file.seek((whole - count) * _RECEIPT)
                data = file.read(count * _RECEIPT)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._failed(error) from error
        return {
            int.from_bytes(data[at : at + 8], "big"): Digest(data[at + 8 : at + _RECEIPT])
            for at in range(0, len(data), _RECEIPT)
        }

    def _failed(self, error: OSError) -> StorageError:
        return StorageError(Code.STORE_FAILED, f"{self._path} cannot be used: {error.strerror}", remedy="delete it")


@dataclass(frozen=True)
class _Refused:
    count: int
    until_ms: int
    said: TCLearnError

    def holds(self, count: int, now_ms: int) -> bool:
        """Whether a request for so many records would be refused again."""
        return count >= self.count and now_ms < self.until_ms

    def error(self) -> IdsLater:
        return IdsLater(self.said.what, until_ms=self.until_ms, expected=self.said.expected, remedy=self.said.remedy)


@dataclass
class IdTransport:
    """Takes requests for data IDs to the service; see ``learning.id_source.Transport``.

    Attributes:
        connection: to the service.
        member: who asks.
        signer: its transaction key.
        coalition: the charter's digest.
        receipts: where it notes what the service has written down.
        clock: milliseconds since 1970.
    """

    connection: Connection
    member: MemberId
    signer: Signer
    coalition: Digest
    receipts: IdReceipts
    clock: Callable[[], int]
    _refused: _Refused | None = field(default=None, repr=False)

    def __call__(self, request: bytes) -> bytes:
        """Send a request; returns the answer.

        Raises:
            IdsLater: the member's allowance is used up for now; until it is not, the service is not asked again.
            UnreachableError: no answer, or the service is busy.
            MessageError: the service refuses, or answers something else.
        """
        asked = IdRequest.read(request)
        if self._refused is not None and self._refused.holds(asked.count, self.clock()):
            raise self._refused.error()
        message = IdAsk(self.coalition, self.clock(), request).signed(self.signer)
        try:
            received = self.connection.exchange(
                PATH, message, "application/cose", size_max=_ANSWER_BYTES_MAX, quiet_s=_QUIET_S
            )
        except Later as later:
            error = later.error
            if error.code is not Code.ALLOWANCE:
                raise error from later
            self._refused = _Refused(asked.count, self.clock() + 1000 * later.wait_s, error)
            raise self._refused.error() from later
        served = IdServed.read(received)
        self._check(served.entry, asked)
        self.receipts.add(served.entry)
        return served.answer

    def _check(self, entry: IdEntry, request: IdRequest) -> None:
        mine = (self.member, request.count, blinded_digest(request.blinded), 1)
        if (entry.member, entry.count, entry.blinded, entry.granted) != mine:
            raise MessageError(
                Code.ALLOWANCE,
                "the service shows another journal entry for this request for data IDs",
                expected="member, number of records and blinded elements as they were sent",
                remedy="tell the other members",
            )


class PatientIds:
    """A source that waits where another one must be waited for: for the service, or for an allowance that is used up.

    Args:
        source: asks.
        say: told in a line what is waited for.
        pause: waits for seconds.
        clock: milliseconds since 1970.
    """

    def __init__(
        self,
        source: IdSource,
        say: Callable[[str], None],
        clock: Callable[[], int],
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.patient = True
        """Whether to wait. A member that works does not: it has other duties, and new records can wait instead."""
        self._source = source
        self._say = say
        self._clock = clock
        self._pause = pause
        self._told_ms = 0

    def ids(self, digests: Sequence[Digest]) -> list[bytes]:
        """See ``IdSource.ids``.

        Raises:
            IdsLater: the allowance is used up, and there is no time to wait.
            UnreachableError: the service does not answer, and there is no time to wait.
            MessageError: the service refuses, or its answer is not what it must be.
            StorageError: the member's own disk failed.
        """
        failures = 0
        while True:
            try:
                return self._source.ids(digests)
            except IdsLater as later:
                self._tell(later)
                if not self.patient:
                    raise
                while (left_ms := later.until_ms - self._clock()) > 0:
                    self._pause(min(_NAP_S, left_ms / 1000))
                failures = 0
            except UnreachableError as error:
                if not self.patient:
                    raise
                if not failures:
                    self._say(str(error))
                self._pause(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
                failures += 1

    def _tell(self, later: IdsLater) -> None:
        if later.until_ms > self._told_ms:
            self._told_ms = later.until_ms
            when = datetime.fromtimestamp(later.until_ms / 1000, UTC)
            self._say(f"the allowance of data IDs is used up; it goes on at {when:%Y-%m-%d %H:%M} UTC ({later.what})")


def progress_lines(say: Callable[[str], None], every_s: float = 10.0) -> Callable[[int, int], None]:
    """Lines about how far asking is: one at the beginning, and then now and then."""
    said_s, begun = 0.0, 0

    def told(done: int, total: int) -> None:
        nonlocal said_s, begun
        if done:
            begun = 0
        elif total == begun:  # the same again, in vain so far
            return
        else:
            begun, said_s = total, time.monotonic()
            say(f"asking the supervisor for {total:,} data IDs" if total > 1 else "asking the supervisor for a data ID")
        if done and time.monotonic() - said_s >= every_s and done < total:
            said_s = time.monotonic()
            say(f"{done:,} of {total:,} data IDs are here")

    return told


def remote_journal(connection: Connection) -> Iterator[IdEntry]:
    """The supervisor's journal, as it shows it; nothing of it is checked yet.

    Raises:
        UnreachableError: no answer.
        MessageError: an answer that is no page of it, or the coalition has none.
    """
    at = 0
    while True:
        page = IdPage.read(connection.get(f"{JOURNAL}?start={at}", size_max=ID_JOURNAL_PAGE_BYTES_MAX))
        if not page.entries:
            return
        yield from page.entries
        at += len(page.entries)


def checked_journal(rate: Rate, entries: Iterator[IdEntry], receipts: dict[int, Digest]) -> list[IdEntry]:
    """A journal whose entries follow from one another and from the charter, and that has all that a member was told.

    Args:
        rate: of the charter.
        entries: as they are shown.
        receipts: of the member, as ``IdReceipts.load`` gives them.

    Raises:
        VerificationError: one does not follow; or one that the member was told is missing or another one.
    """
    book, checked = IdBook(rate), list[IdEntry]()
    for entry in entries:
        try:
            book.take(entry)
        except MessageError as error:
            raise VerificationError(
                error.code,
                error.what,
                entry=len(checked),
                expected=error.expected,
                remedy="show it to the other members: the supervisor has not kept the journal as it must",
            ) from error
        checked.append(entry)
    for number, digest in sorted(receipts.items()):
        if number >= len(checked) or checked[number].digest != digest:
            raise VerificationError(
                Code.ALLOWANCE,
                f"entry {number} of the journal of data IDs is not the one that this member was told",
                entry=number,
                expected=f"the digest {digest.hex()[:16]}…",
                remedy="show it to the other members: the journal was set back, or written anew",
            )
    return checked
