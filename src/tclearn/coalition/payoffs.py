"""Who gets how much of a reward: in proportion to what each has contributed.

Source: Weng et al., "DeepChain", §4.2.1: the more a participant contributes, the more it gains; nothing is paid where
nobody has contributed.
"""

from __future__ import annotations

from collections.abc import Mapping

from tclearn.encoding import MemberId


def payoffs(reward: int, contributions: Mapping[MemberId, int]) -> dict[MemberId, int]:
    """Divide a reward π by contributions ω, rounded down; what rounding leaves is not paid.

    Args:
        reward: whole coins.
        contributions: ω by member, naturals.
    """
    total = sum(contributions.values())
    return {member: reward * own // total for member, own in sorted(contributions.items()) if own}
