"""Targets: what the supervisor of data IDs and its members send each other, and the files that they keep."""

from __future__ import annotations

import hashlib
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

from tests.fuzz.harness import Target
from tests.fuzz.mutators import cbor, pages

from tclearn.coalition.allowance import DAY_MS, IdEntry, Rate, blinded_digest
from tclearn.coalition.id_book import IdBook, check_journal
from tclearn.encoding import Digest, MemberId
from tclearn.identity import Signer
from tclearn.identity.cose import sign
from tclearn.identity.oprf import OprfKey, Pending, blind, finalize
from tclearn.identity.oprf_messages import IdAnswer, IdRequest
from tclearn.learning.id_cache import IdCache
from tclearn.service.id_messages import ASK_CONTEXT, IdAsk, IdPage, IdServed

KEY: Final = OprfKey(bytes(32))
RATE: Final = Rate(per_day=10, at_once=10)
SIGNER: Final = Signer(bytes(32))
COALITION: Final = Digest(bytes(32))
RECORDS: Final = (b"first", b"second")


@cache
def _pending() -> Pending:
    # Fixed blinds: an input that was found must mean the same in the next run.
    return blind(RECORDS, entropy=lambda size: hashlib.shake_256(b"blinds").digest(size))


def _request_samples() -> list[bytes]:
    return [IdRequest.of(_pending().blinded).encode()]


def _request(data: bytes) -> object:
    request = IdRequest.read(data)
    assert request.encode() == data
    assert len(KEY.evaluate(request.batch).elements) == request.count
    return request.count


@cache
def _answer_samples() -> list[bytes]:
    evaluation = KEY.evaluate(_pending().blinded, entropy=lambda size: hashlib.shake_256(b"nonce").digest(size))
    return [IdAnswer.of(evaluation).encode()]


def _answer(data: bytes) -> object:
    outputs = finalize(_pending(), IdAnswer.read(data).batch, KEY.public)
    assert [data] == _answer_samples()
    assert outputs == [KEY.value(each) for each in RECORDS]
    return "the answer"


def _cache_samples() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ids"
        IdCache(file, bytes(32)).save(KEY.public, {Digest(bytes([each]) * 32): bytes([each]) * 16 for each in range(4)})
        return [file.read_bytes()]


def _cache(data: bytes) -> object:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ids"
        file.write_bytes(data)
        held = IdCache(file, bytes(32)).load(KEY.public)
        if held:
            IdCache(file, bytes(32)).save(KEY.public, held)
            assert IdCache(file, bytes(32)).load(KEY.public) == held
        return len(held)


def _ask_samples() -> list[bytes]:
    return [IdAsk(COALITION, 1, _request_samples()[0]).signed(SIGNER)]


def _ask(data: bytes) -> object:
    signer, ask = IdAsk.open(data)
    assert (signer, [data]) == (SIGNER.public, _ask_samples()), "nobody signs for somebody else"
    return ask.time_ms


def _unsigned_samples() -> list[bytes]:
    return [IdAsk(COALITION, 1, _request_samples()[0]).encode()]


def _ask_unsigned(data: bytes) -> object:
    """What a member signs itself, whatever it is."""
    _, ask = IdAsk.open(sign(SIGNER, data, ASK_CONTEXT))
    assert ask.encode() == data
    return IdRequest.read(ask.request).count


@cache
def _entries() -> tuple[IdEntry, ...]:
    book, taken = IdBook(RATE), []
    for number, count in enumerate((6, 6, 4)):
        entry = book.decide(MemberId("leuven"), blinded_digest(bytes([number])), count, 1000 + number).entry
        book.take(entry)
        taken.append(entry)
    return tuple(taken)


def _served_samples() -> list[bytes]:
    return [IdServed(_entries()[0], _answer_samples()[0]).encode()]


def _served(data: bytes) -> object:
    served = IdServed.read(data)
    assert served.encode() == data
    return _answer(served.answer)


def _page_samples() -> list[bytes]:
    return [IdPage(_entries()[:count]).encode() for count in (0, 1, 3)]


def _page(data: bytes) -> object:
    page = IdPage.read(data)
    assert page.encode() == data
    book = check_journal(RATE, page.entries)
    for name in {each.member for each in page.entries}:
        mine = [each for each in page.entries if each.member == name]
        passed_ms = max(each.time_ms for each in mine) - mine[0].time_ms
        granted = sum(each.count for each in mine if each.granted)
        assert granted * DAY_MS <= RATE.at_once * DAY_MS + passed_ms * RATE.per_day
    return len(book)


TARGETS: Final = (
    Target("id-ask", _ask_samples, _ask, pages, 100),
    Target("id-ask-unsigned", _unsigned_samples, _ask_unsigned, cbor(), 150),
    Target("id-served", _served_samples, _served, cbor(), 60),
    Target("id-page", _page_samples, _page, cbor(), 200),
    Target("id-request", _request_samples, _request, cbor(), 150),
    Target("id-answer", _answer_samples, _answer, cbor(), 100),
    Target("id-cache", _cache_samples, _cache, pages, 60),
)
