"""Proofs of encryption: what holds verifies, what does not is refused with its author, and nothing is shown."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.paillier.batches import BITS, GOOD, KEY, LAYOUT, MODULUS, OTHER, PROOF, SQUARE, made, proof_of, with_one
from tests.paillier.material import PLACE, dealing, encryptor, layout, primes, root_of_one

from tclearn.encoding import Digest
from tclearn.errors import Code, MessageError
from tclearn.paillier.packing import Layout
from tclearn.paillier.proof_encryption import EncryptionProof, prove_encryption, rows, verify_encryption
from tclearn.paillier.statements import Context, ProofError

FIRST = int(primes()[0])


@settings(max_examples=25)
@given(st.lists(st.integers(0, (1 << LAYOUT.plaintext_bits) - 1), min_size=1, max_size=9), st.integers(0, 99))
def test_what_is_made_well_verifies(plaintexts: list[int], seed: int) -> None:
    batch = made(plaintexts, seed)
    verify_encryption(KEY, LAYOUT, PLACE, batch.ciphertexts, proof_of(batch, seed=seed))


@pytest.mark.parametrize("count", [1, 2, 127, 128])
def test_batches_of_every_size(count: int) -> None:
    batch = made([0] + [(1 << LAYOUT.plaintext_bits) - 1] * (count - 1), count)
    proof = proof_of(batch)
    assert len(proof.masks) == rows(count) == count + 127
    verify_encryption(KEY, LAYOUT, PLACE, batch.ciphertexts, proof)


@pytest.mark.parametrize("bits", [2048, 3072])
def test_keys_of_real_size(bits: int) -> None:
    own, plan = encryptor(bits), layout(bits)
    batch = own.encrypt(plan.pack([plan.levels] * (plan.slots + 1)), secrets.token_bytes)
    assert len(batch.ciphertexts) == 2
    proof = prove_encryption(own, plan, PLACE, batch.ciphertexts, batch.openings, secrets.token_bytes)
    verify_encryption(own.key, plan, PLACE, batch.ciphertexts, proof)
    with pytest.raises(ProofError):
        verify_encryption(own.key, plan, replace(PLACE, party=1), batch.ciphertexts, proof)


def test_a_full_batch_of_real_size() -> None:
    own, plan = encryptor(2048), layout(2048)
    batch = own.encrypt(plan.pack([1] * 128 * plan.slots), secrets.token_bytes)
    proof = prove_encryption(own, plan, PLACE, batch.ciphertexts, batch.openings, secrets.token_bytes)
    verify_encryption(own.key, plan, PLACE, batch.ciphertexts, proof)
    one_wrong = (*batch.ciphertexts[:77], own.key.group.multiply(batch.ciphertexts[77], own.key.mask_base))
    with pytest.raises(ProofError, match="does not hold"):
        verify_encryption(own.key, plan, PLACE, one_wrong + batch.ciphertexts[78:], proof)


# --- statements that were changed -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "context",
    [
        replace(PLACE, coalition=Digest(bytes(32))),
        replace(PLACE, round=8),
        replace(PLACE, party=1),
        replace(PLACE, party=4),
        replace(PLACE, batch=0),
    ],
)
def test_a_proof_is_for_one_place_only(context: Context) -> None:
    with pytest.raises(ProofError, match="does not hold") as refused:
        verify_encryption(KEY, LAYOUT, context, GOOD.ciphertexts, PROOF)
    assert (refused.value.party, refused.value.batch, refused.value.index) == (context.party, context.batch, None)
    assert refused.value.code is Code.PROOF
    verify_encryption(KEY, LAYOUT, PLACE, GOOD.ciphertexts, PROOF)


def test_a_proof_is_for_one_key_and_layout_only() -> None:
    again = dealing(4, 2).key  # the same modulus, dealt otherwise
    assert again.modulus == KEY.modulus
    with pytest.raises(ProofError, match="does not hold"):
        verify_encryption(again, LAYOUT, PLACE, GOOD.ciphertexts, PROOF)
    with pytest.raises(ProofError, match="does not hold"):
        verify_encryption(KEY, layout(weights=(1, 1, 1, 2)), PLACE, GOOD.ciphertexts, PROOF)
    with pytest.raises(MessageError, match="not for this key"):
        verify_encryption(KEY, Layout(2048, (1,) * 4), PLACE, GOOD.ciphertexts, PROOF)
    with pytest.raises(MessageError, match="not for this key"):
        verify_encryption(KEY, Layout(512, (1,) * 3), PLACE, GOOD.ciphertexts, PROOF)


@pytest.mark.parametrize("party", [0, 5, 1 << 60])
def test_a_party_that_there_is_none_of(party: int) -> None:
    with pytest.raises(ProofError, match="is of no party"):
        verify_encryption(KEY, LAYOUT, replace(PLACE, party=party), GOOD.ciphertexts, PROOF)


@pytest.mark.parametrize("place", range(3))
def test_a_changed_ciphertext_is_refused(place: int) -> None:
    values = list(GOOD.ciphertexts)
    for change in (KEY.group.generator_power(1), KEY.mask_base, KEY.group.power(values[place], -2)):
        values[place] = KEY.group.multiply(GOOD.ciphertexts[place], change)
        with pytest.raises(ProofError, match="does not hold"):
            verify_encryption(KEY, LAYOUT, PLACE, values, PROOF)


def test_ciphertexts_in_another_order_or_number_are_refused() -> None:
    for values in (GOOD.ciphertexts[::-1], GOOD.ciphertexts[:2], (*GOOD.ciphertexts, OTHER.ciphertexts[0])):
        with pytest.raises(ProofError):
            verify_encryption(KEY, LAYOUT, PLACE, values, PROOF)
    for values in ((), GOOD.ciphertexts * 43):
        with pytest.raises(ProofError, match="ciphertexts"):
            verify_encryption(KEY, LAYOUT, PLACE, values, PROOF)


@pytest.mark.parametrize(
    "value",
    [
        0,
        1,
        MODULUS,
        SQUARE,
        SQUARE - 1,
        FIRST,
        FIRST * 5,
        -1,
        SQUARE - int(GOOD.ciphertexts[1]),
        int(GOOD.ciphertexts[1]) + SQUARE,
        int(KEY.group.element(GOOD.ciphertexts[1] * root_of_one())),
        root_of_one(),
        int(KEY.group.element(KEY.group.generator_power(12345))),
    ],
    ids=lambda value: f"{value.bit_length()}-bits",
)
def test_what_can_be_no_ciphertext_is_named(value: int) -> None:
    values = [GOOD.ciphertexts[0], value, GOOD.ciphertexts[2]]
    with pytest.raises(ProofError, match="number 1, of party 2 in round 7 is no ciphertext") as refused:
        verify_encryption(KEY, LAYOUT, PLACE, values, PROOF)
    assert (refused.value.party, refused.value.batch, refused.value.index) == (2, 1, 1)


# --- proofs that were changed ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 1, 64, 127, 129])
@pytest.mark.parametrize(
    "change",
    [
        lambda p, i: replace(p, plaintexts=with_one(p.plaintexts, i, p.plaintexts[i] + 1)),
        lambda p, i: replace(p, plaintexts=with_one(p.plaintexts, i, p.plaintexts[i] - 1)),
        lambda p, i: replace(p, exponents=with_one(p.exponents, i, p.exponents[i] + 1)),
        lambda p, i: replace(p, masks=with_one(p.masks, i, KEY.group.power(p.masks[i], 2))),
        lambda p, i: replace(p, masks=with_one(p.masks, i, p.masks[i - 1])),
        lambda p, i: replace(p, masks=with_one(p.masks, i, SQUARE - p.masks[i])),
        lambda p, i: replace(p, masks=with_one(p.masks, i, KEY.group.element(p.masks[i] * root_of_one()))),
        lambda p, i: replace(p, masks=with_one(p.masks, i, 0)),
        lambda p, i: replace(p, plaintexts=with_one(p.plaintexts, i, 1 << BITS[0])),
        lambda p, i: replace(p, plaintexts=with_one(p.plaintexts, i, -1)),
        lambda p, i: replace(p, exponents=with_one(p.exponents, i, 1 << BITS[1])),
        lambda p, i: replace(p, exponents=with_one(p.exponents, i, p.exponents[i] + (1 << 600))),
    ],
)
def test_a_changed_proof_is_refused(change: Callable[[EncryptionProof, int], EncryptionProof], place: int) -> None:
    with pytest.raises(ProofError) as refused:
        verify_encryption(KEY, LAYOUT, PLACE, GOOD.ciphertexts, change(PROOF, place))
    assert (refused.value.party, refused.value.batch) == (2, 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda p, other: replace(p, masks=other.masks),
        lambda p, other: replace(p, plaintexts=other.plaintexts),
        lambda p, other: replace(p, exponents=other.exponents),
        lambda p, other: other,
        lambda p, other: replace(p, masks=p.masks[::-1]),
        lambda p, other: replace(p, masks=p.masks[:-1]),
        lambda p, other: replace(p, plaintexts=(*p.plaintexts, 5)),
        lambda p, other: replace(p, exponents=()),
        lambda p, other: EncryptionProof((), (), ()),
        lambda p, other: EncryptionProof((1,) * 130, (0,) * 130, (0,) * 130),
    ],
)
def test_parts_of_another_proof_do_not_help(change: Callable[..., EncryptionProof]) -> None:
    with pytest.raises(ProofError):
        verify_encryption(KEY, LAYOUT, PLACE, GOOD.ciphertexts, change(PROOF, proof_of(OTHER, seed="other")))


@pytest.mark.parametrize("bound", [0, 1])
def test_two_wrongs_that_cancel_without_weights_do_not_cancel(bound: int) -> None:
    """One response larger and another smaller by the same: their plain product would hold."""
    fields = ("plaintexts", "exponents")
    values = list(getattr(PROOF, fields[bound]))
    values[3], values[90] = values[3] + 5, values[90] - 5
    with pytest.raises(ProofError, match="does not hold"):
        verify_encryption(KEY, LAYOUT, PLACE, GOOD.ciphertexts, replace(PROOF, **{fields[bound]: tuple(values)}))
