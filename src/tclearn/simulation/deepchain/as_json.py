"""Iterations and coins for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tclearn.coalition.accounts import Accounts
from tclearn.protocols.deepchain.history import Balance, Course


def course_json(course: Course) -> dict[str, Any]:
    """An iteration, as ``tclearn demo --json`` and ``tclearn status --json`` give it."""
    return {
        "iteration": course.number,
        "round": course.round,
        "parties": list(course.parties),
        "workers": list(course.workers),
        "absent": list(course.absent),
        "counted": list(course.counted),
        "leader": course.leader,
        "blocks": [
            {
                "number": block.number,
                "kind": block.kind,
                "leader": block.leader,
                "reason": block.reason,
                "hash": block.hash.hex(),
            }
            for block in course.blocks
        ],
        "opened": course.opened.hex() if course.opened else None,
        "fines": [
            {"member": fine.member, "deposit": fine.deposit, "coins": fine.coins, "reason": str(fine.reason)}
            for fine in course.fines
        ],
        "paid": dict(course.paid),
        "received": dict(course.received),
    }


def coins_json(balances: Iterable[Balance]) -> dict[str, dict[str, int]]:
    """Everybody's coins."""
    return {
        each.member: {
            "start": each.start,
            "rewards": each.paid,
            "from_fines": each.received,
            "fined": each.fined,
            "now": each.end,
        }
        for each in balances
    }


def minted_json(balances: Sequence[Balance], accounts: Accounts) -> dict[str, int]:
    """All coins that were made: ``minted``, and of these ``minted_for_rewards``; the others are of the founding."""
    founding = sum(each.start for each in balances)
    return {"minted": accounts.minted, "minted_for_rewards": accounts.minted - founding}
