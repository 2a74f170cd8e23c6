"""What the contract asks of the cryptography, and nothing else: is this batch, this share, this sum what it must be?

A judge answers from the bytes alone, the same on every computer and in every version: its answers are on the ledger.
It must not raise, whatever the bytes; what it cannot read is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tclearn.encoding import Digest


@dataclass(frozen=True, slots=True)
class Place:
    """What a proof is bound to, so that nobody can show another's, or an old one, as its own.

    Attributes:
        coalition: digest of the terms.
        iteration: its number.
        party: the number of the party's key share, from 1.
        batch: the batch's number, from 0.
    """

    coalition: Digest
    iteration: int
    party: int
    batch: int


class Judge(Protocol):
    """Decides what a proof shows, under one threshold key and one packing."""

    def encryption(self, place: Place, ciphertexts: Sequence[bytes], proof: bytes) -> bool:
        """Whether a batch is well encrypted, in range, by somebody who knows what is in it: ``fsver_1`` (alg. 3)."""

    def share(self, place: Place, ciphertexts: Sequence[bytes], shares: Sequence[bytes], proof: bytes) -> bool:
        """Whether these are a party's decryption shares of these ciphertexts: ``fsver_2`` (algorithm 4)."""

    def sum(self, addends: Mapping[int, bytes], total: bytes) -> bool:
        """Whether a ciphertext is, byte for byte, the weighted sum of those of parties, by their numbers from 1."""
