"""Drawing a leader by stake: a coin is drawn among those that have not led yet, and its owner leads.

Everybody can recompute a draw from the seed and the accounts, both of which are on the ledger, and so everybody knows
the leader beforehand. This is **not** the cryptographic sortition of Algorand that the paper names: there a verifiable
random function shows a winner only to itself until it speaks. Here a leader can be kept from speaking by whoever can
reach its computer; it costs one empty block, and another one is drawn.

Source: Weng et al., "DeepChain", §4.2.2: leaders are drawn by their coins, of which only those with a validity count.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate

from tclearn.coalition.draw import Numbers
from tclearn.encoding import Digest, MemberId, digest


def leader(seed: Digest, validity: Mapping[MemberId, int]) -> MemberId | None:
    """Draw a leader, with chances proportional to coins.

    Args:
        seed: fixes the draw; nobody may be able to choose it.
        validity: unspent coins of everybody who may lead; the order of the mapping does not matter.

    Returns:
        ``None`` when nobody has any.
    """
    total = sum(validity.values())
    if total == 0:
        return None
    coin = Numbers(digest("tclearn/sortition/1", seed)).below(total)
    members = sorted(validity)
    upto = accumulate(validity[member] for member in members)
    return next(member for member, bound in zip(members, upto, strict=True) if coin < bound)
