"""``tclearn status``: what the coalition waits for, and why the last increment was not accepted."""

from __future__ import annotations

from pathlib import Path

from tclearn.cli.charter_text import setting
from tclearn.cli.options import AsJson, Directory
from tclearn.cli.output import count, natural, print_json, say, table, when
from tclearn.directory import CoalitionDirectory
from tclearn.ledger import Duty
from tclearn.protocols.tclearn.calls import Change
from tclearn.protocols.tclearn.governing import open_changes
from tclearn.protocols.tclearn.history import Step, history
from tclearn.protocols.tclearn.proposing import complete

_WORDS = {
    "propose": "propose an increment",
    "release": "put its candidate into the store",
    "test": "test a candidate",
    "reveal": "reveal its verdict",
    "seal": "seal the block, as general",
    "endorse": "endorse the newest block",
    "finalize": "finalize the block: every general failed",
    "timeout": "say that a deadline has passed",
    "renew": "renew its seed chain",
}


def status(directory: Directory = Path("demo"), as_json: AsJson = False) -> None:
    """Say what the coalition waits for, from whom, until when, and why the last increment was not accepted."""
    with CoalitionDirectory.open(directory) as coalition:
        state, ledger, contract = coalition.state, coalition.ledger, coalition.contract
        now_ms = ledger.head(len(ledger)).time_ms
        duties = [
            duty for member in sorted(state.members, key=natural) for duty in contract.duties(state, member, now_ms)
        ]
        steps = history(state)
        done = complete(state, now_ms)
        changes = open_changes(state)
    newest = next((step for step in reversed(steps) if step.block is not None), None)
    refused = next((step for step in reversed(steps) if step.block is None and step.closed), None)
    if as_json:
        print_json(
            {
                "name": coalition.charter.name,
                "coalition": coalition.charter.digest.hex(),
                "entries": len(ledger),
                "time_ms": now_ms,
                "block": state.tip,
                "performance": newest.performance if newest else None,
                "complete": done,
                "waiting": [{"member": d.member, "for": d.kind, "until_ms": d.due_ms} for d in duties],
                "changes_asked": [
                    {"by": c.asked_by, "kind": c.change.kind, "target": c.change.target, "approvals": list(c.approvals)}
                    for c in changes
                ],
                "last_not_accepted": refused and _step(refused),
            }
        )
        return
    performance = f", {newest.performance:.4f} on the global test set" if newest and newest.performance else ""
    say(f"{coalition.charter.name}: block {state.tip}{performance}, {count(len(ledger), 'entry', 'entries')}")
    say("training is complete" if done else _waiting_headline(duties))
    if duties:
        table(
            ["member", "is asked to", "until (UTC)"],
            [(d.member, _WORDS.get(d.kind, d.kind), when(d.due_ms) if d.due_ms else "no deadline") for d in duties],
        )
    for change in changes:
        say(f"\n{change.asked_by} asks for {_wanted(change.change)}; approved by {', '.join(change.approvals)}")
    if refused is not None:
        say(f"\nlast not accepted: {refused.member}, {refused.status}: {refused.reason}")
        if refused.ballots:
            table(
                ["validator", "vote", "global", "local", "why"],
                [
                    (b.member, b.vote, _share(b.on_global), _local(b.on_local, b.local_n), b.reason)
                    for b in refused.ballots
                ],
                right=["global", "local"],
            )


def _waiting_headline(duties: list[Duty]) -> str:
    return "waits for:" if duties else "waits for nobody: nobody has anything new to offer"


def _wanted(change: Change) -> str:
    if change.values is None:
        return f"the model of block {change.target}"
    return ", ".join(setting(name, value) for name, value in change.values.items())


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _local(value: float | None, records: int) -> str:
    return "" if value is None else f"{value:.4f} on {records}"


def _step(step: Step) -> dict[str, object]:
    return {
        "member": step.member,
        "status": step.status,
        "reason": step.reason,
        "votes": [{"member": b.member, "vote": b.vote, "reason": b.reason} for b in step.ballots],
    }
