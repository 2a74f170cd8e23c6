"""Provers without scruples: the bounds that are claimed hold, and what is shown is nothing."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import pytest
from tests.paillier.batches import BITS, GOOD, KEY, LAYOUT, MODULUS, PROOF, SQUARE, made, proof_of, with_one
from tests.paillier.material import COALITION, PLACE, dealing, encryptor, layout, plain, root_of_one

from tclearn.encoding import Digest
from tclearn.errors import Code, MessageError
from tclearn.paillier import proof_encryption as proofs
from tclearn.paillier.arithmetic import random_bits
from tclearn.paillier.decryption import combine, decryption_shares
from tclearn.paillier.encryption import Encrypted, Encryptor, Opening, weighted_sum
from tclearn.paillier.keys import PublicKey
from tclearn.paillier.masks import HIDING_BITS
from tclearn.paillier.packing import Layout
from tclearn.paillier.proof_encryption import EncryptionProof, prove_encryption, rows, verify_encryption
from tclearn.paillier.statements import Context, ProofError


def forged(
    key: PublicKey, own: Encryptor, plan: Layout, batch: Encrypted, mask_bits: tuple[int, int], context: Context = PLACE
) -> EncryptionProof:
    """A prover without scruples: any plaintexts, any size of masks, no look at the result."""
    hidden = [
        tuple(random_bits(secrets.token_bytes, each) for each in mask_bits) for _ in range(rows(len(batch.ciphertexts)))
    ]
    masks = tuple(own.commit(plaintext, key.group.power(key.mask_base, exponent)) for plaintext, exponent in hidden)
    ones = proofs._bits(proofs._challenge(key, plan, context, batch.ciphertexts, masks))
    halves = [
        tuple(proofs._responses([each[half] for each in hidden], values, ones))
        for half, values in enumerate(
            ([each.plaintext for each in batch.openings], [each.exponent for each in batch.openings])
        )
    ]
    return EncryptionProof(masks, halves[0], halves[1])


def test_who_proves_honestly_cannot_begin_with_too_much() -> None:
    batch = made([1 << LAYOUT.plaintext_bits])
    with pytest.raises(MessageError, match="out of range") as refused:
        proof_of(batch)
    assert refused.value.code is Code.HEAD_ROOM
    with pytest.raises(MessageError, match="openings"):
        prove_encryption(encryptor(), LAYOUT, PLACE, GOOD.ciphertexts, GOOD.openings[:1], secrets.token_bytes)
    with pytest.raises(MessageError, match="a batch of 0"):
        prove_encryption(encryptor(), LAYOUT, PLACE, (), (), secrets.token_bytes)


@pytest.mark.parametrize(
    "beyond",
    [1 << BITS[0], (1 << BITS[0]) + 5, MODULUS // 2, MODULUS - 1, MODULUS - (1 << 300)],
    ids=["bound", "bound+5", "N/2", "N-1", "N-2^300"],
)
def test_a_plaintext_beyond_the_slack_cannot_be_proved(beyond: int) -> None:
    for others in ((), (5, 6, 7)):
        batch = made([*others, beyond])
        for mask_bits in (BITS, (1, 1), (BITS[0] - 1, BITS[1])):
            with pytest.raises(ProofError, match="a response out of range") as refused:
                verify_encryption(
                    KEY, LAYOUT, PLACE, batch.ciphertexts, forged(KEY, encryptor(), LAYOUT, batch, mask_bits)
                )
            assert (refused.value.party, refused.value.batch) == (2, 1)


def reduced(plaintext: int) -> tuple[Encrypted, EncryptionProof]:
    """A proof whose responses were reduced modulo N, which changes nothing of (1 + N)^z."""
    batch = made([plaintext])
    proof = forged(KEY, encryptor(), LAYOUT, batch, BITS)
    return batch, replace(proof, plaintexts=tuple(each % MODULUS for each in proof.plaintexts))


def test_reducing_responses_does_not_bring_them_into_range() -> None:
    batch, proof = reduced(MODULUS // 3)
    with pytest.raises(ProofError, match="out of range"):
        verify_encryption(KEY, LAYOUT, PLACE, batch.ciphertexts, proof)


def test_a_small_negative_plaintext_is_within_the_slack_and_seen_in_the_sum() -> None:
    batch, proof = reduced(MODULUS - 1)
    verify_encryption(KEY, LAYOUT, PLACE, batch.ciphertexts, proof)
    opened = combine(KEY, {each.party: decryption_shares(KEY, each, batch.ciphertexts) for each in dealing().shares})
    assert opened == [-1]
    with pytest.raises(MessageError, match="a party has encrypted a value out of range"):
        LAYOUT.unpack(opened, 1, (PLACE.party,))


def test_the_slack_is_what_is_said() -> None:
    """A liar proves full slots, and more: a sum with full weight does not go round N, and slots gain 256 times."""
    plan = layout(weights=(253, 1, 1, 1))
    own = encryptor()
    large = 1 << LAYOUT.plaintext_bits + HIDING_BITS  # as much as passes with masks that hide nothing
    full = (1 << 24 * plan.slots) - 1
    honest = made(plan.pack([0] * plan.slots), "honest")
    for lie in (full, large):
        batch = own.encrypt([lie], secrets.token_bytes)
        proof = forged(KEY, own, plan, batch, (BITS[0] - 2, BITS[1] - 1), replace(PLACE, party=1))
        verify_encryption(KEY, plan, replace(PLACE, party=1), batch.ciphertexts, proof)
        total = weighted_sum(KEY, plan, {1: batch.ciphertexts, **dict.fromkeys((2, 3, 4), honest.ciphertexts)})
        assert plain(total[0]) == 253 * lie + 3 * honest.openings[0].plaintext  # not modulo N
        shares = {each.party: decryption_shares(KEY, each, total) for each in dealing().shares[:3]}
        opened = combine(KEY, shares)
        with pytest.raises(MessageError, match="a party has encrypted a value out of range"):
            plan.unpack(opened, plan.slots, (1, 2, 3, 4))
        taken = plan.unpack(opened, plan.slots, (1, 2, 3, 4), strict=False)
        assert all(abs(each) <= 256 * 256 * plan.levels + 256 for each in taken)


def test_even_extracted_plaintexts_do_not_go_round() -> None:
    """The bound of the docstring, for every size and form of slots: what two answers give, times all weights."""
    for bits in (512, 2048, 3072):
        for slot_bits in (8, 16, 24, 32, 40, 48, 56, 64):
            for value_bits in range(2, min(slot_bits, 32) + 1):
                most = ((1 << slot_bits) - 1) // ((1 << value_bits) - 1)
                if most >= 2:
                    plan = Layout(bits, (1, most - 1), slot_bits, value_bits)
                    extracted = 1 << plan.plaintext_bits + 7 + 80 + 127
                    assert most * extracted << 3 <= 1 << bits - 2


def test_two_answers_show_the_plaintexts() -> None:
    """Special soundness: from two answers to the same masks everything follows, whatever the prover is. And: never
    draw masks from the same entropy twice."""
    batch = GOOD
    one, two = (proof_of(batch, context, "same") for context in (PLACE, replace(PLACE, round=8)))
    assert one.masks == two.masks
    e, f = (
        proofs._bits(proofs._challenge(KEY, LAYOUT, context, batch.ciphertexts, one.masks))
        for context in (PLACE, replace(PLACE, round=8))
    )
    delta = [a - b for a, b in zip(e, f, strict=True)]
    start = next(place for place, each in enumerate(delta) if each)
    for name, secret in (("plaintexts", "plaintext"), ("exponents", "exponent")):
        gaps = [a - b for a, b in zip(getattr(one, name), getattr(two, name), strict=True)]
        found: list[int] = []
        for place in range(len(batch.ciphertexts)):
            rest = gaps[start + place] - sum(delta[start + place - at] * value for at, value in enumerate(found))
            found.append(rest * delta[start])
        assert found == [getattr(each, secret) for each in batch.openings]


def test_a_simulator_needs_no_plaintexts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zero knowledge: who chooses the challenge first makes proofs from ciphertexts alone, distributed like real ones;
    with the hash it cannot be chosen first, and the same proof is refused."""
    chosen = Digest(secrets.token_bytes(32))
    ones = proofs._bits(chosen)
    masks, halves = [], []
    for row in range(rows(3)):
        z = [random_bits(secrets.token_bytes, bits) | 1 << bits - HIDING_BITS for bits in BITS]
        mask = KEY.group.multiply(KEY.group.generator_power(z[0]), KEY.group.power(KEY.mask_base, z[1]))
        for place, ciphertext in enumerate(GOOD.ciphertexts):
            if 0 <= row - place < 128 and ones[row - place]:
                mask = KEY.group.multiply(mask, KEY.group.power(ciphertext, -1))
        masks.append(mask)
        halves.append(z)
    proof = EncryptionProof(tuple(masks), tuple(z[0] for z in halves), tuple(z[1] for z in halves))
    with pytest.raises(ProofError, match="does not hold"):
        verify_encryption(KEY, LAYOUT, PLACE, GOOD.ciphertexts, proof)
    monkeypatch.setattr(proofs, "_challenge", lambda *_: chosen)
    verify_encryption(KEY, LAYOUT, PLACE, GOOD.ciphertexts, proof)


@pytest.mark.parametrize("half", [0, 1])
def test_masks_that_would_show_something_are_drawn_again(half: int) -> None:
    """Where a response would lie too low to be one of any secret, the prover begins anew."""
    middle = b"\x7f"
    row = [b"\x00", middle] if half == 0 else [middle, b"\x00"]
    given = row * rows(3) + [middle] * (2 * rows(3))
    proof = prove_encryption(
        encryptor(), LAYOUT, PLACE, GOOD.ciphertexts, GOOD.openings, lambda size: given.pop(0) * size
    )
    assert not given
    verify_encryption(KEY, LAYOUT, PLACE, GOOD.ciphertexts, proof)
    for values, bits in zip((proof.plaintexts, proof.exponents), BITS, strict=True):
        assert all(1 << bits - HIDING_BITS <= each < 1 << bits for each in values)


def test_who_has_the_factors_proves_nothing_with_roots_of_one() -> None:
    """Two masks times a root of 1 would pass every second time: random weights do not see elements of order 2."""
    root = root_of_one()
    for tampered in (0, SQUARE - int(PROOF.masks[5]), KEY.group.element(PROOF.masks[5] * root)):
        proof = replace(PROOF, masks=with_one(PROOF.masks, 5, tampered))
        with pytest.raises(ProofError, match="a mask that is no element"):
            verify_encryption(KEY, LAYOUT, PLACE, GOOD.ciphertexts, proof)


def test_every_part_of_a_statement_is_in_the_challenge() -> None:
    def challenge(**changes: Any) -> Digest:
        fields: dict[str, Any] = {
            "key": KEY,
            "layout": LAYOUT,
            "context": PLACE,
            "ciphertexts": GOOD.ciphertexts,
            "masks": PROOF.masks,
        }
        return proofs._challenge(**{**fields, **changes})

    seen = {
        challenge(),
        challenge(key=dealing(4, 2).key),
        challenge(key=dealing(seed=2).key),
        challenge(layout=layout(weights=(2, 1, 1, 1))),
        challenge(layout=Layout(512, (1,) * 4, 24, 15)),
        challenge(layout=Layout(512, (1,) * 4, 32, 16)),
        challenge(context=replace(PLACE, round=3)),
        challenge(context=replace(PLACE, party=3)),
        challenge(context=replace(PLACE, batch=3)),
        challenge(context=replace(PLACE, coalition=Digest(bytes(32)))),
        challenge(ciphertexts=GOOD.ciphertexts[::-1]),
        challenge(ciphertexts=(*GOOD.ciphertexts, PROOF.masks[0]), masks=PROOF.masks[1:]),
        challenge(masks=with_one(PROOF.masks, 129, PROOF.masks[0])),
    }
    assert len(seen) == 13
    assert replace(PLACE, coalition=COALITION) == PLACE


def test_openings_of_others_do_not_prove() -> None:
    wrong = [Opening(GOOD.openings[0].plaintext, GOOD.openings[1].exponent), *GOOD.openings[1:]]
    proof = prove_encryption(encryptor(), LAYOUT, PLACE, GOOD.ciphertexts, wrong, secrets.token_bytes)
    with pytest.raises(ProofError, match="does not hold"):
        verify_encryption(KEY, LAYOUT, PLACE, GOOD.ciphertexts, proof)
