"""Steps as lines of text."""

from __future__ import annotations

from typing import Final

from tclearn.protocols.tclearn.history import Step

_FORMAT: Final = "{:>5}  {:<16} {:>5}  {:>6}"


def header() -> str:
    """The line above the steps."""
    return _FORMAT.format("block", "from", "votes", "global")


def row(step: Step) -> str:
    """One step: block, proposer, votes, performance on G, and why it is no block."""
    line = _FORMAT.format(
        "–" if step.block is None else step.block,
        step.member,
        f"{step.yes}/{len(step.ballots)}" if step.ballots else "–",
        "–" if step.performance is None else f"{step.performance:.3f}",
    )
    return f"{line}   {step.status}: {step.reason}" if step.reason else line
