"""Decryption by several parties: each raises a ciphertext to its share, and enough of the results open it.

Source: Fouque, Poupard and Stern 2000; Damgård and Jurik 2001. A share is c^(2Δs_i); with Lagrange's
coefficients λ_i, multiplied by Δ to be whole, Π c_i^(2λ_i) = c^(4Δ²d) = (1 + N)^(4Δ²M).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from tclearn.errors import Code, MessageError
from tclearn.paillier.arithmetic import Run, big, inverse, one_by_one
from tclearn.paillier.keys import PublicKey, SecretShare, SharedKey

_CHUNK = 16


def decryption_shares(
    key: SharedKey, share: SecretShare, ciphertexts: Sequence[int], *, run: Run = one_by_one
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
    scale = inverse(4 * key.delta**2, key.modulus)
    opened = []
    for number, value in enumerate(joined(key, shares, run=run)):
        plaintext = logarithm(key, value)
        if plaintext is None:
            raise MessageError(
                Code.PROOF, f"shares that do not open ciphertext {number}", expected="shares whose proofs hold"
            )
        opened.append(centred(key, plaintext * scale))
    return opened


def logarithm(key: PublicKey, value: int) -> int | None:
    """M of ±(1 + N)^M modulo N², from 0 to below N; ``None``: it is no such power."""
    if value % key.modulus != 1:
        value = -value % key.group.square  # elements have no sign
    quotient, rest = divmod(value - 1, key.modulus)
    return None if rest else quotient


def centred(key: PublicKey, plaintext: int) -> int:
    """A plaintext modulo N, from -N/2 to N/2."""
    plaintext = int(plaintext % key.modulus)
    return plaintext if plaintext <= key.modulus >> 1 else plaintext - int(key.modulus)


def joined(key: SharedKey, shares: Mapping[int, Sequence[int]], *, run: Run = one_by_one) -> Iterator[int]:
    """Π share_i^(2λ_i) for each ciphertext; 0 where a share is not even a unit.

    Args:
        key: what the shares were made under.
        shares: as for ``combine``.
        run: cores.

    Raises:
        MessageError: too few parties, one that there is none of, or not as many shares of each.
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
    rows = list(zip(*(shares[party] for party in parties), strict=True))
    return (_quotient(key, above, below) for above, below in run(lambda row: _sides(key, row, exponents), rows))


def lagrange(key: SharedKey, parties: Sequence[int], party: int) -> int:
    """Δ times the coefficient with which a party's share counts among these parties'."""
    others = [each for each in parties if each != party]
    return key.delta * math.prod(-each for each in others) // math.prod(party - each for each in others)


def _quotient(key: SharedKey, above: int, below: int) -> int:
    try:
        return above * inverse(below, key.group.ring) % key.group.ring
    except ZeroDivisionError:
        return 0


def _sides(key: SharedKey, row: Sequence[int], exponents: Sequence[int]) -> tuple[int, int]:
    # Factors with negative exponents are gathered, so that one inversion does.
    sides = [big(1), big(1)]
    for share, exponent in zip(row, exponents, strict=True):
        side = exponent < 0
        sides[side] = sides[side] * key.group.power(share, abs(exponent)) % key.group.ring
    return sides[0], sides[1]
