"""Proof that a batch of ciphertexts is well made and in range: who made it knows plaintexts that cannot go round N.

Source: Cramer and Damgård, "On the Amortized Complexity of Zero-Knowledge Protocols", CRYPTO 2009, with binary
challenges: k ciphertexts c_j = f(x_j), x = (M, ρ), take k + 127 masks a_i = f(y_i). The 128 bits e of the challenge
make a matrix with E_ij = e_(i-j); the responses are z = y + E·x, and f(z_i) = a_i · Π c_j^E_ij is checked, all rows at
once with random weights.

What follows. Two challenges differ in a matrix that has k rows below one another in triangular form with 1 and -1 on
the diagonal, so that from two answers x follows by substitution in whole numbers: every c_j is (1 + N)^M · h_N^ρ up to
its sign, with |M| below 2^(k - 1) times the range of a response. For a ``Layout`` this is

    |M| < 2^(plaintext_bits + 7 + 80 + 127),

214 bits more than an honest M has; and weights times this, summed, stay below N / 2, with 3 bits to spare: that is what
``RESERVED_BITS`` are for. **Not** proved is that each slot is in its range. A liar's plaintext is, modulo two to the
slots' bits, some values of ``slot_bits`` instead of ``value_bits``: with 24 and 16 bits up to 256 times too much.

Nothing is shown of the plaintexts: see ``masks``. The challenge is a hash over all of the statement and the masks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from tclearn.encoding import Digest, digest
from tclearn.errors import Code, MessageError
from tclearn.limits import PAILLIER_BATCH_MAX
from tclearn.paillier.arithmetic import Entropy, Run, from_bytes, one_by_one, random_bits, to_bytes
from tclearn.paillier.encryption import Encryptor, Opening, is_ciphertext
from tclearn.paillier.keys import PublicKey
from tclearn.paillier.masks import CHALLENGE_BITS, CHALLENGE_BYTES, MASK_ROOM_BITS, hides
from tclearn.paillier.packing import Layout
from tclearn.paillier.statements import Context, ProofError


@dataclass(frozen=True, slots=True)
class EncryptionProof:
    """The proof of a batch of k ciphertexts.

    Attributes:
        masks: k + 127 elements.
        plaintexts: the responses' first halves, one for each mask.
        exponents: their second halves.
    """

    masks: tuple[int, ...] = field(repr=False)
    plaintexts: tuple[int, ...] = field(repr=False)
    exponents: tuple[int, ...] = field(repr=False)


def rows(ciphertexts: int) -> int:
    """Masks in the proof of so many ciphertexts."""
    return ciphertexts + CHALLENGE_BITS - 1


def response_bits(key: PublicKey, layout: Layout) -> tuple[int, int]:
    """The responses' plaintexts and exponents are below two to these."""
    return layout.plaintext_bits + MASK_ROOM_BITS, key.exponent_bits + MASK_ROOM_BITS


def prove_encryption(
    encryptor: Encryptor,
    layout: Layout,
    context: Context,
    ciphertexts: Sequence[int],
    openings: Sequence[Opening],
    entropy: Entropy,
    *,
    run: Run = one_by_one,
) -> EncryptionProof:
    """Prove a batch.

    Args:
        encryptor: which has the key.
        layout: the coalition's.
        context: whose batch it is.
        ciphertexts: 1 to ``PAILLIER_BATCH_MAX``.
        openings: of each.
        entropy: of the masks; the operating system's. The same for two proofs would show the plaintexts.
        run: cores.

    Raises:
        MessageError: too many or none, or a plaintext that is out of the layout's range.
    """
    key = encryptor.key
    _check_form(key, layout, len(ciphertexts))
    if len(openings) != len(ciphertexts):
        raise MessageError(Code.PROOF, f"{len(openings)} openings", expected=f"one for {len(ciphertexts)} ciphertexts")
    for each in openings:
        if each.plaintext >> layout.plaintext_bits or each.exponent >> key.exponent_bits:
            raise MessageError(Code.HEAD_ROOM, "a plaintext out of range", expected="what the layout packs")
    bits = response_bits(key, layout)
    count = rows(len(ciphertexts))
    while True:
        hidden = [tuple(random_bits(entropy, each) for each in bits) for _ in range(count)]
        powers = run(encryptor.power, [exponent for _, exponent in hidden])
        masks = tuple(encryptor.commit(plaintext, power) for (plaintext, _), power in zip(hidden, powers, strict=True))
        challenge = _challenge(key, layout, context, ciphertexts, masks)
        known = ([each.plaintext for each in openings], [each.exponent for each in openings])
        plaintexts, exponents = (
            _responses([mask[half] for mask in hidden], secret, _bits(challenge)) for half, secret in enumerate(known)
        )
        if all(hides(each, bits[0]) for each in plaintexts) and all(hides(each, bits[1]) for each in exponents):
            return EncryptionProof(masks, tuple(plaintexts), tuple(exponents))


def verify_encryption(
    key: PublicKey, layout: Layout, context: Context, ciphertexts: Sequence[int], proof: EncryptionProof
) -> None:
    """Verify a batch.

    Raises:
        ProofError: it does not hold; party and batch are named, and the ciphertext where it is one that can be none.
        MessageError: the layout is for another size of keys.
    """
    context.check(key)
    if not 1 <= len(ciphertexts) <= PAILLIER_BATCH_MAX:
        raise ProofError(context, f"has {len(ciphertexts)} ciphertexts", expected=f"1 to {PAILLIER_BATCH_MAX}")
    _check_form(key, layout, len(ciphertexts))
    for index, value in enumerate(ciphertexts):
        if not is_ciphertext(key, value):
            raise ProofError(context, "is no ciphertext", index=index, expected="a signed residue that hides something")
    count, bits = rows(len(ciphertexts)), response_bits(key, layout)
    if not len(proof.masks) == len(proof.plaintexts) == len(proof.exponents) == count:
        raise ProofError(context, f"has a proof of {len(proof.masks)} rows", expected=f"{count}")
    if not all(map(key.group.holds, proof.masks)):
        raise ProofError(context, "has a proof with a mask that is no element")
    for values, most in zip((proof.plaintexts, proof.exponents), bits, strict=True):
        if not all(0 <= each < 1 << most for each in values):
            raise ProofError(context, "has a proof with a response out of range", expected=f"below 2^{most}")
    challenge = _challenge(key, layout, context, ciphertexts, proof.masks)
    weights = _weights(key, layout, challenge, proof)
    ones = _bits(challenge)
    exponents = [
        sum(weight for weight, one in zip(weights[place : place + CHALLENGE_BITS], ones, strict=True) if one)
        for place in range(len(ciphertexts))
    ]
    group = key.group
    plaintext = sum(weight * each for weight, each in zip(weights, proof.plaintexts, strict=True))
    exponent = sum(weight * each for weight, each in zip(weights, proof.exponents, strict=True))
    shown = group.multiply(group.generator_power(plaintext), group.power(key.mask_base, exponent))
    if shown != group.product([*proof.masks, *ciphertexts], [*weights, *exponents]):
        raise ProofError(
            context, "has a proof that does not hold", expected="plaintexts in range that the sender knows"
        )


def _responses(masks: Sequence[int], secrets: Sequence[int], ones: Sequence[int]) -> list[int]:
    # z_i = y_i + Σ_j e_(i-j) x_j
    result = [*masks]
    for place, secret in enumerate(secrets):
        for at, one in enumerate(ones, place):
            if one:
                result[at] += secret
    return result


def _check_form(key: PublicKey, layout: Layout, count: int) -> None:
    if not 1 <= count <= PAILLIER_BATCH_MAX:
        raise MessageError(Code.PROOF, f"a batch of {count} ciphertexts", expected=f"1 to {PAILLIER_BATCH_MAX}")
    if layout.modulus_bits != key.bits or len(layout.weights) != key.parties:
        raise MessageError(Code.HEAD_ROOM, "a layout that is not for this key", expected="its size and its parties")


def _challenge(
    key: PublicKey, layout: Layout, context: Context, ciphertexts: Sequence[int], masks: Sequence[int]
) -> Digest:
    size = key.group.element_bytes
    return digest(
        "tclearn/paillier/encryption/1",
        key.digest,
        layout.to_value(),
        context.to_value(),
        to_bytes(ciphertexts, size),
        to_bytes(masks, size),
    )


def _bits(challenge: Digest) -> list[int]:
    # e_0 is the highest bit of the first byte.
    number = int.from_bytes(challenge[:CHALLENGE_BYTES], "big")
    return [number >> CHALLENGE_BITS - 1 - place & 1 for place in range(CHALLENGE_BITS)]


def _weights(key: PublicKey, layout: Layout, challenge: Digest, proof: EncryptionProof) -> list[int]:
    # Of the whole proof: whoever has made it could not know them before.
    sizes = [each + 7 >> 3 for each in response_bits(key, layout)]
    seed = digest(
        "tclearn/paillier/encryption/weights/1",
        challenge,
        to_bytes(proof.plaintexts, sizes[0]),
        to_bytes(proof.exponents, sizes[1]),
    )
    stream = hashlib.shake_256(seed).digest(CHALLENGE_BYTES * len(proof.masks))
    return list(from_bytes(stream, CHALLENGE_BYTES))
