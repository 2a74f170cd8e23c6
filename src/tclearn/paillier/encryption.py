"""Encryption with short exponents, and sums of what is encrypted.

c = (1 + N)^M · h_N^ρ modulo N². Source: Damgård, Jurik and Nielsen, "A generalization of Paillier's public-key system
with applications to electronic voting", Int. J. Inf. Secur. 9 (2010): h is a fixed square, and ρ has half as many
bits as N.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, NoReturn

from tclearn.errors import Code, MessageError
from tclearn.paillier.arithmetic import Entropy, FixedBase, Group, Run, one_by_one, random_bits
from tclearn.paillier.keys import PublicKey
from tclearn.paillier.masks import MASK_ROOM_BITS
from tclearn.paillier.packing import Layout

WINDOW_BITS: Final = 8
"""Bits of a digit of the table: 8 make 20 MB of table at 2048 bits and 43 MB at 3072."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What opens one ciphertext, and what its proof is made of: secret.

    Attributes:
        plaintext: M.
        exponent: ρ.
    """

    plaintext: int = field(repr=False)
    exponent: int = field(repr=False)

    def __reduce__(self) -> NoReturn:
        raise TypeError("an Opening is not copied or pickled")


@dataclass(frozen=True, slots=True)
class Encrypted:
    """Ciphertexts, to be sent, and their openings, to be kept until proved and then forgotten."""

    ciphertexts: tuple[int, ...]
    openings: tuple[Opening, ...] = field(repr=False)


class Encryptor:
    """Encrypts under one key, with a table of the powers of h_N and, when there was time, with randomness in stock.

    Args:
        key: the public key.
        window: bits of a digit of the table.
    """

    def __init__(self, key: PublicKey, *, window: int = WINDOW_BITS) -> None:
        self.key = key
        self._table = FixedBase(key.group, key.mask_base, key.exponent_bits + MASK_ROOM_BITS, window)
        self._stock: list[tuple[int, int]] = []

    @property
    def in_stock(self) -> int:
        """How many ciphertexts can be made at once from what ``prepare`` has computed."""
        return len(self._stock)

    def prepare(self, count: int, entropy: Entropy, *, run: Run = one_by_one) -> None:
        """Compute the randomness of so many ciphertexts ahead: 99 % of the work. Each is used once."""
        self._stock.extend(self._drawn(count, entropy, run))

    def encrypt(self, plaintexts: Sequence[int], entropy: Entropy, *, run: Run = one_by_one) -> Encrypted:
        """Encrypt plaintexts.

        Args:
            plaintexts: natural numbers below N; for a proof, as a ``Layout`` packs them.
            entropy: the operating system's; two ciphertexts with the same randomness show the difference between them.
            run: cores for what is not in stock.

        Raises:
            MessageError: a plaintext is out of range.
        """
        modulus = self.key.modulus
        if not all(0 <= plaintext < modulus for plaintext in plaintexts):
            raise MessageError(Code.HEAD_ROOM, "a plaintext out of range", expected="0 to below the key's modulus")
        randomness = self._taken(len(plaintexts))
        randomness += self._drawn(len(plaintexts) - len(randomness), entropy, run)
        ciphertexts, openings = [], []
        for plaintext, (exponent, power) in zip(plaintexts, randomness, strict=True):
            ciphertexts.append(self.commit(plaintext, power))
            openings.append(Opening(plaintext, exponent))
        return Encrypted(tuple(ciphertexts), tuple(openings))

    def commit(self, plaintext: int, power: int) -> int:
        """(1 + N)^plaintext times a power of h_N."""
        group = self.key.group
        return group.multiply(group.generator_power(plaintext), power)

    def power(self, exponent: int) -> int:
        """A power of h_N, from the table."""
        return self._table.power(exponent)

    def _taken(self, most: int) -> list[tuple[int, int]]:
        taken: list[tuple[int, int]] = []
        with suppress(IndexError):  # one at a time: whatever other threads do, nothing is used twice
            while len(taken) < most:
                taken.append(self._stock.pop())
        return taken

    def _drawn(self, count: int, entropy: Entropy, run: Run) -> list[tuple[int, int]]:
        exponents = [random_bits(entropy, self.key.exponent_bits) for _ in range(count)]
        return list(zip(exponents, run(self.power, exponents), strict=True))

    def __reduce__(self) -> NoReturn:
        raise TypeError("an Encryptor is not copied or pickled")

    def __repr__(self) -> str:
        return f"Encryptor({self.key.digest.hex()[:16]}…, in_stock={self.in_stock})"


def is_ciphertext(key: PublicKey, value: int) -> bool:
    """Whether an integer can be an honest party's ciphertext.

    It must be an element of the group, and hide something: what is 1 or -1 modulo N shows its plaintext.
    """
    return key.group.holds(value) and value % key.modulus not in (1, key.modulus - 1)


def weighted_sum(key: PublicKey, layout: Layout, ciphertexts: Mapping[int, Sequence[int]]) -> list[int]:
    """Ciphertexts of the weighted sums of what parties have encrypted.

    Args:
        key: the public key.
        layout: has each party's weight.
        ciphertexts: of each party 1, 2, … that is present, as many of each.

    Raises:
        MessageError: no parties, one that has no weight, or not as many ciphertexts of each.
    """
    counts = {len(each) for each in ciphertexts.values()}
    if len(counts) != 1 or not 1 <= min(ciphertexts) <= max(ciphertexts) <= len(layout.weights):
        raise MessageError(Code.HEAD_ROOM, "ciphertexts that cannot be added", expected="as many of each party")
    parties = sorted(ciphertexts)
    weights = [layout.weights[party - 1] for party in parties]
    rows = zip(*(ciphertexts[party] for party in parties), strict=True)
    group = key.group
    if max(weights) == 1:
        return [_product(group, row) for row in rows]
    return [group.product(row, weights) for row in rows]


def _product(group: Group, row: Sequence[int]) -> int:
    total = row[0]
    for each in row[1:]:
        total = total * each % group.square
    return group.element(total)
