"""``tclearn status``: what the coalition waits for, and why the last increment was not accepted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from tclearn.cli.ballots import say_ballots, step_json
from tclearn.cli.change_text import asked_fingerprint, change_json, short_name, standing, wanted
from tclearn.cli.options import AsJson, Directory
from tclearn.cli.output import count, natural, print_json, say, table, when
from tclearn.cli.status_deepchain import is_deepchain, status_deepchain
from tclearn.coalition.accountant import TRILLION
from tclearn.coalition.evidence import MILLION
from tclearn.coalition.privacy import delta_text, epsilon_text
from tclearn.coalition.terms import PrivacyTerms
from tclearn.directory import CoalitionDirectory
from tclearn.directory.heard import last_heard
from tclearn.encoding import MemberId
from tclearn.ledger import Duty
from tclearn.protocols.tclearn.governing import open_changes
from tclearn.protocols.tclearn.history import REVERTED, history
from tclearn.protocols.tclearn.proposing import complete
from tclearn.protocols.tclearn.records import PendingRevert

_WORDS = {
    "propose": "propose an increment, if it has new records",
    "release": "put its candidate into the store",
    "hide": "commit to hidden test records, if it has any",
    "show": "show a hidden part of its test records",
    "test": "test a candidate",
    "reveal": "reveal its verdict",
    "seal": "seal the block, as general",
    "endorse": "endorse the newest block",
    "finalize": "finalize the block: every general failed",
    "timeout": "say that a deadline has passed",
    "renew": "renew its seed chain",
    "access": "ask to read a model",
    "delivered": "fetch a model that it was granted",
    "witness": "cosign a reading",
}


def status(directory: Directory = Path("demo"), as_json: AsJson = False) -> None:
    """Say what the coalition waits for, from whom, until when, and why the last increment was not accepted."""
    if is_deepchain(directory):
        status_deepchain(directory, as_json=as_json)
        return
    now = datetime.now(UTC)
    with CoalitionDirectory.open(directory) as coalition:
        state, ledger, contract = coalition.state, coalition.ledger, coalition.contract
        now_ms = ledger.head(len(ledger)).time_ms
        duties = [
            duty for member in sorted(state.members, key=natural) for duty in contract.duties(state, member, now_ms)
        ]
        steps = history(state)
        done = complete(state, now_ms)
        changes = open_changes(state)
        spent = {member: state.epsilon_ppm(member) for member in sorted(state.members, key=natural)}
        pending = state.pending
        heard = last_heard(coalition, state.members)
    newest = next((step for step in reversed(steps) if step.block is not None), None)
    refused = next((step for step in reversed(steps) if step.block is None and step.closed), None)
    back = next((step for step in reversed(steps) if step.status == REVERTED), None)
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
                "last_heard_ms": heard,
                "waiting": [{"member": d.member, "for": d.kind, "until_ms": d.due_ms} for d in duties],
                "changes_asked": [
                    {**change_json(c, state), "fingerprint": asked_fingerprint(c.change, now) or None} for c in changes
                ],
                "members": list(state.members),
                "former_members": list(state.former),
                "last_not_accepted": refused and step_json(refused),
                "last_reverted": back and {"block": back.block, "target": back.count, "reason": back.reason},
                "privacy": _privacy(coalition.charter.privacy, spent),
            }
        )
        return
    performance = f", {newest.performance:.4f} on the global test set" if newest and newest.performance else ""
    say(f"{coalition.charter.name}: block {state.tip}{performance}, {count(len(ledger), 'entry', 'entries')}")
    say("training is complete" if done else _waiting_headline(duties))
    if duties:
        table(
            ["member", "is asked to", "until (UTC)", "last heard"],
            [
                (
                    d.member,
                    _WORDS.get(d.kind, d.kind),
                    when(d.due_ms) if d.due_ms else "no deadline",
                    when(heard_ms) if (heard_ms := heard[d.member]) else "not lately",
                )
                for d in duties
            ],
        )
    _say_privacy(coalition.charter.privacy, spent)
    if isinstance(pending, PendingRevert) and pending.change is None:
        say(f"\nhidden parts find the model worse: it goes back to block {pending.target}")
    elif back is not None:
        say(f"\nlast revert: block {back.block} went {back.reason}")
    for change in changes:
        said = f"{change.asked_by} asks for {wanted(change.change, state)}"
        say(f"\n{said}; {standing(change, state)} (change {short_name(change.change)})")
        if shown := asked_fingerprint(change.change, now):
            say(shown)
    if refused is not None:
        say(f"\nlast not accepted: {refused.member}, {refused.status}: {refused.reason}")
        say_ballots(refused)


def _privacy(terms: PrivacyTerms | None, spent: Mapping[MemberId, int | None]) -> dict[str, object] | None:
    if terms is None:
        return None
    return {
        "mechanism": terms.mechanism,
        "delta": None if terms.delta_ppt is None else terms.delta_ppt / TRILLION,
        "epsilon_max": None if terms.epsilon_max_ppm is None else terms.epsilon_max_ppm / MILLION,
        "epsilon": {member: epsilon / MILLION for member, epsilon in spent.items() if epsilon is not None},
    }


def _say_privacy(terms: PrivacyTerms | None, spent: Mapping[MemberId, int | None]) -> None:
    if terms is None:
        return
    budget = "no budget" if terms.epsilon_max_ppm is None else f"budget {epsilon_text(terms.epsilon_max_ppm)}"
    delta = "" if terms.delta_ppt is None else f", δ {delta_text(terms.delta_ppt)}"
    said = ", ".join(f"{member} {epsilon_text(epsilon)}" for member, epsilon in spent.items() if epsilon is not None)
    say(f"\nprivacy, composed ε ({terms.mechanism}, {budget}{delta}): {said}")


def _waiting_headline(duties: list[Duty]) -> str:
    return "waits for:" if duties else "waits for nobody: nobody has anything new to offer"
