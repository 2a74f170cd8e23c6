"""Transactions and entries: one form each, readable by a third party's COSE library, nothing else accepted."""

from __future__ import annotations

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from pycose.keys.okp import OKPKey
from pycose.messages.sign1message import Sign1Message
from tests.ledger.notes import FOREVER_MS, World, signer

from tclearn.encoding import Digest, Value, decode, encode
from tclearn.errors import Code, MessageError
from tclearn.identity import public_key
from tclearn.ledger import Call, Entry, Transaction
from tclearn.limits import ENTRY_BYTES_MAX, TRANSACTION_BYTES_MAX

COALITION = Digest(bytes(range(32)))
KEY = signer("somebody")
ARGUMENTS: dict[str, Value] = {"text": "note", "number": 7, "list": [1, b"\x02", {"three": 3}]}
SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]

values = st.recursive(
    st.integers(0, 2**63) | st.binary(max_size=20) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcé", max_size=4), inner, max_size=4),
    max_leaves=12,
)


def signed(arguments: dict[str, Value] = ARGUMENTS, sequence: int = 3) -> Transaction:
    call = Call("notes/1", "add", arguments)
    return Transaction.signed(KEY, COALITION, call, sequence=sequence, expires_ms=FOREVER_MS)


@given(st.dictionaries(st.text("abc", min_size=1, max_size=5), values, max_size=4), st.integers(0, 2**63 - 1))
def test_round_trip(arguments: dict[str, Value], sequence: int) -> None:
    transaction = signed(arguments, sequence)
    assert Transaction.parse(transaction.raw) == transaction
    assert Transaction.parse_checked(transaction.raw, COALITION) == transaction
    transaction.check_signature(COALITION)


def test_pycose_verifies_a_transaction() -> None:
    protected, unprotected, payload, signature = cbor2.loads(signed().raw).value
    message = Sign1Message.from_cose_obj([protected, dict(unprotected), payload, signature], True)
    message.key = OKPKey.from_dict({"KTY": "OKP", "CURVE": "ED25519", "X": bytes(KEY.public)})
    message.external_aad = b"TCLearn/tx/v1" + COALITION  # type: ignore[misc]
    assert message.verify_signature()
    message.external_aad = b"TCLearn/tx/v1" + bytes(32)  # type: ignore[misc]
    assert not message.verify_signature()


def test_a_signature_is_for_one_coalition_only() -> None:
    with pytest.raises(MessageError) as refusal:
        signed().check_signature(Digest(bytes(32)))
    assert refusal.value.code is Code.SIGNATURE


@given(st.data())
def test_no_other_bytes_pass(data: st.DataObject) -> None:
    raw = bytearray(signed().raw)
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    if raw == signed().raw:
        return
    with pytest.raises(MessageError):
        Transaction.parse_checked(bytes(raw), COALITION)


@pytest.mark.parametrize("cut", [0, 1, 40, 60, 110, -65, -64, -1])
def test_a_part_is_refused(cut: int) -> None:
    with pytest.raises(MessageError):
        Transaction.parse(signed().raw[:cut])


def test_size_is_limited() -> None:
    room = TRANSACTION_BYTES_MAX - len(signed({"text": b""}).raw) - 7  # two length heads grow
    assert len(signed({"text": bytes(room)}).raw) == TRANSACTION_BYTES_MAX
    Transaction.parse_checked(signed({"text": bytes(room)}).raw, COALITION)
    with pytest.raises(MessageError) as refusal:
        Transaction.parse(signed({"text": bytes(room + 1)}).raw)
    assert refusal.value.code is Code.TOO_LARGE


@pytest.mark.parametrize(
    "payload",
    [
        {"contract": "c", "method": "m", "arguments": {}, "sequence": -1, "expires_ms": 1},
        {"contract": "c", "method": "m", "arguments": {}, "sequence": 1},
        {"contract": "c", "method": "m", "arguments": {}, "sequence": 1, "expires_ms": 1, "more": 1},
        {"contract": "c", "method": "m", "arguments": [], "sequence": 1, "expires_ms": 1},
        {"contract": "c", "method": b"m", "arguments": {}, "sequence": 1, "expires_ms": 1},
        [],
    ],
    ids=str,
)
def test_payloads_of_another_shape_are_refused(payload: Value) -> None:
    from tclearn.identity import sign

    with pytest.raises(MessageError):
        Transaction.parse(sign(KEY, encode(payload), b"TCLearn/tx/v1" + COALITION))


@pytest.mark.parametrize("key", SMALL_ORDER)
def test_keys_of_small_order_are_refused(key: str) -> None:
    with pytest.raises(MessageError):
        public_key(bytes.fromhex(key))


def test_the_key_that_signs_everything_signs_nothing_here() -> None:
    # A = R = the neutral element and S = 0 solve the verification equation for every message. OpenSSL accepts that.
    neutral = bytes.fromhex(SMALL_ORDER[0])
    Ed25519PublicKey.from_public_bytes(neutral).verify(neutral + bytes(32), b"any message")
    raw = signed().raw
    forged = raw.replace(KEY.public, neutral)[:-64] + neutral + bytes(32)
    with pytest.raises(MessageError) as refusal:
        Transaction.parse_checked(forged, COALITION)
    assert refusal.value.code is Code.SIGNATURE


naturals = st.integers(0, 2**63 - 1) | st.sampled_from([0, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32])


@given(naturals, naturals, st.binary(max_size=300))
def test_an_entry_is_the_cbor_that_its_fields_make(index: int, time_ms: int, raw: bytes) -> None:
    entry = Entry(index, time_ms, raw)
    assert entry.encode() == encode({"index": index, "time_ms": time_ms, "transaction": raw})
    assert decode(entry.encode()) == entry.to_value()
    assert Entry.parse(entry.encode()) == entry


@given(naturals, naturals, st.binary(max_size=60), st.data())
def test_other_bytes_are_another_entry_or_none(index: int, time_ms: int, raw: bytes, data: st.DataObject) -> None:
    damaged = bytearray(Entry(index, time_ms, raw).encode())
    if data.draw(st.booleans()):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    else:
        del damaged[data.draw(st.integers(0, len(damaged) - 1)) :]
    try:
        entry = Entry.parse(bytes(damaged))
    except MessageError:
        return
    assert encode(entry.to_value()) == damaged


@pytest.mark.parametrize(
    "data",
    [
        b"",
        encode({"index": 0, "time_ms": 0}),
        encode({"index": 2**63, "time_ms": 0, "transaction": b""}),
        encode({"index": 0, "time_ms": -1, "transaction": b""}),
        encode({"index": 0, "time_ms": 0, "transaction": ""}),
        encode([0, 0, b""]),
        bytes.fromhex("a365696e646578180067") + encode({"index": 0, "time_ms": 0, "transaction": b""})[9:],
    ],
    ids=range(7),
)
def test_entries_of_another_shape_are_refused(data: bytes) -> None:
    with pytest.raises(MessageError):
        Entry.parse(data)


def test_an_entry_is_limited_and_holds_the_largest_transaction() -> None:
    largest = Entry(2**63 - 1, 2**63 - 1, bytes(TRANSACTION_BYTES_MAX))
    assert len(largest.encode()) <= ENTRY_BYTES_MAX
    assert Entry.parse(largest.encode()) == largest
    with pytest.raises(MessageError) as refusal:
        Entry.parse(bytes(ENTRY_BYTES_MAX + 1))
    assert refusal.value.code is Code.TOO_LARGE


def test_transactions_of_a_world_are_distinct() -> None:
    world = World()
    assert world.add(0, "same").id != world.add(0, "same").id
