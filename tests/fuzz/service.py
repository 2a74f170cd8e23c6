"""Targets: what the service sends to a member."""

from __future__ import annotations

import json
from functools import cache

from tests.fuzz import samples
from tests.fuzz.harness import Target
from tests.fuzz.mutators import cbor, text
from tests.protocols.world import signer

from tclearn.errors import Code, MessageError, TCLearnError, UnreachableError, VerificationError
from tclearn.identity.cose import sign as sign_message
from tclearn.ledger.checkpoint import origin, sign
from tclearn.ledger.cose_receipt import CoseReceipt
from tclearn.ledger.cose_receipt import sign as sign_receipt
from tclearn.ledger.engines.follower import Follower, Page
from tclearn.protocols.tclearn.state import State
from tclearn.service.delivery import DELIVERY_CONTEXT, DeliveryRequest, check_receipt_of
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


@cache
def _requests() -> list[bytes]:
    ledger = samples.free_story().ledger
    size = len(ledger)
    leaf, path = ledger.inclusion(1, size)
    head = ledger.head(size)
    receipt = sign_receipt(signer("log"), origin(ledger.coalition), head.root, size, 1, path).encode()
    return [
        DeliveryRequest(ledger.coalition, 0, 1, leaf, receipt, 0, bytes(16), bytes(16), 1_800_000_000_000).encode(),
        DeliveryRequest(ledger.coalition, 1 << 40, 1, leaf, b"", 1 << 62, bytes(16), bytes(16), 0).encode(),
    ]


def _request(data: bytes) -> object:
    # Whatever a member may sign, and what has the signature of nobody.
    signed, request = DeliveryRequest.open(sign_message(signer("m00"), data, DELIVERY_CONTEXT))
    assert signed == signer("m00").public and request.encode() == data
    ledger = samples.free_story().ledger
    receipt = CoseReceipt.parse(request.receipt)
    if not request.entry < receipt.size <= len(ledger):
        return None
    leaf, path = ledger.inclusion(request.entry, receipt.size)
    head = ledger.head(receipt.size)
    check_receipt_of(receipt, ledger.coalition, signer("log").public, head, request.entry, path)
    return request.entry, leaf


def _message(data: bytes) -> object:
    try:
        return DeliveryRequest.open(data)[1].entry
    except MessageError:
        assert data not in _messages()
        raise


@cache
def _messages() -> list[bytes]:
    return [sign_message(signer("m00"), request, DELIVERY_CONTEXT) for request in _requests()]


_ERROR_WORDS = ("{", "}", "[", '"', ":", "null", "1", "error", "kind", "code", "TCL-304", "\\u202e", "x" * 3000)

TARGETS = (
    Target("page", _pages, _page, cbor(), 600),
    Target("page-followed", _pages, _followed, cbor(plain=0.3), 60),
    Target("delivery-request", _requests, _request, cbor(), 300),
    Target("delivery-message", _messages, _message, cbor(), 300),
    Target("service-error", _errors, _error, text(*_ERROR_WORDS), 600),
)
