"""A signed journal holds only where the record replays to exactly its readings."""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fuzz.journals import earlier, now, record, sealed, signed
from tests.protocols.world import World, signer

from tclearn.encoding import Digest, MemberId
from tclearn.errors import Code, MessageError, UsageError, VerificationError
from tclearn.ledger import Head
from tclearn.ledger.replaying import state_at
from tclearn.limits import JOURNAL_BYTES_MAX
from tclearn.protocols import terms_of
from tclearn.protocols.tclearn.journal_file import (
    CheckedJournal,
    JournalFile,
    check_journal,
    read_journal,
    write_journal,
)
from tclearn.protocols.tclearn.reading_journal import Reading, journal


def checked(data: bytes, of: bytes | None = None, charter: Digest | None = None) -> CheckedJournal:
    digest = charter or sealed()[0].charter.digest
    return check_journal(data, io.BytesIO(record() if of is None else of), terms_of, digest)


def refusal(data: bytes, of: bytes | None = None, charter: Digest | None = None) -> VerificationError:
    with pytest.raises(VerificationError) as refused:
        checked(data, of, charter)
    assert refused.value.exit_code == 3
    return refused.value


def test_what_was_written_is_read_and_holds() -> None:
    state, coalition, head = now()
    for who, member in (("log", None), ("m02", "m02")):
        data = write_journal(state, coalition, head, signer(who))
        assert read_journal(data) == JournalFile(coalition, head, tuple(journal(state)), signer(who).public)
        found = checked(data)
        assert (found.signer, found.entries) == (member, head.size)
        assert data == write_journal(state, coalition, head, signer(who))  # the same bytes each time


def test_a_journal_that_is_older_than_the_record_holds_for_its_own_time() -> None:
    file = earlier()
    found = checked(signed(file, "m01"))
    assert found.entries > found.file.head.size == file.head.size
    told = sealed()[0]
    # and is not the journal of today: a reading of then has been confirmed since, or others have been granted
    assert list(file.readings) != journal(told.state)[: len(file.readings)] or len(file.readings) < told.state.accesses


def _without_last(file: JournalFile) -> JournalFile:
    return replace(file, readings=file.readings[:-1])


def _without_first(file: JournalFile) -> JournalFile:
    return replace(file, readings=file.readings[1:])


def _twice(file: JournalFile) -> JournalFile:
    return replace(file, readings=(*file.readings, file.readings[-1]))


def _somebody_else(file: JournalFile) -> JournalFile:
    first, *rest = file.readings
    other = next(each.member for each in rest if each.member != first.member)
    return replace(file, readings=(replace(first, member=other), *rest))


def _another_time(file: JournalFile) -> JournalFile:
    first, *rest = file.readings
    return replace(file, readings=(replace(first, time_ms=first.time_ms + 1), *rest))


def _confirmed(file: JournalFile) -> JournalFile:
    at = next(at for at, each in enumerate(file.readings) if each.delivered_ms is None)
    wrong = replace(file.readings[at], delivered_ms=file.readings[at].time_ms)
    return replace(file, readings=(*file.readings[:at], wrong, *file.readings[at + 1 :]))


def _other_versions(file: JournalFile) -> JournalFile:
    first, *rest = file.readings
    return replace(file, readings=(replace(first, versions=(7,)), *rest))


WRONG: list[Callable[[JournalFile], JournalFile]] = [
    _without_last,
    _without_first,
    _twice,
    _somebody_else,
    _another_time,
    _confirmed,
    _other_versions,
]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("when", ["now", "earlier"])
def test_a_reading_left_out_invented_or_changed(wrong: Callable[[JournalFile], JournalFile], when: str) -> None:
    state, coalition, head = now()
    file = earlier()
    if when == "now":
        file = JournalFile(coalition, head, tuple(journal(state)), signer("m01").public)
    assert checked(signed(file, "m01")).file == file
    assert refusal(signed(wrong(file), "m01")).code is Code.JOURNAL


def test_todays_journal_under_an_earlier_head() -> None:
    state, _, _ = now()
    assert refusal(signed(replace(earlier(), readings=tuple(journal(state))), "m01")).code is Code.JOURNAL


def test_a_head_that_is_not_of_the_record() -> None:
    file, (_, _, head) = earlier(), now()
    for other in (
        replace(file.head, root=Digest(bytes(32))),
        replace(file.head, size=file.head.size + 1),
        replace(file.head, time_ms=file.head.time_ms + 1),
        Head(head.size + 1, head.root, head.results, head.time_ms),
        Head(1 << 62, head.root, head.results, head.time_ms),
    ):
        assert refusal(signed(replace(file, head=other), "m01")).code is Code.RECORD_EXTENSION


def test_who_signs() -> None:
    data = signed(earlier(), "nobody")
    assert refusal(data).code is Code.UNKNOWN_SIGNER
    for at in range(len(data) - 64, len(data), 7):
        damaged = bytearray(signed(earlier(), "m01"))
        damaged[at] ^= 1
        assert refusal(bytes(damaged)).code is Code.SIGNATURE


def test_every_changed_byte_is_noticed() -> None:
    data = signed(earlier(), "m01")
    for at in range(0, len(data), 3):
        damaged = bytearray(data)
        damaged[at] ^= 1 << (at % 8)
        refusal(bytes(damaged))
    for at in range(0, len(data), 17):
        refusal(data[:at])
    refusal(data + b"\0")


def test_another_coalition_or_a_record_that_does_not_hold() -> None:
    data = signed(earlier(), "m01")
    assert refusal(data, charter=Digest(bytes(32))).code is Code.RECORD_CHARTER
    assert refusal(signed(replace(earlier(), coalition=Digest(bytes(32))), "m01")).code is Code.RECORD_CHARTER
    assert refusal(data, of=record()[:-1]).code in (Code.RECORD_FORMAT, Code.RECORD_HEAD)
    refusal(data, of=b"")


def test_level_a_has_none() -> None:
    _, coalition, head = now()
    with pytest.raises(UsageError, match="no journal"):
        write_journal(World(4).state, coalition, head, signer("log"))


def test_a_journal_that_is_too_large_is_not_read() -> None:
    with pytest.raises(MessageError) as refused:
        read_journal(bytes(JOURNAL_BYTES_MAX + 1))
    assert refused.value.code is Code.TOO_LARGE


def test_the_state_at_an_earlier_head() -> None:
    told, data, head, before = sealed()
    state = state_at(io.BytesIO(data), terms_of, told.charter.digest, head)
    assert tuple(journal(state)) == before
    with pytest.raises(VerificationError):
        state_at(io.BytesIO(data), terms_of, told.charter.digest, replace(head, size=head.size - 1))


# --- the example of docs/formats/journal.md -------------------------------------------------------------------------

PAGE = Path(__file__).parents[2] / "docs" / "formats" / "journal.md"


def example() -> JournalFile:
    first = Reading(
        number=0,
        member=MemberId("leuven"),
        object=Digest(bytes([0xAA]) * 32),
        purpose="test",
        entry=7,
        time_ms=1_767_225_602_000,
        delivered_ms=1_767_225_608_000,
        witnessed_ms=None,
        versions=(1,),
        candidate=0,
    )
    second = Reading(
        number=1,
        member=MemberId("namur"),
        object=Digest(bytes([0xAA]) * 32),
        purpose="use",
        entry=40,
        time_ms=1_767_225_700_000,
        delivered_ms=None,
        witnessed_ms=1_767_225_701_000,
        versions=(1,),
        candidate=None,
    )
    head = Head(42, Digest(bytes([0xBB]) * 32), Digest(bytes([0xCC]) * 32), 1_767_225_702_000)
    return JournalFile(Digest(bytes([0xDD]) * 32), head, (first, second), signer("log").public)


def test_the_example_of_the_specification() -> None:
    blocks = re.findall(r"^```\n([0-9a-f\n]+)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    data = bytes.fromhex("".join(blocks[0].split()))
    assert data == signed(example(), "log")
    assert read_journal(data) == example()
    fields = re.findall(r"^\| `([a-z_]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(fields) == {
        *("format", "coalition", "entries", "root", "results", "time_ms", "readings"),
        *(each.name for each in dataclasses.fields(Reading)),
    }
