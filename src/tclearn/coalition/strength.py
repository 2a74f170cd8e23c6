"""How much a member weighs in the draw of validators (Lugan et al. 2019, §III.A, equation 2)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fractions import Fraction
from statistics import median_low

from tclearn.encoding import MemberId


def strengths(samples: Mapping[MemberId, int], members: Collection[str] | None = None) -> dict[MemberId, Fraction]:
    """S_i = 1/N + D_i/D, exactly.

    Args:
        samples: D_i, the samples that each of the N members has supplied to the present model; and those that former
            members have, which are part of D.
        members: who the N members are; ``None``: all of ``samples``.

    Returns:
        A strength per member; they sum to 2, to less where D has samples of former members, or to 1 while nobody has
        supplied any (every S_i is then 1/N).

    Source: Lugan et al. 2019, §III.A, equation 2.
    """
    counted = {member: own for member, own in samples.items() if members is None or member in members}
    share, total = Fraction(1, len(counted)), sum(samples.values())
    return {member: share + (Fraction(own, total) if total else 0) for member, own in counted.items()}


def draw_weights(samples: Mapping[MemberId, int]) -> dict[MemberId, int]:
    """Integer weights for the draw: N·D·S_i with D_i capped at twice the median contribution.

    Uncapped, a single member that declares enough samples takes more than half of every draw: its S_i tends to 1/2 +
    1/(2N) of the sum. The cap bounds what a false or a merely huge D_i can win; published strengths stay equation 2.

    Args:
        samples: D_i per member.

    Returns:
        A positive integer per member, proportional to its chance to be drawn first; all 1 while D = 0.
    """
    members, total = len(samples), sum(samples.values())
    if total == 0:
        return dict.fromkeys(samples, 1)
    cap = 2 * median_low(own for own in samples.values() if own)
    return {member: total + members * min(own, cap) for member, own in samples.items()}
