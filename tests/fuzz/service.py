"""Targets: what the service sends to a member."""

from __future__ import annotations

import json
from functools import cache

from tests.fuzz import samples
from tests.fuzz.harness import Target
from tests.fuzz.mutators import cbor, text
from tests.protocols.world import signer

from tclearn.errors import Code, MessageError, TCLearnError, UnreachableError, VerificationError
from tclearn.ledger.checkpoint import sign
from tclearn.ledger.engines.follower import Follower, Page
from tclearn.protocols.tclearn.state import State
from tclearn.service.wire import decode_error, decode_page, encode_error, encode_page


@cache
def _pages() -> list[bytes]:
    ledger = samples.free_story().ledger
    coalition = ledger.coalition
    found = []
    for stop in (0, 1, len(ledger)):
        items = [(item.entry.encode(), item.results) for item in ledger.entries(0, stop)]
        found.append(encode_page(Page(items, sign(signer("log"), coalition, ledger.head(stop)).encode())))
    return found


def _page(data: bytes) -> object:
    page = decode_page(data)
    assert encode_page(page) == data
    return len(page.entries)


class _Said:
    """A service that sends these bytes, whatever it is asked."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def submit(self, raw: bytes) -> None: ...

    def read(self, start: int) -> Page:
        return decode_page(self._data)


def _followed(data: bytes) -> object:
    told = samples.free_story()
    ledger = told.ledger
    follower: Follower[State] = Follower(
        told.contract, ledger.coalition, signer("log").public, _Said(data), lambda: 1 << 50
    )
    try:
        follower.pull()
    except (MessageError, VerificationError):
        assert len(follower) == 0, "a page that is refused leaves nothing"
        raise
    size = len(follower)
    assert follower.head(size) == ledger.head(size), "what is taken is of the log"
    return size


def _errors() -> list[bytes]:
    errors: list[TCLearnError] = [
        MessageError(Code.UNKNOWN_SIGNER, "somebody", expected="somebody else", remedy="ask"),
        UnreachableError(Code.BUSY, "too often"),
    ]
    return [json.dumps({"error": encode_error(error)}).encode() for error in errors]


def _error(data: bytes) -> object:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    error = decode_error(value)
    if error is None:
        return False
    assert str(error).isprintable() and len(str(error)) < 10_000
    return error.code


_ERROR_WORDS = ("{", "}", "[", '"', ":", "null", "1", "error", "kind", "code", "TCL-304", "\\u202e", "x" * 3000)

TARGETS = (
    Target("page", _pages, _page, cbor(), 600),
    Target("page-followed", _pages, _followed, cbor(plain=0.3), 60),
    Target("service-error", _errors, _error, text(*_ERROR_WORDS), 600),
)
