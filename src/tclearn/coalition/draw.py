"""Drawing validators and generals: seeded, weighted, without replacement, recomputable from the ledger alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from tclearn.encoding import Digest, MemberId

_SMALL_COALITION: Final = 16
_RANGE: Final = 1 << 256


def permutation(seed: Digest, weights: Mapping[MemberId, int]) -> tuple[MemberId, ...]:
    """Draw all members one after the other, each time with chances proportional to the weights of those left.

    Args:
        seed: fixes the draw.
        weights: positive integers per member; the order of the mapping does not matter.
    """
    numbers = Numbers(seed)
    left = sorted(weights)
    drawn = []
    while left:
        point = numbers.below(sum(weights[member] for member in left))
        for member in left:
            point -= weights[member]
            if point < 0:
                break
        left.remove(member)
        drawn.append(member)
    return tuple(drawn)


def committee_size(members: int) -> int:
    """Validators per candidate: everybody but the proposer up to 16 members, then more than half.

    More than half makes it impossible for fewer than a third of the members to accept anything alone, however lucky
    their draw: the quorum of such a committee is larger than N/3.
    """
    return members - 1 if members <= _SMALL_COALITION else members // 2 + 1


def committee(order: Sequence[MemberId], proposer: MemberId) -> tuple[MemberId, ...]:
    """The first members of a permutation of all, the proposer skipped."""
    return tuple(member for member in order if member != proposer)[: committee_size(len(order))]


class Numbers:
    """Uniform integers from SHA-256(seed ‖ counter), by rejection, so that no remainder is favoured.

    Args:
        seed: fixes them all.
    """

    def __init__(self, seed: Digest) -> None:
        self._seed = seed
        self._counter = 0

    def below(self, bound: int) -> int:
        """The next one, from 0 to before ``bound``, which is positive."""
        limit = _RANGE - _RANGE % bound
        while True:
            block = hashlib.sha256(self._seed + self._counter.to_bytes(8, "big")).digest()
            self._counter += 1
            number = int.from_bytes(block, "big")
            if number < limit:
                return number % bound
