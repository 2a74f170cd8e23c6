"""Safe primes: p = 2p′ + 1 with p′ prime, found with a sieve that looks at both at once."""

from __future__ import annotations

from functools import cache
from typing import Final

from tclearn.paillier.arithmetic import Entropy, is_prime, passes_fermat, random_bits

_SIEVE_BITS_MIN: Final = 128
_SMALL_PRIMES_BELOW: Final = {False: 1 << 13, True: 1 << 19}


def safe_primes(bits: int, entropy: Entropy) -> tuple[int, int]:
    """Two safe primes whose product has exactly so many bits.

    Args:
        bits: of the product; even, at least 256.
        entropy: where the search begins; the operating system's.

    Raises:
        ValueError: another number of bits.
    """
    if bits % 2 or bits < 2 * _SIEVE_BITS_MIN:
        raise ValueError(f"a product of {bits} bits, not an even number from {2 * _SIEVE_BITS_MIN}")
    first = safe_prime(bits // 2, entropy)
    while (second := safe_prime(bits // 2, entropy)) == first:
        pass
    return first, second


def safe_prime(bits: int, entropy: Entropy) -> int:
    """A safe prime of so many bits, of which the two highest are 1.

    A window of numbers after a random one is sieved, and what is left is tested in order. The result is as uniform as
    gaps between safe primes are even. Source: Brandt and Damgård, "On Generation of Probable Primes by Incremental
    Search", CRYPTO 1992; Wiener, "Safe Prime Generation with a Combined Sieve", 2003.
    """
    count = bits * bits // 8
    while True:
        start = 3 << bits - 3 | random_bits(entropy, bits - 3)  # p′: so that p begins with two ones
        start += (5 - start) % 6
        if (start + 6 * count).bit_length() > bits - 1:
            continue
        for place in _sieved(start, count, bits > 512):
            half = start + 6 * place
            if passes_fermat(half) and passes_fermat(2 * half + 1) and is_prime(half):
                # 2^(p-1) = 1 modulo p, p′ > √p is prime and 3 = 2^2 - 1 does not divide p: p is prime (Pocklington).
                return 2 * half + 1


def is_safe_prime(value: int) -> bool:
    """Whether a number is a safe prime, with a chance of error below 2^-80."""
    return value % 12 == 11 and is_prime(value) and is_prime(value >> 1)


def _sieved(start: int, count: int, large: bool) -> list[int]:
    # Of p′ = start + 6k (5 modulo 6, as both p′ and 2p′ + 1 must be coprime to 6), the k for which neither p′ nor
    # 2p′ + 1 has a small factor.
    left = bytearray(b"\1") * count
    for prime in small_primes(_SMALL_PRIMES_BELOW[large])[2:]:
        rest = int(start % prime)
        sixth = pow(6, -1, prime)
        for zero in (0, prime >> 1):  # p′ = 0, and 2p′ + 1 = 0, modulo the small prime
            first = (zero - rest) * sixth % prime
            if first < count:
                left[first::prime] = bytes(len(range(first, count, prime)))
    return [place for place, kept in enumerate(left) if kept]


@cache
def small_primes(below: int) -> tuple[int, ...]:
    """The primes below a bound. Source: Eratosthenes."""
    left = bytearray(b"\1") * below
    left[:2] = b"\0\0"
    for each in range(2, int(below**0.5) + 1):
        if left[each]:
            left[each * each :: each] = bytes(len(range(each * each, below, each)))
    return tuple(place for place, kept in enumerate(left) if kept)
