"""A whole round in messages: what is sent comes back, what was changed anywhere is refused, liars are all named."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.paillier.material import COALITION, dealing, encryptor, layout

from tclearn.encoding import Digest, decode, encode
from tclearn.errors import Code, MessageError
from tclearn.limits import PAILLIER_BATCH_BYTES_MAX, PAILLIER_BATCH_MAX, PAILLIER_KEY_BYTES_MAX
from tclearn.paillier.decryption import combine, decryption_shares
from tclearn.paillier.encryption import weighted_sum
from tclearn.paillier.keys import PublicKey
from tclearn.paillier.messages import EncryptedBatch, ShareBatch, blame_encrypted, blame_shares
from tclearn.paillier.packing import Layout
from tclearn.paillier.proof_decryption import prove_shares
from tclearn.paillier.proof_encryption import prove_encryption
from tclearn.paillier.statements import Context, ProofError

DEALING = dealing()
KEY = DEALING.key
LAYOUT = layout(weights=(3, 1, 2, 1))
VALUES = {party: [party * place - 40 for place in range(30)] for party in range(1, 5)}
PER_BATCH = 2


def place(party: int, batch: int) -> Context:
    return Context(COALITION, 1, party, batch)


@cache
def contributions() -> dict[tuple[int, int], bytes]:
    """Each party's batches, of two ciphertexts here, as bytes."""
    result = {}
    for party, values in VALUES.items():
        made = encryptor().encrypt(LAYOUT.pack(values), secrets.token_bytes)
        for batch, at in enumerate(range(0, len(made.ciphertexts), PER_BATCH)):
            ciphertexts, openings = made.ciphertexts[at : at + PER_BATCH], made.openings[at : at + PER_BATCH]
            context = place(party, batch)
            proof = prove_encryption(encryptor(), LAYOUT, context, ciphertexts, openings, secrets.token_bytes)
            result[party, batch] = EncryptedBatch.of(KEY, LAYOUT, context, ciphertexts, proof).encode()
    return result


def encrypted(party: int, batch: int) -> EncryptedBatch:
    return EncryptedBatch.read(contributions()[party, batch])


@cache
def sums() -> tuple[int, ...]:
    verified = {
        party: [each for batch in (0, 1) for each in encrypted(party, batch).verify(KEY, LAYOUT, place(party, batch))]
        for party in VALUES
    }
    return tuple(weighted_sum(KEY, LAYOUT, verified))


@cache
def share_bytes(party: int) -> bytes:
    share, context = DEALING.shares[party - 1], place(party, 0)
    made = decryption_shares(KEY, share, sums())
    proof = prove_shares(KEY, share, context, sums(), made, secrets.token_bytes)
    return ShareBatch.of(KEY, context, made, proof).encode()


def test_a_round() -> None:
    opened = combine(
        KEY, {party: ShareBatch.read(share_bytes(party)).verify(KEY, place(party, 0), sums()) for party in (1, 3, 4)}
    )
    expected = [sum(LAYOUT.weights[party - 1] * values[at] for party, values in VALUES.items()) for at in range(30)]
    assert LAYOUT.unpack(opened, 30, VALUES) == expected


def test_nobody_is_blamed_who_did_nothing() -> None:
    batches = [(place(*at), encrypted(*at)) for at in contributions()]
    assert blame_encrypted(KEY, LAYOUT, batches) == []
    assert blame_shares(KEY, [(place(party, 0), sums(), ShareBatch.read(share_bytes(party))) for party in VALUES]) == []


def test_every_liar_is_named_and_nobody_else() -> None:
    lies = {
        (2, 1): lambda batch: replace(batch, ciphertexts=batch.ciphertexts[:-1] + bytes([batch.ciphertexts[-1] ^ 1])),
        (3, 0): lambda batch: encrypted(3, 1),
        (4, 0): lambda batch: encrypted(1, 0),
        (4, 1): lambda batch: replace(batch, context=place(4, 1), ciphertexts=encrypted(1, 1).ciphertexts),
    }
    batches = [(place(*at), lies.get(at, lambda batch: batch)(encrypted(*at))) for at in contributions()]
    with ThreadPoolExecutor(2) as pool:
        found = blame_encrypted(KEY, LAYOUT, batches, run=pool.map)
    assert [(each.party, each.batch) for each in found] == list(lies)
    shares = {party: ShareBatch.read(share_bytes(party)) for party in VALUES}
    shares[3] = replace(shares[3], shares=shares[1].shares)
    shares[2] = replace(shares[2], response=bytes(len(shares[2].response)))
    said = blame_shares(KEY, [(place(party, 0), sums(), each) for party, each in shares.items()])
    assert [(each.party, each.batch) for each in said] == [(2, 0), (3, 0)]


def test_who_sends_the_proof_of_another_party_is_to_blame_for_it() -> None:
    with pytest.raises(ProofError, match="party 2 in round 1 says that it is another's") as refused:
        encrypted(1, 0).verify(KEY, LAYOUT, place(2, 0))
    assert refused.value.party == 2
    with pytest.raises(ProofError, match="party 2"):
        ShareBatch.read(share_bytes(1)).verify(KEY, place(2, 0), sums())


def test_a_batch_under_another_key_is_refused() -> None:
    other = dealing(seed=2).key
    with pytest.raises(ProofError, match="is under the key"):
        encrypted(1, 0).verify(other, LAYOUT, place(1, 0))
    with pytest.raises(ProofError, match="is under the key"):
        ShareBatch.read(share_bytes(1)).verify(other, place(1, 0), sums())


def flipped(data: bytes, at: int, bit: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


@settings(max_examples=60)
@given(st.integers(min_value=0), st.integers(0, 7))
def test_a_bit_flipped_anywhere_is_refused(at: int, bit: int) -> None:
    data = contributions()[1, 0]
    with pytest.raises((MessageError, ProofError)):
        EncryptedBatch.read(flipped(data, at % len(data), bit)).verify(KEY, LAYOUT, place(1, 0))
    data = share_bytes(1)
    with pytest.raises((MessageError, ProofError)):
        ShareBatch.read(flipped(data, at % len(data), bit)).verify(KEY, place(1, 0), sums())


@pytest.mark.parametrize("name", ["ciphertexts", "masks", "plaintexts", "exponents"])
@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\x00", lambda data: b""])
def test_numbers_of_another_size_are_refused_by_name(name: str, change: Any) -> None:
    batch = encrypted(2, 0)
    with pytest.raises(ProofError) as refused:
        replace(batch, **{name: change(getattr(batch, name))}).verify(KEY, LAYOUT, place(2, 0))
    assert (refused.value.party, refused.value.batch) == (2, 0)


@pytest.mark.parametrize("name", ["shares", "challenge", "response"])
@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\x00", lambda data: b""])
def test_shares_of_another_size_are_refused_by_name(name: str, change: Any) -> None:
    batch = ShareBatch.read(share_bytes(2))
    with pytest.raises(ProofError) as refused:
        replace(batch, **{name: change(getattr(batch, name))}).verify(KEY, place(2, 0), sums())
    assert (refused.value.party, refused.value.batch) == (2, 0)


def altered(data: bytes, **fields: Any) -> bytes:
    value = decode(data)
    assert isinstance(value, dict)
    return encode({name: each for name, each in {**value, **fields}.items() if each is not None})


@pytest.mark.parametrize("kind", [EncryptedBatch, ShareBatch])
def test_what_is_no_message_is_refused(kind: type[EncryptedBatch | ShareBatch]) -> None:
    data = contributions()[1, 0] if kind is EncryptedBatch else share_bytes(1)
    assert kind.read(data).encode() == data
    for wrong in (
        b"",
        data[:-1],
        data + b"\x00",
        altered(data, format="tclearn/paillier-batch/2"),
        altered(data, more=b""),
        altered(data, key=b"short"),
        altered(data, context=None),
        altered(data, context={}),
        bytes(PAILLIER_BATCH_BYTES_MAX + 1),
    ):
        with pytest.raises(MessageError):
            kind.read(wrong)
    with pytest.raises(MessageError) as refused:
        kind.read(bytes(PAILLIER_BATCH_BYTES_MAX + 1))
    assert refused.value.code is Code.TOO_LARGE


def test_the_largest_messages_are_within_the_limits() -> None:
    """By their sizes: 128 ciphertexts of 3072 bits in the widest layout, and a key for 256 parties."""
    key = dealing(3, 2, bits=3072).key
    for slot_bits in (8, 16, 24, 32, 64):
        plan = Layout(3072, (1, 1, 1), slot_bits, min(slot_bits - 2, 32))
        element, rows = key.group.element_bytes, PAILLIER_BATCH_MAX + 127
        sizes = [-(-(plan.plaintext_bits + 87) // 8), -(-(key.exponent_bits + 87) // 8)]
        assert PAILLIER_BATCH_MAX * element + rows * (element + sum(sizes)) + 400 < PAILLIER_BATCH_BYTES_MAX
    largest = PublicKey(key.modulus, 2, key.verification * 85 + key.verification[:1])
    assert largest.parties == 256
    assert len(largest.encode()) < PAILLIER_KEY_BYTES_MAX


def test_a_message_says_little_in_its_repr() -> None:
    assert len(repr(encrypted(1, 0))) < 400
    assert len(repr(ShareBatch.read(share_bytes(1)))) < 400
    assert Digest(KEY.digest) == encrypted(1, 0).key
