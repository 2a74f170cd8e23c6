"""From steps to encrypted batches with proofs, from batches to sums, shares, and opened sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from tclearn.limits import DEEPCHAIN_BATCH
from tclearn.paillier.arithmetic import Entropy, Run, from_bytes, to_bytes
from tclearn.paillier.decryption import combine, decryption_shares
from tclearn.paillier.encryption import Encryptor, weighted_sum
from tclearn.paillier.keys import PublicKey, SecretShare
from tclearn.paillier.messages import EncryptedBatch, ShareBatch
from tclearn.paillier.packing import Layout
from tclearn.paillier.proof_decryption import prove_shares
from tclearn.paillier.proof_encryption import prove_encryption
from tclearn.paillier.statements import Context
from tclearn.protocols.deepchain.agent.files import Batch
from tclearn.protocols.deepchain.batches import NO_PROOF

Places = Callable[[int], Context]
"""The place of a batch, by its number from 0."""


def encrypted(
    encryptor: Encryptor, layout: Layout, places: Places, steps: Sequence[int], entropy: Entropy, *, run: Run
) -> list[Batch]:
    """A gradient, packed, encrypted and proved (algorithm 1, line 1; algorithms 5 and 6).

    Args:
        encryptor: has the key.
        layout: the coalition's.
        places: of its batches.
        steps: what ``quantise`` gave.
        entropy: used for nothing else.
        run: cores.
    """
    key, plaintexts, batches = encryptor.key, layout.pack(steps), []
    for number, at in enumerate(range(0, len(plaintexts), DEEPCHAIN_BATCH)):
        made = encryptor.encrypt(plaintexts[at : at + DEEPCHAIN_BATCH], entropy, run=run)
        place = places(number)
        proof = prove_encryption(encryptor, layout, place, made.ciphertexts, made.openings, entropy, run=run)
        message = EncryptedBatch.of(key, layout, place, made.ciphertexts, proof)
        batches.append(Batch(_strings(key, made.ciphertexts), replace(message, ciphertexts=b"").encode()))
    return batches


def summed(key: PublicKey, layout: Layout, gradients: Mapping[int, Sequence[Batch]]) -> list[Batch]:
    """The weighted sums of gradients, ciphertext by ciphertext (algorithm 2, line 1): the same bytes at every member.

    Args:
        key: the public key.
        layout: has the weights.
        gradients: verified ones, by the party's number from 1.
    """
    parties = sorted(gradients)
    result = []
    for rows in zip(*(gradients[party] for party in parties), strict=True):
        added = {party: numbers(key, row.items) for party, row in zip(parties, rows, strict=True)}
        result.append(Batch(_strings(key, weighted_sum(key, layout, added)), NO_PROOF))
    return result


def shared(
    key: PublicKey, share: SecretShare, places: Places, sums: Sequence[Batch], entropy: Entropy, *, run: Run
) -> list[Batch]:
    """A party's decryption shares of a sum, with proofs (algorithm 1, line 13; algorithms 7 and 8).

    Args:
        key: the public key.
        share: the party's own.
        places: of its batches.
        sums: what is to be opened; the caller has made sure that it is what all have agreed to open.
        entropy: used for nothing else.
        run: cores.
    """
    batches = []
    for number, batch in enumerate(sums):
        ciphertexts = numbers(key, batch.items)
        shares = decryption_shares(key, share, ciphertexts, run=run)
        proof = prove_shares(key, share, places(number), ciphertexts, shares, entropy)
        message = replace(ShareBatch.of(key, places(number), shares, proof), shares=b"")
        batches.append(Batch(_strings(key, shares), message.encode()))
    return batches


def opened(
    key: PublicKey,
    layout: Layout,
    shares: Mapping[int, Sequence[Batch]],
    count: int,
    present: Sequence[int],
    *,
    run: Run,
) -> list[int]:
    """The weighted sums of steps that verified shares open.

    Args:
        key: the public key.
        layout: the coalition's.
        shares: by the party's number; of at least ``threshold`` parties.
        count: values of a gradient.
        present: the parties in the sum.
        run: cores.

    Raises:
        MessageError: too few shares, or a sum that shows that somebody has encrypted a value out of range.
    """
    parts = {
        party: [each for batch in batches for each in numbers(key, batch.items)] for party, batches in shares.items()
    }
    return layout.unpack(combine(key, parts, run=run), count, present)


def numbers(key: PublicKey, items: Sequence[bytes]) -> list[int]:
    """Ciphertexts or shares as numbers; all have the key's length."""
    return list(from_bytes(b"".join(items), key.group.element_bytes))


def _strings(key: PublicKey, elements: Sequence[int]) -> tuple[bytes, ...]:
    return tuple(to_bytes([each], key.group.element_bytes) for each in elements)
