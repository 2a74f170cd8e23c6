"""Decryption by several parties: each raises a ciphertext to its share, and enough of the results open it.

Source: Fouque, Poupard and Stern 2000; Damgård and Jurik 2001. A share is c^(2Δs_i); with Lagrange's
coefficients λ_i, multiplied by Δ to be whole, Π c_i^(2λ_i) = c^(4Δ²d) = (1 + N)^(4Δ²M).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tclearn.errors import Code, MessageError
from tclearn.paillier.arithmetic import Run, big, inverse, one_by_one
from tclearn.paillier.keys import PublicKey, SecretShare

_CHUNK = 16


def decryption_shares(
    key: PublicKey, share: SecretShare, ciphertexts: Sequence[int], *, run: Run = one_by_one
) -> tuple[int, ...]:
    """One party's part in opening ciphertexts. Give it out for sums that all have agreed to open, and for nothing else.

    Args:
        key: the public key.
        share: the party's own.
        ciphertexts: as ``weighted_sum`` gave them.
        run: cores.

    Raises:
        MessageError: the share is another key's.
    """
    if share.key != key.digest:
        raise MessageError(Code.PAILLIER_KEY, f"{share} for the key {key.digest.hex()[:16]}…", expected="its own key")
    exponent = 2 * key.delta * share.value
    chunks = [ciphertexts[at : at + _CHUNK] for at in range(0, len(ciphertexts), _CHUNK)]
    return tuple(each for chunk in run(lambda chunk: key.group.powers(chunk, exponent), chunks) for each in chunk)


def combine(key: PublicKey, shares: Mapping[int, Sequence[int]], *, run: Run = one_by_one) -> list[int]:
    """Open ciphertexts. The shares must have been verified: a false one may give a false plaintext.

    Args:
        key: the public key.
        shares: of each party 1, 2, …, one for each ciphertext. When there are more parties than needed, those with the
            lowest numbers count.
        run: cores.

    Returns:
        The plaintexts, from -N/2 to N/2; negative ones only where somebody has encrypted what is out of range.

    Raises:
        MessageError: too few parties, one that there is none of, not as many shares of each, or shares that do not fit.
    """
    parties = sorted(shares)[: key.threshold]
    if len(parties) < key.threshold or not 1 <= parties[0] <= parties[-1] <= key.parties:
        raise MessageError(
            Code.PROOF,
            f"shares of {len(shares)} parties",
            expected=f"{key.threshold} different ones of {key.parties}",
            remedy="wait for another party's shares",
        )
    if len({len(shares[party]) for party in parties}) != 1:
        raise MessageError(Code.PROOF, "shares that are not as many of each party", expected="one for each ciphertext")
    exponents = [2 * lagrange(key, parties, party) for party in parties]
    scale = inverse(4 * key.delta**2, key.modulus)
    rows = list(zip(*(shares[party] for party in parties), strict=True))
    opened = []
    for number, (above, below) in enumerate(run(lambda row: _sides(key, row, exponents), rows)):
        try:
            value = above * inverse(below, key.group.square) % key.group.square
        except ZeroDivisionError:
            value = 0
        if value % key.modulus != 1:
            value = -value % key.group.square  # elements have no sign
        quotient, rest = divmod(value - 1, key.modulus)
        if rest:
            raise MessageError(
                Code.PROOF, f"shares that do not open ciphertext {number}", expected="shares whose proofs hold"
            )
        plaintext = int(quotient * scale % key.modulus)
        opened.append(plaintext if plaintext <= key.modulus >> 1 else plaintext - int(key.modulus))
    return opened


def lagrange(key: PublicKey, parties: Sequence[int], party: int) -> int:
    """Δ times the coefficient with which a party's share counts among these parties'."""
    others = [each for each in parties if each != party]
    return key.delta * math.prod(-each for each in others) // math.prod(party - each for each in others)


def _sides(key: PublicKey, row: Sequence[int], exponents: Sequence[int]) -> tuple[int, int]:
    # Factors with negative exponents are gathered, so that one inversion does.
    sides = [big(1), big(1)]
    for share, exponent in zip(row, exponents, strict=True):
        side = exponent < 0
        sides[side] = sides[side] * key.group.power(share, abs(exponent)) % key.group.square
    return sides[0], sides[1]
