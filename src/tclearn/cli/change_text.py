"""Changes that members ask for, as people and programs are told of them."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256

from tclearn.cli.charter_text import setting
from tclearn.coalition.quorum import quorum
from tclearn.directory.changes import enrolled
from tclearn.errors import MessageError
from tclearn.identity.enrolment import Enrolment
from tclearn.protocols.tclearn.calls import ADMIT, EXPEL, REVERT, ROTATE, Change
from tclearn.protocols.tclearn.governing import change_id
from tclearn.protocols.tclearn.membership import needs_approval
from tclearn.protocols.tclearn.records import APPROVED, DONE, ChangeState
from tclearn.protocols.tclearn.state import State

DIGITS: Final = 12
"""Of a change's name, as it is shown."""


def wanted(change: Change, state: State) -> str:
    """What a change is, as in "asks for …"."""
    if change.kind == REVERT:
        return f"the model of block {change.target}"
    if change.kind == EXPEL:
        return f"the expulsion of {change.expelled}"
    if change.member is not None:
        name = change.member.id
        other = change.kind == ROTATE or (change.kind == ADMIT and name in state.members)
        return f"other keys for {name}" if other else f"the admission of {name}"
    return ", ".join(setting(name, value) for name, value in (change.values or {}).items())


def root_fingerprint(shown: Enrolment) -> str:
    """What is compared by telephone: SHA-256 of a root certificate, as OpenSSL writes it."""
    print_of = shown.root.fingerprint(SHA256()).hex(":").upper()
    return f"root certificate of {shown.member}, SHA-256: {print_of}"


def asked_fingerprint(change: Change, now: datetime) -> str:
    """The same of whom an open change admits; empty: it admits nobody."""
    try:
        shown = enrolled(change, now)
    except MessageError as error:
        return f"not usable, do not approve it: {error.what}"
    return root_fingerprint(shown) if shown else ""


def short_name(change: Change) -> str:
    """The beginning of a change's name, with which it is approved."""
    return change_id(change).hex()[:DIGITS]


def standing(asked: ChangeState, state: State) -> str:
    """How far a change has come, in words."""
    if asked.status == DONE:
        return "done"
    if asked.status == APPROVED:
        return "approved; it takes effect when what is under way has ended"
    if not needs_approval(asked.change, asked.asked_by):
        return "asked for"
    counted = [member for member in asked.approvals if member in state.members]
    return f"approved by {', '.join(counted) or 'nobody'}: {len(counted)} of {quorum(len(state.members))} needed"


def change_json(asked: ChangeState, state: State) -> dict[str, object]:
    """A change for programs."""
    change = asked.change
    return {
        "change": change_id(change).hex(),
        "by": asked.asked_by,
        "kind": change.kind,
        "target": change.target,
        "values": change.values,
        "member": change.member.id if change.member else change.expelled,
        "status": asked.status,
        "approvals": list(asked.approvals),
        "needed": quorum(len(state.members)) if needs_approval(change, asked.asked_by) else 1,
    }
