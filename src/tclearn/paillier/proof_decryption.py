"""Proof that a batch of decryption shares is right: one exponent made them all, that of the party's verification key.

With x = Δs_i: log_v(v_i) = x, and d_j = (c_j^2)^x for every ciphertext c_j of the batch; the second for all at once, as
D = C^x for products C = Π c_j^(2w_j) and D = Π d_j^(w_j) with hashed weights of 128 bits. Source: the equality of
logarithms of Chaum and Pedersen, CRYPTO 1992, in a group of unknown order as Shoup 2000 and Fouque, Poupard and Stern
2000 have it; Bellare, Garay and Rabin, "Fast Batch Verification for Modular Exponentiation", EUROCRYPT 1998, for which
the group must have no small subgroups. It has none when N is a product of safe primes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from tclearn.encoding import Digest, digest
from tclearn.errors import Code, MessageError
from tclearn.limits import PAILLIER_BATCH_MAX
from tclearn.paillier.arithmetic import Entropy, from_bytes, random_bits, to_bytes
from tclearn.paillier.keys import SecretShare, SharedKey
from tclearn.paillier.masks import CHALLENGE_BITS, CHALLENGE_BYTES, HIDING_BITS, hides
from tclearn.paillier.statements import Context, ProofError


@dataclass(frozen=True, slots=True)
class ShareProof:
    """The proof of a batch of shares.

    Attributes:
        challenge: 16 bytes.
        response: a natural number below two to ``response_bits``.
    """

    challenge: bytes
    response: int = field(repr=False)


def response_bits(key: SharedKey) -> int:
    """A response is below two to this."""
    return key.share_bits + CHALLENGE_BITS + HIDING_BITS


def prove_shares(
    key: SharedKey,
    share: SecretShare,
    context: Context,
    ciphertexts: Sequence[int],
    shares: Sequence[int],
    entropy: Entropy,
) -> ShareProof:
    """Prove a batch.

    Args:
        key: the public key.
        share: the party's own.
        context: whose batch it is.
        ciphertexts: 1 to ``PAILLIER_BATCH_MAX`` that were opened.
        shares: what ``decryption_shares`` gave.
        entropy: of the mask; the operating system's. The same for two proofs would show the share.

    Raises:
        MessageError: too many or none, not as many shares, or the context is another party's.
    """
    if not 1 <= len(ciphertexts) == len(shares) <= PAILLIER_BATCH_MAX:
        raise MessageError(Code.PROOF, f"a batch of {len(shares)} shares", expected=f"1 to {PAILLIER_BATCH_MAX}")
    if share.party != context.party or share.key != key.digest:
        raise MessageError(Code.PAILLIER_KEY, f"{share} in a batch of party {context.party}", expected="its own share")
    group, secret = key.group, key.delta * share.value
    seed = _seed(key, context, ciphertexts, shares)
    bases = _products(key, seed, ciphertexts, shares)
    while True:
        mask = random_bits(entropy, response_bits(key))
        shown = [group.power(base, mask) for base in (bases[0], key.verification_base)]
        challenge = _challenge(key, seed, bases, shown)
        response = mask + int.from_bytes(challenge, "big") * secret
        if hides(response, response_bits(key)):
            return ShareProof(challenge, response)


def verify_shares(
    key: SharedKey, context: Context, ciphertexts: Sequence[int], shares: Sequence[int], proof: ShareProof
) -> None:
    """Verify a batch.

    Raises:
        ProofError: it does not hold; party and batch are named, and the share where it is one that can be none.
        MessageError: the ciphertexts, which are not the party's, are none.
    """
    context.check(key)
    if not 1 <= len(ciphertexts) <= PAILLIER_BATCH_MAX or not all(map(key.group.holds, ciphertexts)):
        raise MessageError(Code.PROOF, "shares of what are no ciphertexts", expected="sums of verified ones")
    if len(shares) != len(ciphertexts):
        raise ProofError(context, f"has {len(shares)} shares", expected=f"{len(ciphertexts)}")
    for index, value in enumerate(shares):
        if not key.group.holds(value):
            raise ProofError(context, "is no share", index=index, expected="a signed residue")
    if len(proof.challenge) != CHALLENGE_BYTES or not 0 <= proof.response < 1 << response_bits(key):
        raise ProofError(context, "has a proof out of range", expected=f"a response below 2^{response_bits(key)}")
    group = key.group
    seed = _seed(key, context, ciphertexts, shares)
    bases = _products(key, seed, ciphertexts, shares)
    challenge = int.from_bytes(proof.challenge, "big")
    pairs = ((bases[0], bases[1]), (key.verification_base, key.verification[context.party - 1]))
    shown = [group.multiply(group.power(base, proof.response), group.power(of, -challenge)) for base, of in pairs]
    if _challenge(key, seed, bases, shown) != proof.challenge:
        raise ProofError(context, "has a proof that does not hold", expected="shares by the key's dealt exponent")


def _products(key: SharedKey, seed: Digest, ciphertexts: Sequence[int], shares: Sequence[int]) -> tuple[int, int]:
    stream = hashlib.shake_256(seed).digest(CHALLENGE_BYTES * len(shares))
    weights = list(from_bytes(stream, CHALLENGE_BYTES))
    return key.group.power(key.group.product(ciphertexts, weights), 2), key.group.product(shares, weights)


def _seed(key: SharedKey, context: Context, ciphertexts: Sequence[int], shares: Sequence[int]) -> Digest:
    size = key.group.element_bytes
    return digest(
        "tclearn/paillier/shares/1",
        key.digest,
        context.to_value(),
        to_bytes(ciphertexts, size),
        to_bytes(shares, size),
    )


def _challenge(key: SharedKey, seed: Digest, bases: Sequence[int], shown: Sequence[int]) -> bytes:
    size = key.group.element_bytes
    return digest("tclearn/paillier/shares/challenge/1", seed, to_bytes([*bases, *shown], size))[:CHALLENGE_BYTES]
