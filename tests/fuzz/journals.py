"""Targets: a journal of readings, by whoever signs anything, held against a record."""

from __future__ import annotations

import io
from functools import cache
from typing import Any, Final

from tests.fuzz import samples
from tests.fuzz.harness import Target
from tests.fuzz.mutators import cbor
from tests.protocols.test_reading_journal import Story, confidential
from tests.protocols.world import signer

from tclearn.encoding import Digest, encode
from tclearn.errors import VerificationError
from tclearn.identity import open_signed, sign
from tclearn.ledger import Head
from tclearn.ledger.export import write_export
from tclearn.protocols import terms_of
from tclearn.protocols.tclearn.journal_file import FORMAT, JournalFile, check_journal, read_journal, write_journal
from tclearn.protocols.tclearn.reading_journal import Reading, journal
from tclearn.protocols.tclearn.state import State

_KEYS: Final = ("log", "m00", "m01", "nobody")


@cache
def sealed() -> tuple[samples.Told, bytes, Head, tuple[Reading, ...]]:
    """A coalition of level B with its record; a head on the way, and the readings that had been granted by then."""
    plain = confidential(witnessed=1)
    told = samples.Told(4, plain.changes)
    story = Story(told)
    for which, draw in [(1, 1), (5, 6), (7, 3), (6, 2)]:
        story.do(which, draw)
    head, before = told.ledger.head(len(told.ledger)), tuple(journal(told.state))
    for which, draw in [(1, 3), (3, 1), (4, 5), (7, 3), (6, 5), (6, 1)]:
        story.do(which, draw)
    stream = io.BytesIO()
    write_export(stream, told.charter.encode(), told.ledger, signer("log"))
    assert 0 < len(before) < len(journal(told.state))
    return told, stream.getvalue(), head, before


@cache
def record() -> bytes:
    """The record that journals are held against."""
    return sealed()[1]


def now() -> tuple[State, Digest, Head]:
    """The state at the record's end, the charter's digest, and the head."""
    told = sealed()[0]
    return told.state, told.charter.digest, told.ledger.head(len(told.ledger))


def earlier() -> JournalFile:
    """What a journal that was right some entries ago says."""
    told, _, head, before = sealed()
    return JournalFile(told.charter.digest, head, before, signer("m01").public)


def signed(file: JournalFile, who: str) -> bytes:
    """A journal as somebody signs it, right or wrong."""
    head = file.head
    readings: Any = [each.to_value() for each in file.readings]
    content = {
        "format": FORMAT,
        "coalition": file.coalition,
        "entries": head.size,
        "root": head.root,
        "results": head.results,
        "time_ms": head.time_ms,
        "readings": readings,
    }
    return sign(signer(who), encode(content), FORMAT.encode())


def _file(data: bytes) -> object:
    file = read_journal(data)
    assert file.key in {signer(who).public for who in _KEYS}
    return len(file.readings)


def _checked(data: bytes) -> object:
    """The first byte: who signs. The rest: what is signed."""
    who = _KEYS[data[0] % len(_KEYS)] if data else "log"
    message = sign(signer(who), data[1:], FORMAT.encode())
    checked = check_journal(message, io.BytesIO(record()), terms_of, sealed()[0].charter.digest)
    # Whatever was signed: what is accepted is the record's own journal, and nobody of the outside has signed it.
    assert who != "nobody"
    told, _, head, before = sealed()
    right = {head.size: list(before), len(told.ledger): journal(told.state)}
    if checked.file.head.size in right:
        assert list(checked.file.readings) == right[checked.file.head.size]
    return who, checked.file.head.size


def _payloads() -> list[bytes]:
    files = [write_journal(*now(), signer("log")), signed(earlier(), "m01")]
    return [bytes([at]) + open_signed(data).payload for at, data in enumerate(files)]


TARGETS: Final = (
    Target("journal", lambda: [write_journal(*now(), signer("log")), signed(earlier(), "m01")], _file, cbor(), 200),
    Target("journal-signed", _payloads, _checked, cbor(prefix=1), 120, (VerificationError,)),
)
