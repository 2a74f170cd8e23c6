"""The secure monetary penalty: who gets whose deposit when a step of several members is over.

Everybody who takes part has locked a deposit before the step. Who did what the step asks gets its own back, and from
each who did not a share of that one's deposit. So whoever keeps to the protocol never pays, and is paid when others do
not.

The ideal functionalities ``F*_GradientCollecting`` and ``F*_CollaborativeDecryption`` (algorithms 3 and 4) have one
adversary that locks ``h'·d`` for all whom it has corrupted and gets back ``(h − h'')·d``. Here each member locks for
itself, ``(n − 1)·d`` for n members, so that each of the others gets d even if only one of them all deviates. What
remains when several do goes to the pot and not back: otherwise a fine would be the smaller the more deviate, and the
bound that ``coalition.fines`` checks would not hold for the last of many.

Source: Weng et al., "DeepChain", §4.3 algorithms 3 and 4; Bentov and Kumaresan, "How to Use Bitcoin to Design Fair
Protocols", CRYPTO 2014.
"""

from __future__ import annotations

from collections.abc import Collection

from tclearn.coalition.accounts import Accounts
from tclearn.encoding import MemberId


def share(deposit: int, members: int) -> int:
    """d, what each of the others gets of the deposit of one of so many members, whole coins."""
    return deposit // max(1, members - 1)


def settled(
    accounts: Accounts,
    purpose: str,
    *,
    deviating: Collection[MemberId],
    correct: Collection[MemberId],
    members: int,
) -> Accounts:
    """The accounts after a step.

    Those who did their part keep their deposits locked for the next step; the deposits of the others are gone.

    Args:
        accounts: before it.
        purpose: which deposits stand for the step.
        deviating: who did not do its part.
        correct: who did, and is paid for it; nobody who deviates.
        members: n, for how many the deposits were meant.

    Raises:
        ValueError: somebody is in both, or there are more to be paid than n − 1.
    """
    for member in sorted(deviating):
        each = share(accounts.deposit(member, purpose), members)
        accounts = accounts.forfeited(member, purpose, dict.fromkeys(sorted(correct), each))
    return accounts
