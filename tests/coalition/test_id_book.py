"""The journal of data IDs, read by the supervisor that kept it and by members that check it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tclearn.coalition.allowance import DAY_MS, IdEntry, Rate, blinded_digest
from tclearn.coalition.id_book import IdBook, check_journal
from tclearn.encoding import Digest, MemberId, decode
from tclearn.errors import Code, MessageError
from tclearn.limits import (
    ALLOWANCE_PER_DAY_MAX,
    ANSWERED_IDS_KEPT_MS,
    ID_JOURNAL_PAGE_BYTES_MAX,
    ID_JOURNAL_PAGE_ENTRIES_MAX,
    OPRF_BATCH_MAX,
    REFUSED_IDS_NOTED_EVERY_MS,
)

RATE = Rate(per_day=10, at_once=10)
NAMES = ("leuven", "namur")
NOW = 1_900_000_000_000
REQUESTS = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(1, 12), st.integers(-1000, DAY_MS // 4)), max_size=40)


def ask(book: IdBook, member: str, count: int, time_ms: int, elements: bytes, unnoted: int = 0) -> IdEntry | None:
    """What the supervisor does; ``None``: refused, without an entry."""
    decision = book.decide(MemberId(member), blinded_digest(elements), count, time_ms, unnoted)
    if not book.has_entry(decision):
        return None
    book.take(decision.entry)
    return decision.entry


def kept(*requests: tuple[str, int, int]) -> list[IdEntry]:
    book = IdBook(RATE)
    entries = [ask(book, member, count, NOW + after, bytes([at])) for at, (member, count, after) in enumerate(requests)]
    return [entry for entry in entries if entry is not None]


JOURNAL = kept(("leuven", 6, 0), ("leuven", 6, 1), ("namur", 10, 2), ("leuven", 4, 3))


def test_the_journal_names_every_request() -> None:
    assert [(each.member, each.count, each.granted, each.left) for each in JOURNAL] == [
        ("leuven", 6, 1, 4),
        ("leuven", 6, 0, 4),
        ("namur", 10, 1, 0),
        ("leuven", 4, 1, 0),
    ]
    assert [IdEntry.from_value(decode(each.encode())) for each in JOURNAL] == JOURNAL
    book = check_journal(RATE, JOURNAL)
    assert (len(book), book.last) == (4, JOURNAL[-1])
    assert book.left(MemberId("leuven"), NOW + 3) == 0
    assert book.left(MemberId("porto"), NOW) == 10
    assert len(check_journal(RATE, [])) == 0


def test_an_entry_is_small() -> None:
    digest, most = Digest(bytes(32)), (1 << 63) - 1
    largest = IdEntry(most, digest, MemberId("m" * 63), most, OPRF_BATCH_MAX, digest, 1, ALLOWANCE_PER_DAY_MAX, most)
    assert len(largest.encode()) <= 300
    page = len(largest.encode()) * ID_JOURNAL_PAGE_ENTRIES_MAX + 1000
    assert page <= ID_JOURNAL_PAGE_BYTES_MAX


def renumbered(entries: list[IdEntry]) -> list[IdEntry]:
    """As somebody makes them who wants them to follow each other."""
    previous, made = Digest(bytes(32)), []
    for number, entry in enumerate(entries):
        made.append(replace(entry, number=number, previous=previous))
        previous = made[-1].digest
    return made


CHANGED: dict[str, Callable[[list[IdEntry]], list[IdEntry]]] = {
    "the first left out": lambda all_of: all_of[1:],
    "one left out": lambda all_of: [all_of[0], *all_of[2:]],
    "exchanged": lambda all_of: [all_of[1], all_of[0], *all_of[2:]],
    "another before": lambda all_of: [*all_of[:3], replace(all_of[3], previous=Digest(bytes(32)))],
    "fewer records": lambda all_of: renumbered([replace(all_of[0], count=5), *all_of[1:]]),
    "none": lambda all_of: renumbered([replace(all_of[0], count=0, left=10), *all_of[1:]]),
    "granted after all": lambda all_of: renumbered([all_of[0], replace(all_of[1], granted=1), *all_of[2:]]),
    "refused for nothing": lambda all_of: renumbered([*all_of[:3], replace(all_of[3], granted=0, left=4)]),
    "more left": lambda all_of: renumbered([replace(all_of[0], left=9), *all_of[1:]]),
    "of another member": lambda all_of: renumbered([*all_of[:3], replace(all_of[3], member=MemberId("namur"))]),
    "one left out, renumbered": lambda all_of: renumbered([all_of[1], *all_of[2:]]),
    "answered twice": lambda all_of: renumbered([*all_of[:3], replace(all_of[3], blinded=all_of[0].blinded)]),
    "a time before": lambda all_of: renumbered([*all_of[:3], replace(all_of[3], time_ms=NOW + 1)]),
    "a refusal too soon": lambda all_of: renumbered([*all_of[:2], replace(all_of[1], time_ms=NOW + 5), *all_of[2:]]),
}


@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED)
def test_a_journal_that_breaks_the_rules_is_refused(change: Callable[[list[IdEntry]], list[IdEntry]]) -> None:
    with pytest.raises(MessageError, match="of the journal of data IDs") as caught:
        check_journal(RATE, change(JOURNAL))
    assert caught.value.code is Code.ALLOWANCE


def test_an_end_that_is_cut_off_does_not_show_in_the_journal_itself() -> None:
    check_journal(RATE, JOURNAL[:2])


def test_another_allowance_than_the_charters_shows() -> None:
    with pytest.raises(MessageError, match="entry 0 "):
        check_journal(Rate(10, 11), JOURNAL)


def test_what_was_answered_is_not_answered_again() -> None:
    book = IdBook(RATE)
    assert ask(book, "leuven", 1, NOW, b"one")
    for member in NAMES:
        with pytest.raises(MessageError) as caught:
            ask(book, member, 1, NOW + 1, b"one")
        assert caught.value.code is Code.REFUSED
    assert len(book) == 1
    # What was refused may be sent again as it is: nothing came of it.
    assert ask(book, "leuven", 10, NOW, b"two")
    assert ask(book, "leuven", 10, NOW + DAY_MS, b"two")


def test_what_was_answered_is_forgotten_when_nobody_can_repeat_it_any_more() -> None:
    rate = Rate(DAY_MS // 1000, 1)  # a record a second
    book = IdBook(rate)
    entries = []
    for second in range(3 * ANSWERED_IDS_KEPT_MS // 1000):
        entry = ask(book, "leuven", 1, NOW + 1000 * second, second.to_bytes(2))
        assert entry is not None and entry.granted
        entries.append(entry)
    assert len(book._answered) == ANSWERED_IDS_KEPT_MS // 1000 + 1
    time_ms = entries[-1].time_ms + 1000
    with pytest.raises(MessageError):
        ask(book, "leuven", 1, time_ms, (len(entries) - ANSWERED_IDS_KEPT_MS // 1000).to_bytes(2))
    again = ask(book, "leuven", 1, time_ms, bytes(2))
    assert again is not None and again.granted
    assert check_journal(rate, [*entries, again]).last == again


def test_a_clock_that_stands_still_lets_nobody_repeat_anything() -> None:
    book = IdBook(RATE)
    assert ask(book, "leuven", 1, NOW + 2 * ANSWERED_IDS_KEPT_MS, b"one")
    for time_ms in (NOW, NOW + 3 * ANSWERED_IDS_KEPT_MS):
        with pytest.raises(MessageError):
            ask(book, "leuven", 1, time_ms, b"one")


def test_who_waits_because_a_clock_was_ahead_is_told_for_how_long() -> None:
    book = IdBook(RATE)
    assert ask(book, "leuven", 10, NOW + 10 * DAY_MS, b"one")
    decision = book.decide(MemberId("leuven"), blinded_digest(b"two"), 1, NOW)
    with pytest.raises(MessageError) as refused:
        decision.check()
    assert f"wait {10 * 24 + 3} h" in refused.value.remedy


def test_asking_in_vain_makes_few_entries() -> None:
    book = IdBook(RATE)
    first = ask(book, "leuven", 10, NOW, b"all of it")
    assert first is not None
    hour = 3_600_000
    noted, unnoted = [], 0
    for second in range(hour // 1000):
        entry = ask(book, "leuven", 9, NOW + 1000 * second, b"more", unnoted)
        unnoted = unnoted + 1 if entry is None else 0
        noted += [] if entry is None else [entry]
    assert len(noted) == hour // REFUSED_IDS_NOTED_EVERY_MS
    assert sum(1 + each.unnoted for each in noted) + unnoted == hour // 1000
    assert check_journal(RATE, [first, *noted]).last == book.last


@given(REQUESTS)
def test_a_journal_read_again_says_what_its_keeper_knew(requests: list[tuple[str, int, int]]) -> None:
    book, entries, time_ms = IdBook(RATE), list[IdEntry](), NOW
    granted = dict.fromkeys(NAMES, 0)
    for number, (member, count, passed) in enumerate(requests):
        time_ms += passed
        entry = ask(book, member, count, time_ms, number.to_bytes(2))
        if entry is not None:
            entries.append(entry)
            granted[member] += entry.granted * count
    again = check_journal(RATE, entries)
    assert again.last == book.last
    for member in NAMES:
        assert again.left(MemberId(member), time_ms) == book.left(MemberId(member), time_ms)
        spent = RATE.at_once * DAY_MS + max(0, time_ms - NOW + 1000 * len(requests)) * RATE.per_day
        assert granted[member] * DAY_MS <= spent
