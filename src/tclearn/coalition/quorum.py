"""Quorums: one definition for every protocol. That of cosigned heads is the ledger's (``ledger.cosigning``)."""

from __future__ import annotations


def quorum(entitled: int) -> int:
    """⌈2n/3⌉ of those entitled: votes, endorsements, approvals (Lugan et al. 2019, §III.A: "at least two-thirds")."""
    return -(-2 * entitled // 3)


def faulty_max(members: int) -> int:
    """f = ⌊(N − 1)/3⌋, the number of faulty members that the agreement is made for."""
    return (members - 1) // 3
