"""What became of an increment, validator by validator."""

from __future__ import annotations

from tclearn.cli.output import table
from tclearn.protocols.tclearn.history import Step


def say_ballots(step: Step) -> None:
    """How each validator has voted, and why."""
    if step.ballots:
        table(
            ["validator", "vote", "global", "local", "why"],
            [(b.member, b.vote, _share(b.on_global), _local(b.on_local, b.local_n), b.reason) for b in step.ballots],
            right=["global", "local"],
        )


def step_json(step: Step) -> dict[str, object]:
    """The same for programs."""
    return {
        "member": step.member,
        "status": step.status,
        "reason": step.reason,
        "votes": [{"member": b.member, "vote": b.vote, "reason": b.reason} for b in step.ballots],
    }


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _local(value: float | None, records: int) -> str:
    return "" if value is None else f"{value:.4f} on {records}"
