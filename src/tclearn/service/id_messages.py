"""What a member and the service send each other for data IDs. Format: ``docs/formats/data-ids.md``.

Inside are the oblivious messages of ``identity.oprf_messages``; around them a request has its signature, and an answer
the journal's entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tclearn.coalition.allowance import IdEntry
from tclearn.encoding import Digest, decode
from tclearn.errors import Code, MessageError
from tclearn.identity import PublicKey, Signer
from tclearn.identity.cose import open_signed, sign
from tclearn.limits import (
    ID_JOURNAL_PAGE_BYTES_MAX,
    ID_JOURNAL_PAGE_ENTRIES_MAX,
    ID_REQUEST_BYTES_MAX,
    OPRF_MESSAGE_BYTES_MAX,
)
from tclearn.records import Record

ASK_CONTEXT: Final = b"tclearn/data-ids/ask/1"
"""What a request's signature is bound to."""


@dataclass(frozen=True, slots=True)
class IdAsk(Record):
    """A request for data IDs, by a member of a coalition.

    Attributes:
        coalition: the charter's digest.
        time_ms: when it is made, milliseconds since 1970.
        request: an ``IdRequest``, encoded.
    """

    coalition: Digest
    time_ms: int
    request: bytes

    def signed(self, signer: Signer) -> bytes:
        """The request as a COSE_Sign1 message."""
        return sign(signer, self.encode(), ASK_CONTEXT)

    @classmethod
    def open(cls, message: bytes) -> tuple[PublicKey, IdAsk]:
        """Read what somebody sent; returns who has signed it, too.

        Raises:
            MessageError: not such a message, larger than ``ID_REQUEST_BYTES_MAX``, or its signature does not hold.
        """
        signed = open_signed(message, size_max=ID_REQUEST_BYTES_MAX)
        signed.check(ASK_CONTEXT)
        payload = decode(signed.payload, size_max=ID_REQUEST_BYTES_MAX)
        return signed.signer, cls.from_value(payload, "the request for data IDs")


@dataclass(frozen=True, slots=True)
class IdServed(Record):
    """An answer.

    Attributes:
        entry: what the supervisor has written into its journal for it: the member keeps the digest.
        answer: an ``IdAnswer``, encoded.
    """

    entry: IdEntry
    answer: bytes

    @classmethod
    def read(cls, data: bytes) -> IdServed:
        """Read what somebody sent.

        Raises:
            MessageError: no such answer, or too large.
        """
        return cls.from_value(decode(data, size_max=OPRF_MESSAGE_BYTES_MAX + (1 << 10)), "the answer with data IDs")


@dataclass(frozen=True, slots=True)
class IdPage(Record):
    """A piece of the journal.

    Attributes:
        entries: in order; none where there are no more.
    """

    entries: tuple[IdEntry, ...]

    @classmethod
    def read(cls, data: bytes) -> IdPage:
        """Read what somebody sent. Whether the entries follow each other is for ``IdBook`` to say.

        Raises:
            MessageError: not such a page, or too large.
        """
        page = cls.from_value(decode(data, size_max=ID_JOURNAL_PAGE_BYTES_MAX), "a page of the journal of data IDs")
        if len(page.entries) > ID_JOURNAL_PAGE_ENTRIES_MAX:
            raise MessageError(Code.TOO_LARGE, f"a page of the journal with {len(page.entries)} entries")
        return page
