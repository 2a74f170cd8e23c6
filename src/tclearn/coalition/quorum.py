"""Quorums: one definition for every protocol."""

from __future__ import annotations


def quorum(entitled: int) -> int:
    """⌈2n/3⌉ of those entitled: votes, endorsements, approvals (Lugan et al. 2019, §III.A: "at least two-thirds")."""
    return -(-2 * entitled // 3)


def head_quorum(members: int) -> int:
    """⌊2N/3⌋ + 1 of all: cosigned heads. Two such sets share an honest member while fewer than N/3 are faulty."""
    return 2 * members // 3 + 1


def faulty_max(members: int) -> int:
    """f = ⌊(N − 1)/3⌋, the number of faulty members that the agreement is made for."""
    return (members - 1) // 3
