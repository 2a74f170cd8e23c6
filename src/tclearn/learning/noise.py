"""Random numbers for privacy: a cipher's key stream, made into the distributions that the mechanisms need.

The key is 32 bytes, from the operating system or, in simulations only, from a seed. The stream is ChaCha20 (RFC 8439),
so that nobody who sees some of the noise can tell the rest; a Mersenne twister, or any generator seeded with 64 bits,
would not give that. Numbers are made in double precision. They are not a real number's: who sees the lowest bits of a
noisy value learns more than the mechanism allows (Mironov 2012, "On significance of the least significant bits for
differential privacy"). That is not prevented here.
"""

from __future__ import annotations

import itertools
import secrets
from typing import Final, Self

import numpy as np
from blake3 import blake3
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from numpy.typing import NDArray

_KEY_BYTES: Final = 32
_BITS: Final = 53
# A block's number has 32 bits and a block 64 bytes: after so many bytes a nonce is used up.
_NONCE_BYTES: Final = 64 << 32

Doubles = NDArray[np.float64]


class Noise:
    """A stream of random numbers.

    Args:
        key: 32 bytes, used for one stream only.
    """

    def __init__(self, key: bytes) -> None:
        # One key, one stream: the nonces may be 0, 1, 2 and so on.
        self._key = key
        self._nonces = itertools.count()
        self._left = 0

    @classmethod
    def of_system(cls) -> Self:
        """A stream that nobody can repeat."""
        return cls(secrets.token_bytes(_KEY_BYTES))

    @classmethod
    def seeded(cls, seed: int, purpose: str) -> Self:
        """A stream for simulations: whoever knows the seed can take the noise off."""
        return cls(blake3(f"tclearn/noise/1 {seed} {purpose}".encode()).digest(_KEY_BYTES))

    def integers(self, count: int) -> NDArray[np.uint64]:
        """Integers from 0 to 2⁶⁴ − 1, ``(count,) uint64``."""
        return np.frombuffer(self._bytes(8 * count), dtype="<u8").astype(np.uint64)

    def uniform(self, count: int) -> Doubles:
        """Numbers above 0 and at most 1, ``(count,) float64``, multiples of 2⁻⁵³."""
        return _unit(self.integers(count))

    def chosen(self, count: int, part: int, whole: int) -> NDArray[np.intp]:
        """Positions below ``count``, each taken by itself with probability ``part`` / ``whole`` (Poisson sampling)."""
        limit = (part << 64) // whole
        if limit >> 64:
            return np.arange(count)
        return np.flatnonzero(self.integers(count) < np.uint64(limit))

    def order(self, count: int) -> NDArray[np.intp]:
        """The positions below ``count`` in random order."""
        return np.argsort(self.integers(count), kind="stable")

    def normal(self, count: int) -> Doubles:
        """Standard normal numbers, ``(count,) float64``, by Box and Muller (1958); none is beyond 8.6."""
        pairs = (count + 1) // 2
        length = np.sqrt(-2 * np.log(self.uniform(pairs)))
        angle = 2 * np.pi * self.uniform(pairs)
        return np.concatenate([length * np.cos(angle), length * np.sin(angle)])[:count]

    def laplace(self, count: int) -> Doubles:
        """Laplace numbers of scale 1, ``(count,) float64``: exponential ones with a random sign."""
        drawn = self.integers(count)
        sign = np.where(drawn & np.uint64(1), 1.0, -1.0)
        # The sign takes the lowest bit, which the exponential's number leaves out.
        magnitude: Doubles = -np.log(_unit(drawn))
        return sign * magnitude

    def gumbel(self, count: int) -> Doubles:
        """Gumbel numbers of scale 1, ``(count,) float64``."""
        # The logarithm of 1 is 0, whose own is infinite.
        return -np.log(np.maximum(-np.log(self.uniform(count)), 2.0 ** -(_BITS + 1)))

    def _bytes(self, size: int) -> bytes:
        parts = []
        while size:
            if not self._left:
                # The first four bytes are the block's number, which starts at zero.
                nonce = bytes(4) + next(self._nonces).to_bytes(12, "little")
                self._stream = Cipher(algorithms.ChaCha20(self._key, nonce), mode=None).encryptor()
                self._left = _NONCE_BYTES
            taken = min(size, self._left)
            parts.append(self._stream.update(bytes(taken)))
            self._left -= taken
            size -= taken
        return b"".join(parts)


def _unit(drawn: NDArray[np.uint64]) -> Doubles:
    """Integers of 64 bits as numbers above 0 and at most 1; the lowest eleven bits have no part in it."""
    return ((drawn >> np.uint64(64 - _BITS)) + np.uint64(1)).astype(np.float64) * 2.0**-_BITS
