"""Our COSE_Sign1 is everybody's COSE_Sign1, and of all that others may write only one form is accepted."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import example, given
from hypothesis import strategies as st
from pycose.algorithms import EdDSA
from pycose.headers import KID, Algorithm
from pycose.keys.curves import Ed25519
from pycose.keys.okp import OKPKey
from pycose.messages.sign1message import Sign1Message

from tclearn.errors import Code, MessageError
from tclearn.identity import Signer, open_signed, sign
from tclearn.limits import TRANSACTION_BYTES_MAX

SIGNER = Signer(bytes(range(32)))
OTHER = Signer(bytes(32))
CONTEXT = b"a domain" + bytes(32)
# Every length at which CBOR changes the form of a head, and their neighbours.
LENGTHS = [0, 1, 22, 23, 24, 25, 254, 255, 256, 257, 65534, 65535, 65536, 65537]
PAYLOAD_AT = 1 + 1 + 2 + 38 + 1


def parts(message: bytes) -> list[Any]:
    assert message[0] == 0xC0 | 18  # the tag; behind it cbor2 gives lists and dicts, within it tuples and frozen maps
    content: list[Any] = cbor2.loads(message[1:])
    return content


def accepted(message: bytes, context: bytes = CONTEXT) -> bool:
    try:
        open_signed(message).check(context)
    except MessageError:
        return False
    return True


@given(st.binary(max_size=400), st.binary(max_size=80))
@example(b"", b"")
def test_round_trip(payload: bytes, context: bytes) -> None:
    signed = open_signed(sign(SIGNER, payload, context))
    signed.check(context)
    assert (signed.signer, signed.payload) == (SIGNER.public, payload)


@pytest.mark.parametrize("length", LENGTHS)
def test_every_length_of_payload_and_context(length: int) -> None:
    message = sign(SIGNER, b"p" * length, b"c" * length)
    open_signed(message).check(b"c" * length)
    assert parts(message)[2] == b"p" * length
    assert cbor2.dumps(cbor2.loads(message), canonical=True) == message


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_pycose_verifies_ours(payload: bytes, context: bytes) -> None:
    message: Any = Sign1Message.from_cose_obj(parts(sign(SIGNER, payload, context)), True)
    message.key = OKPKey(crv=Ed25519, x=SIGNER.public)
    message.external_aad = context
    assert message.phdr == {Algorithm: EdDSA, KID: SIGNER.public}
    assert message.uhdr == {}
    assert message.payload == payload
    assert message.verify_signature()
    message.external_aad = context + b"\0"
    assert not message.verify_signature()


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_pycose_signs_the_same_bytes(payload: bytes, context: bytes) -> None:
    message: Any = Sign1Message(phdr={Algorithm: EdDSA, KID: SIGNER.public}, uhdr={}, payload=payload)
    message.key = OKPKey(crv=Ed25519, x=SIGNER.public, d=SIGNER.seed())
    message.external_aad = context
    assert message.encode() == sign(SIGNER, payload, context)


@pytest.mark.parametrize("length", LENGTHS)
def test_openssl_verifies_the_sig_structure_of_the_rfc(length: int) -> None:
    message = sign(SIGNER, b"p" * length, b"c" * length)
    protected, unprotected, payload, signature = parts(message)
    # RFC 9052 §4.4
    sig_structure = cbor2.dumps(["Signature1", protected, b"c" * length, payload])
    key = Ed25519PublicKey.from_public_bytes(cbor2.loads(protected)[4])
    key.verify(signature, sig_structure)
    assert cbor2.loads(protected) == {1: -8, 4: SIGNER.public}
    assert unprotected == {}
    with pytest.raises(InvalidSignature):
        key.verify(signature, sig_structure + b"\0")


def test_the_signature_binds_payload_key_and_context() -> None:
    message = sign(SIGNER, b"payload", CONTEXT)
    assert accepted(message)
    assert not accepted(message, CONTEXT + b"\0")
    assert not accepted(message, b"")
    assert not accepted(message.replace(b"payload", b"Payload"))
    assert not accepted(message.replace(SIGNER.public, OTHER.public))
    # Bytes cannot move between context and payload.
    assert not accepted(sign(SIGNER, b"cd", b"ab"), b"abc")
    assert not accepted(sign(SIGNER, b"d", b"abc")[:-64] + sign(SIGNER, b"cd", b"ab")[-64:], b"abc")


@pytest.mark.parametrize("length", [0, 23, 24, 255, 256])
def test_no_bit_can_be_flipped(length: int) -> None:
    message = sign(SIGNER, b"p" * length, CONTEXT)
    for position in range(len(message)):
        for bit in range(8):
            damaged = bytearray(message)
            damaged[position] ^= 1 << bit
            assert not accepted(bytes(damaged)), (position, bit)


@pytest.mark.parametrize("length", [0, 23, 24, 255, 256])
def test_no_byte_can_be_cut_added_or_doubled(length: int) -> None:
    message = sign(SIGNER, b"p" * length, CONTEXT)
    for position in range(len(message) + 1):
        before, after = message[:position], message[position:]
        for damaged in (before, after, before + b"\0" + after, before + after[1:], before + after[:1] + after):
            assert damaged == message or not accepted(damaged), position


@pytest.mark.parametrize("length", LENGTHS)
def test_the_payloads_length_has_one_form(length: int) -> None:
    message = sign(SIGNER, b"p" * length, CONTEXT)
    tail = message[-66:]
    heads = [b"\x40", b"\x57", b"\x5f", b"\x78\x00", b"\x00"]
    for code, size in ((0x58, 1), (0x59, 2), (0x5A, 4), (0x5B, 8)):
        if length < 1 << 8 * size:
            heads.append(bytes([code]) + length.to_bytes(size, "big"))
    forms = [message[:PAYLOAD_AT] + head + b"p" * length + tail for head in heads]
    # None of them, but for the one in which it was signed.
    assert [form for form in forms if form != message and accepted(form)] == []


def rebuilt(**changes: Any) -> bytes:
    protected, unprotected, payload, signature = parts(sign(SIGNER, b"payload", CONTEXT))
    value = {"protected": protected, "unprotected": unprotected, "payload": payload, "signature": signature, **changes}
    return cbor2.dumps(cbor2.CBORTag(18, list(value.values())))


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(rebuilt(unprotected={4: b"other key"}), id="something unsigned travels along"),
        pytest.param(rebuilt(protected=b""), id="no protected header"),
        pytest.param(rebuilt(protected=cbor2.dumps({1: -7, 4: SIGNER.public})), id="another algorithm"),
        pytest.param(rebuilt(protected=cbor2.dumps({1: -8})), id="no key id"),
        pytest.param(rebuilt(protected=cbor2.dumps({4: SIGNER.public, 1: -8})), id="header out of order"),
        pytest.param(rebuilt(protected=cbor2.dumps({1: -8, 4: SIGNER.public[:31]})), id="short key id"),
        pytest.param(rebuilt(protected=cbor2.dumps({1: -8, 2: [9], 9: 0, 4: SIGNER.public})), id="critical header"),
        pytest.param(rebuilt(payload=None), id="detached payload"),
        pytest.param(rebuilt(payload="payload"), id="payload as text"),
        pytest.param(rebuilt(signature=b""), id="no signature"),
        pytest.param(rebuilt(signature=bytes(63)), id="short signature"),
        pytest.param(rebuilt(extra=0), id="five parts"),
        pytest.param(sign(SIGNER, b"payload", CONTEXT)[1:], id="untagged"),
        pytest.param(b"\xd8\x12" + sign(SIGNER, b"payload", CONTEXT)[1:], id="tag in a longer form"),
        pytest.param(b"\xd9\xd9\xf7" + sign(SIGNER, b"payload", CONTEXT), id="tag before the tag"),
        pytest.param(b"\xd2\x9f" + sign(SIGNER, b"payload", CONTEXT)[2:] + b"\xff", id="indefinite array"),
        pytest.param(sign(SIGNER, b"payload", CONTEXT) * 2, id="two messages"),
        pytest.param(b"", id="nothing"),
        pytest.param(sign(SIGNER, b"", CONTEXT)[:PAYLOAD_AT] + b"\x58\x40" + bytes(64), id="no payload at all"),
    ],
)
def test_other_shapes_are_refused(message: bytes) -> None:
    with pytest.raises(MessageError) as refusal:
        open_signed(message).check(CONTEXT)
    assert refusal.value.code in (Code.ENCODING, Code.SIGNATURE)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(MessageError):
        open_signed(data).check(CONTEXT)


@given(st.binary(max_size=100), st.data())
def test_what_is_opened_is_deterministic_cbor(payload: bytes, data: st.DataObject) -> None:
    damaged = bytearray(sign(SIGNER, payload, CONTEXT))
    for _ in range(data.draw(st.integers(0, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        signed = open_signed(bytes(damaged))
    except MessageError:
        return
    assert cbor2.dumps(cbor2.loads(bytes(damaged)), canonical=True) == bytes(damaged)
    assert parts(bytes(damaged))[2:] == [signed.payload, signed.signature]


def test_size_limit() -> None:
    overhead = len(sign(SIGNER, bytes(1 << 16), b"")) - (1 << 16)
    largest = sign(SIGNER, bytes(TRANSACTION_BYTES_MAX - overhead), b"")
    assert len(largest) == TRANSACTION_BYTES_MAX
    open_signed(largest).check(b"")
    with pytest.raises(MessageError) as refusal:
        open_signed(sign(SIGNER, bytes(TRANSACTION_BYTES_MAX - overhead + 1), b""))
    assert refusal.value.code is Code.TOO_LARGE
    with pytest.raises(MessageError):
        open_signed(sign(SIGNER, b"payload", b""), size_max=100)
