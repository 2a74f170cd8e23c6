"""Batches of ciphertexts under the toy key, with their proofs, the same every time."""

from __future__ import annotations

from collections.abc import Sequence

from tests.paillier.material import PLACE, dealing, encryptor, layout, seeded

from tclearn.paillier.encryption import Encrypted
from tclearn.paillier.proof_encryption import EncryptionProof, prove_encryption, response_bits
from tclearn.paillier.statements import Context

KEY = dealing().key
LAYOUT = layout()
MODULUS, SQUARE = int(KEY.modulus), int(KEY.group.square)
BITS = response_bits(KEY, LAYOUT)


def made(plaintexts: Sequence[int], seed: object = 0) -> Encrypted:
    return encryptor().encrypt(plaintexts, seeded(("encrypt", seed)))


def proof_of(batch: Encrypted, context: Context = PLACE, seed: object = 0) -> EncryptionProof:
    return prove_encryption(encryptor(), LAYOUT, context, batch.ciphertexts, batch.openings, seeded(("prove", seed)))


GOOD = made(LAYOUT.pack(list(range(-18, 18))))
PROOF = proof_of(GOOD)
OTHER = made(LAYOUT.pack(list(range(36))), "other")


def with_one(values: tuple[int, ...], place: int, value: int) -> tuple[int, ...]:
    """The values with another one at a place."""
    return (*values[:place], value, *values[place + 1 :])
