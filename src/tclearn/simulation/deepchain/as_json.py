"""Iterations and coins for programs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

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
