"""The journal of readings in a signed file that is checked against the record: ``docs/formats/journal.md``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from tclearn.encoding import Digest, MemberId, decode
from tclearn.errors import Code, MessageError, UsageError, VerificationError
from tclearn.identity import PublicKey, Signer
from tclearn.identity.cose import open_signed, sign
from tclearn.ledger import Head
from tclearn.ledger.replaying import state_at
from tclearn.ledger.verify import Terms, verify
from tclearn.limits import JOURNAL_BYTES_MAX
from tclearn.protocols.tclearn.reading_journal import Reading, journal
from tclearn.protocols.tclearn.state import State
from tclearn.records import Record

FORMAT: Final = "tclearn-journal/1"
_CONTEXT: Final = FORMAT.encode()


@dataclass(frozen=True, slots=True)
class _File(Record):
    # As in docs/formats/journal.md
    format: str
    coalition: Digest
    entries: int
    root: Digest
    results: Digest
    time_ms: int
    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True)
class JournalFile:
    """A journal as somebody has signed it. Whether it is the record's, ``check_journal`` says.

    Attributes:
        coalition: digest of the charter.
        head: of the ledger, whose first entries the journal follows from.
        readings: all readings that were granted until then.
        key: of whoever has signed it.
    """

    coalition: Digest
    head: Head
    readings: tuple[Reading, ...]
    key: PublicKey


@dataclass(frozen=True, slots=True)
class CheckedJournal:
    """A journal that is exactly what a verified record replays to.

    Attributes:
        file: what it says.
        signer: the member whose key has signed it; ``None``: the log's own key.
        entries: how many entries the record has; the journal may be older.
    """

    file: JournalFile
    signer: MemberId | None
    entries: int


def write_journal(state: State, coalition: Digest, head: Head, signer: Signer) -> bytes:
    """Sign the journal of a state.

    Args:
        state: what the entries of ``head`` give.
        coalition: digest of the charter.
        head: of the ledger.
        signer: the log's key, or a member's.

    Raises:
        UsageError: the coalition has no journal.
        MessageError: it is larger than ``JOURNAL_BYTES_MAX``.
    """
    if state.charter.vault is None:
        raise UsageError(
            Code.USAGE,
            f"at level {state.charter.level} there is no journal: the model is public to the members",
            expected="a coalition of level B",
        )
    content = _File(FORMAT, coalition, head.size, head.root, head.results, head.time_ms, tuple(journal(state)))
    data = sign(signer, content.encode(), _CONTEXT)
    if len(data) > JOURNAL_BYTES_MAX:
        raise MessageError(
            Code.TOO_LARGE,
            f"a journal of {len(data)} bytes",
            expected=f"at most {JOURNAL_BYTES_MAX}",
            remedy="hand on the record itself: `tclearn vault journal --record` reads it",
        )
    return data


def read_journal(data: bytes) -> JournalFile:
    """Read a journal and check its signature; nothing more of it is believed.

    Raises:
        MessageError: larger than ``JOURNAL_BYTES_MAX``, not such a file, or the signature does not hold.
    """
    signed = open_signed(data, size_max=JOURNAL_BYTES_MAX)
    signed.check(_CONTEXT)
    read = _File.from_value(decode(signed.payload, size_max=JOURNAL_BYTES_MAX), "journal")
    if read.format != FORMAT:
        raise MessageError(Code.ENCODING, "a journal of another version", expected=FORMAT)
    head = Head(read.entries, read.root, read.results, read.time_ms)
    return JournalFile(read.coalition, head, read.readings, signed.signer)


def check_journal(
    data: bytes, record: BinaryIO, terms_of: Callable[[bytes], Terms[Any]], charter: Digest
) -> CheckedJournal:
    """Check a journal against a record: both verify, and the record replays to exactly these readings.

    Args:
        data: the journal.
        record: an export, from its first byte; it is read twice, and has as many entries as the journal or more.
        terms_of: makes the contract from the charter's bytes.
        charter: the charter's digest, known from elsewhere.

    Raises:
        VerificationError: the journal is not such a file, its signature does not hold or is nobody's of the coalition;
            the record does not verify, or does not extend the journal's head; or a reading is missing, invented or
            another one.
    """
    # 1. The journal is signed
    try:
        file = read_journal(data)
    except MessageError as error:
        raise VerificationError(error.code, f"the journal: {error.what}", expected=error.expected) from error
    # 2. It is of this coalition
    if file.coalition != charter:
        raise VerificationError(
            Code.RECORD_CHARTER,
            f"the journal is of the charter {file.coalition.hex()}",
            expected=charter.hex(),
            remedy="compare the charter's digest with the other members",
        )
    # 3. The record verifies, and begins with the entries that the journal follows from
    start = record.tell()
    verified = verify(record, terms_of, charter, since=file.head)
    # 4. Those entries, replayed, give these readings and no others
    record.seek(start)
    state = state_at(record, terms_of, charter, file.head)
    if not isinstance(state, State) or state.charter.vault is None:
        raise VerificationError(Code.RECORD_CHARTER, "the record's coalition keeps no journal", expected="level B")
    _check_readings(file.readings, journal(state))
    # 5. Who has signed it belongs to the coalition
    return CheckedJournal(file, _signer(file, state), verified.entries)


def _check_readings(given: Sequence[Reading], right: Sequence[Reading]) -> None:
    for one, other in zip(given, right, strict=False):
        if one != other:
            raise _refused(f"its reading {other.number}, of {other.member}, is not that of the record", other.entry)
    if len(given) != len(right):
        what = f"it has {len(given)} readings, the record {len(right)}"
        raise _refused(what, right[len(given)].entry if len(given) < len(right) else None)


def _signer(file: JournalFile, state: State) -> MemberId | None:
    if file.key == state.charter.log_key:
        return None
    member = state.member_of(file.key)
    if member is None:
        raise VerificationError(
            Code.UNKNOWN_SIGNER,
            f"the journal is signed by the key {file.key.hex()[:16]}…",
            expected="the log's key, or the key that a member had then",
            remedy="ask for one that somebody of the coalition has signed; the readings are those of the record",
        )
    return member


def _refused(what: str, entry: int | None) -> VerificationError:
    return VerificationError(
        Code.JOURNAL,
        f"the journal is not what the record replays to: {what}",
        entry=entry,
        expected="every granted reading of the record, and no other",
        remedy="the record holds, the journal does not: ask who signed it",
    )
