"""Proofs of decryption shares: false shares in a batch are refused, and whose they are is said."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.paillier.material import PLACE, dealing, encryptor, primes, root_of_one, seeded

from tclearn.encoding import Digest
from tclearn.errors import Code, MessageError
from tclearn.paillier import proof_decryption as proofs
from tclearn.paillier.arithmetic import from_bytes
from tclearn.paillier.decryption import combine, decryption_shares
from tclearn.paillier.keys import SecretShare
from tclearn.paillier.masks import HIDING_BITS
from tclearn.paillier.proof_decryption import ShareProof, prove_shares, response_bits, verify_shares
from tclearn.paillier.statements import Context, ProofError

DEALING = dealing()
KEY, GROUP = DEALING.key, DEALING.key.group
MODULUS, SQUARE = int(KEY.modulus), int(GROUP.square)
CIPHERTEXTS = encryptor().encrypt(list(range(6)), seeded("shares")).ciphertexts
OWN = DEALING.shares[PLACE.party - 1]
SHARES = decryption_shares(KEY, OWN, CIPHERTEXTS)


def proof_for(
    shares: tuple[int, ...], ciphertexts: tuple[int, ...] = CIPHERTEXTS, context: Context = PLACE
) -> ShareProof:
    """By the owner of the share, whatever the shares are."""
    return prove_shares(KEY, OWN, PLACE, ciphertexts, shares, seeded("prove"))


PROOF = proof_for(SHARES)


@settings(max_examples=25)
@given(st.integers(1, 4), st.integers(1, 12), st.integers(0, 99))
def test_right_shares_verify(party: int, count: int, seed: int) -> None:
    ciphertexts = encryptor().encrypt(list(range(count)), seeded(seed)).ciphertexts
    share, context = DEALING.shares[party - 1], replace(PLACE, party=party)
    shares = decryption_shares(KEY, share, ciphertexts)
    proof = prove_shares(KEY, share, context, ciphertexts, shares, secrets.token_bytes)
    verify_shares(KEY, context, ciphertexts, shares, proof)


@pytest.mark.parametrize("bits", [2048, 3072])
def test_keys_of_real_size(bits: int) -> None:
    dealt = dealing(3, 2, bits=bits)
    ciphertexts = [dealt.key.group.multiply(dealt.key.group.generator_power(9), dealt.key.mask_base)]
    shares = {}
    for each in dealt.shares[1:]:
        context = replace(PLACE, party=each.party)
        shares[each.party] = decryption_shares(dealt.key, each, ciphertexts)
        proof = prove_shares(dealt.key, each, context, ciphertexts, shares[each.party], secrets.token_bytes)
        verify_shares(dealt.key, context, ciphertexts, shares[each.party], proof)
    assert combine(dealt.key, shares) == [9]


@pytest.mark.parametrize("count", [1, 128])
def test_batches_of_every_size(count: int) -> None:
    ciphertexts = (CIPHERTEXTS * 22)[:count]
    shares = (SHARES * 22)[:count]
    verify_shares(KEY, PLACE, ciphertexts, shares, proof_for(shares, ciphertexts))


@pytest.mark.parametrize(
    "context",
    [
        replace(PLACE, coalition=Digest(bytes(32))),
        replace(PLACE, round=8),
        replace(PLACE, party=1),
        replace(PLACE, batch=0),
    ],
)
def test_a_proof_is_for_one_place_only(context: Context) -> None:
    with pytest.raises(ProofError, match="does not hold") as refused:
        verify_shares(KEY, context, CIPHERTEXTS, SHARES, PROOF)
    assert (refused.value.party, refused.value.batch, refused.value.index) == (context.party, context.batch, None)
    assert refused.value.code is Code.PROOF
    verify_shares(KEY, PLACE, CIPHERTEXTS, SHARES, PROOF)


def test_a_proof_is_for_one_key_only() -> None:
    for other in (dealing(4, 2).key, replace(KEY, threshold=4)):  # the second with the same verification keys
        with pytest.raises(ProofError, match="does not hold"):
            verify_shares(other, PLACE, CIPHERTEXTS, SHARES, PROOF)


@pytest.mark.parametrize("party", [0, 5])
def test_a_party_that_there_is_none_of(party: int) -> None:
    with pytest.raises(ProofError, match="is of no party"):
        verify_shares(KEY, replace(PLACE, party=party), CIPHERTEXTS, SHARES, PROOF)


def replaced(place: int, value: int) -> tuple[int, ...]:
    return (*SHARES[:place], GROUP.element(value), *SHARES[place + 1 :])


SECOND = decryption_shares(KEY, DEALING.shares[0], CIPHERTEXTS)
FALSE = {
    "shifted plaintext": replaced(2, SHARES[2] * GROUP.generator_power(1)),
    "shifted by a small multiple": replaced(5, SHARES[5] * GROUP.generator_power(MODULUS - 1)),
    "another ciphertext's": replaced(1, SHARES[0]),
    "swapped": (SHARES[1], SHARES[0], *SHARES[2:]),
    "another party's": replaced(3, SECOND[3]),
    "all another party's": SECOND,
    "squared": replaced(0, SHARES[0] ** 2),
    "the ciphertext": replaced(0, CIPHERTEXTS[0]),
    "one": replaced(4, 1),
    "two that cancel": (
        GROUP.multiply(SHARES[0], GROUP.generator_power(7)),
        GROUP.multiply(SHARES[1], GROUP.generator_power(-7)),
        *SHARES[2:],
    ),
}


@pytest.mark.parametrize("name", FALSE)
def test_false_shares_are_refused_whoever_proves_them(name: str) -> None:
    shares = FALSE[name]
    for proof in (PROOF, proof_for(shares)):  # the old proof, and one that the owner makes for them
        with pytest.raises(ProofError, match="does not hold") as refused:
            verify_shares(KEY, PLACE, CIPHERTEXTS, shares, proof)
        assert (refused.value.party, refused.value.batch) == (2, 1)


@pytest.mark.parametrize(
    "value",
    [
        0,
        MODULUS,
        SQUARE,
        -5,
        int(primes()[0]),
        SQUARE - 1,
        SQUARE - int(SHARES[3]),
        root_of_one(),
        int(GROUP.element(SHARES[3] * root_of_one())),
        int(SHARES[3]) + SQUARE,
    ],
    ids=lambda value: f"{value.bit_length()}-bits",
)
def test_what_can_be_no_share_is_named(value: int) -> None:
    shares = (*SHARES[:3], value, *SHARES[4:])
    with pytest.raises(ProofError, match="number 3, of party 2 in round 7 is no share") as refused:
        verify_shares(KEY, PLACE, CIPHERTEXTS, shares, PROOF)
    assert (refused.value.party, refused.value.batch, refused.value.index) == (2, 1, 3)


def test_other_numbers_of_shares() -> None:
    for shares in (SHARES[:-1], (*SHARES, SHARES[0]), ()):
        with pytest.raises(ProofError, match="shares"):
            verify_shares(KEY, PLACE, CIPHERTEXTS, shares, PROOF)
    with pytest.raises(MessageError, match="a batch of"):
        prove_shares(KEY, OWN, PLACE, CIPHERTEXTS, SHARES[:-1], secrets.token_bytes)
    with pytest.raises(MessageError, match="a batch of"):
        prove_shares(KEY, OWN, PLACE, CIPHERTEXTS * 22, SHARES * 22, secrets.token_bytes)


def test_who_asks_for_what_is_no_ciphertext_is_told_and_nobody_is_blamed() -> None:
    for value in (0, MODULUS, SQUARE - int(CIPHERTEXTS[0])):
        with pytest.raises(MessageError, match="no ciphertexts"):
            verify_shares(KEY, PLACE, (value, *CIPHERTEXTS[1:]), SHARES, PROOF)


@pytest.mark.parametrize(
    "change",
    [
        lambda proof: replace(proof, response=proof.response + 1),
        lambda proof: replace(proof, response=proof.response - 1),
        lambda proof: replace(proof, response=0),
        lambda proof: replace(proof, response=-1),
        lambda proof: replace(proof, response=1 << response_bits(KEY)),
        lambda proof: replace(proof, challenge=bytes(16)),
        lambda proof: replace(proof, challenge=b""),
        lambda proof: replace(proof, challenge=b"\x00" + proof.challenge),
        lambda proof: replace(proof, challenge=bytes([proof.challenge[0] ^ 1]) + proof.challenge[1:]),
        lambda proof: replace(proof, challenge=proof_for(SHARES[:5], CIPHERTEXTS[:5]).challenge),
        lambda proof: proof_for(SHARES[:5], CIPHERTEXTS[:5]),
    ],
)
def test_a_changed_proof_is_refused(change: Callable[[ShareProof], ShareProof]) -> None:
    with pytest.raises(ProofError) as refused:
        verify_shares(KEY, PLACE, CIPHERTEXTS, SHARES, change(PROOF))
    assert (refused.value.party, refused.value.batch) == (2, 1)


def test_shares_cannot_be_chosen_after_the_weights() -> None:
    """With the weights of the honest shares two lies would cancel; but the weights are the shares' own."""
    seed = proofs._seed(KEY, PLACE, CIPHERTEXTS, SHARES)
    first, second = from_bytes(hashlib.shake_256(seed).digest(32), 16)
    lie = GROUP.generator_power(1)
    shares = (
        GROUP.multiply(SHARES[0], GROUP.power(lie, second)),
        GROUP.multiply(SHARES[1], GROUP.power(lie, -first)),
        *SHARES[2:],
    )
    assert proofs._products(KEY, seed, CIPHERTEXTS, shares) == proofs._products(KEY, seed, CIPHERTEXTS, SHARES)
    for proof in (PROOF, proof_for(shares)):
        with pytest.raises(ProofError, match="does not hold"):
            verify_shares(KEY, PLACE, CIPHERTEXTS, shares, proof)


def test_a_response_has_one_form() -> None:
    """Who has the factors knows the group's order, and could add it."""
    order = MODULUS * (int(primes()[0]) >> 1) * (int(primes()[1]) >> 1)
    beyond = PROOF.response + order * (1 << 220)
    assert GROUP.power(CIPHERTEXTS[0], beyond) == GROUP.power(CIPHERTEXTS[0], PROOF.response)
    with pytest.raises(ProofError, match="a proof out of range"):
        verify_shares(KEY, PLACE, CIPHERTEXTS, SHARES, replace(PROOF, response=beyond))


def test_who_has_another_share_proves_nothing_with_it() -> None:
    impostor = SecretShare(PLACE.party, KEY.digest, DEALING.shares[0].value)
    proof = prove_shares(KEY, impostor, PLACE, CIPHERTEXTS, SECOND, secrets.token_bytes)
    with pytest.raises(ProofError, match="does not hold"):
        verify_shares(KEY, PLACE, CIPHERTEXTS, SECOND, proof)
    for share, context in ((OWN, replace(PLACE, party=1)), (dealing(seed=2).shares[1], PLACE)):
        with pytest.raises(MessageError, match="in a batch of party"):
            prove_shares(KEY, share, context, CIPHERTEXTS, SHARES, secrets.token_bytes)


def test_a_mask_that_would_show_something_is_drawn_again() -> None:
    given = [b"\x00", b"\xff"]
    proof = prove_shares(
        KEY, OWN, PLACE, CIPHERTEXTS, SHARES, lambda size: given.pop(0) * size if given else b"\x7f" * size
    )
    assert 1 << response_bits(KEY) - HIDING_BITS <= proof.response < 1 << response_bits(KEY)
    verify_shares(KEY, PLACE, CIPHERTEXTS, SHARES, proof)


def test_two_proofs_with_one_mask_show_the_share() -> None:
    """Special soundness; and why the entropy must be fresh."""
    contexts = (PLACE, replace(PLACE, round=9))
    one, two = (prove_shares(KEY, OWN, each, CIPHERTEXTS, SHARES, seeded("same")) for each in contexts)
    gap = int.from_bytes(one.challenge, "big") - int.from_bytes(two.challenge, "big")
    assert (one.response - two.response) // gap == KEY.delta * OWN.value
