"""Masks: how a proof shows a sum of secrets and nothing of them.

The sum is shown under a mask drawn from an interval 2^80 times as large as the sum can be, and only when the result
lies where it could have come from any sum: then it is uniform there, whatever was hidden. Otherwise masks are drawn
again, which for all sums of a proof together happens less than once in 2^71 times. Source: Lyubashevsky, "Fiat–Shamir
with Aborts", ASIACRYPT 2009.
"""

from __future__ import annotations

from typing import Final

HIDING_BITS: Final = 80
CHALLENGE_BITS: Final = 128
CHALLENGE_BYTES: Final = CHALLENGE_BITS // 8
SUM_BITS: Final = 7
"""A sum has at most 128 terms."""
MASK_ROOM_BITS: Final = SUM_BITS + HIDING_BITS
"""So many bits more than its terms has the mask of a sum."""


def hides(result: int, mask_bits: int) -> bool:
    """Whether a masked sum, of a mask below 2^mask_bits, could be one of any sum."""
    return 1 << mask_bits - HIDING_BITS <= result < 1 << mask_bits
