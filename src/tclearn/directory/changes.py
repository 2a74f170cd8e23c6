"""What members decide together, as one of them: asking for a change, approving one, taking other keys.

It needs a ledger and a key, and does not care where the ledger is: in this directory, or a service's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from tclearn.agents.loop import sequence_number
from tclearn.coalition.admission import admitted
from tclearn.encoding import Digest, MemberId
from tclearn.errors import AgentError, Code, MessageError, UsageError
from tclearn.identity import Signer
from tclearn.identity.enrolment import Enrolment, read_enrolment
from tclearn.ledger import Call, Ledger, Transaction
from tclearn.ledger.engines.follower import Follower
from tclearn.limits import TRANSACTION_LIFETIME_MS
from tclearn.protocols.tclearn.calls import (
    ADMIT,
    EXPEL,
    HYPERPARAMETERS,
    REVERT,
    ROTATE,
    Approve,
    Change,
    Request,
    Rotate,
    call,
)
from tclearn.protocols.tclearn.governing import change_id, open_changes
from tclearn.protocols.tclearn.records import ASKED, DONE, ChangeState
from tclearn.protocols.tclearn.state import State

_TRIES: Final = 5
_PREFIX_CHARACTERS_MIN: Final = 6


def ask_for_revert(ledger: Ledger[State], coalition: Digest, signer: Signer, target: int) -> ChangeState:
    """Ask that the model of an earlier block be restored, or approve it when another member has asked already.

    Args:
        ledger: the coalition's ledger, to which this member may write.
        coalition: digest of the charter.
        signer: the member's transaction key.
        target: index of the block whose model is to be restored.

    Returns:
        The change with its approvals so far.

    Raises:
        UsageError: the key is not a member's.
        AgentError: the contract refuses; the message says why.
    """
    wanted = Change(REVERT, ledger.state().tip + 1, target=target)
    return _asked(ledger, coalition, signer, wanted, f"going back to block {target}")


def ask_for_hyperparameters(
    ledger: Ledger[State], coalition: Digest, signer: Signer, values: Mapping[str, int]
) -> ChangeState:
    """Ask for other hyper-parameters, or approve them when another member has asked for the same already.

    Args:
        ledger: the coalition's ledger, to which this member may write.
        coalition: digest of the charter.
        signer: the member's transaction key.
        values: new values by name: counts, and ``learning_rate`` in millionths.

    Returns:
        The change with its approvals so far.

    Raises:
        UsageError: the key is not a member's.
        AgentError: the contract refuses; the message says why.
    """
    wanted = Change(HYPERPARAMETERS, ledger.state().tip + 1, values=dict(values))
    return _asked(ledger, coalition, signer, wanted, f"changing {', '.join(values)}")


def ask_to_admit(
    ledger: Ledger[State], coalition: Digest, signer: Signer, enrolment: bytes, now: datetime
) -> ChangeState:
    """Ask that somebody be admitted, or have other keys when it is a member; or approve it when it was asked already.

    Args:
        ledger: the coalition's ledger, to which this member may write.
        coalition: digest of the charter.
        signer: the member's transaction key.
        enrolment: content of the newcomer's ``.pem`` file.
        now: the time, with its zone.

    Returns:
        The change with its approvals so far.

    Raises:
        MessageError: the enrolment is not usable.
        UsageError: the key is not a member's.
        AgentError: the contract refuses; the message says why.
    """
    record = admitted(read_enrolment(enrolment, now))
    wanted = Change(ADMIT, ledger.state().tip + 1, member=record, enrolment=enrolment)
    return _asked(ledger, coalition, signer, wanted, f"admitting {record.id}")


def ask_to_expel(ledger: Ledger[State], coalition: Digest, signer: Signer, member: MemberId) -> ChangeState:
    """Ask that a member be expelled, or approve it when it was asked already; a member that names itself leaves.

    Args:
        ledger: the coalition's ledger, to which this member may write.
        coalition: digest of the charter.
        signer: the member's transaction key.
        member: who shall go.

    Returns:
        The change with its approvals so far.

    Raises:
        UsageError: the key is not a member's.
        AgentError: the contract refuses; the message says why.
    """
    wanted = Change(EXPEL, ledger.state().tip + 1, expelled=member)
    asker = _member(ledger.state(), signer)
    try:
        return _asked(ledger, coalition, signer, wanted, f"expelling {member}")
    except MessageError as error:
        if error.code is not Code.FORMER_MEMBER or asker != member:
            raise
        return ChangeState(wanted, member, 0, (member,), DONE)  # it has left, and is shown nothing more


def approve(ledger: Ledger[State], coalition: Digest, signer: Signer, name: Digest, now: datetime) -> ChangeState:
    """Approve a change that was asked for.

    Of an admission the enrolment is checked first, its certificates too: the contract looks at the signature only.

    Args:
        ledger: the coalition's ledger, to which this member may write.
        coalition: digest of the charter.
        signer: the member's transaction key.
        name: which change.
        now: the time, with its zone.

    Returns:
        The change with its approvals so far.

    Raises:
        MessageError: the enrolment is not usable.
        UsageError: the key is not a member's, or there is no such change.
        AgentError: the contract refuses; the message says why.
    """
    asked = ledger.state().change(name)
    if asked is None:
        raise _unknown(name.hex())
    enrolled(asked.change, now)
    said = _said(ledger, coalition, signer, call(Approve(name)), name, f"the change {name.hex()[:16]}…")
    return replace(said, change=asked.change)  # the state keeps no enrolment of what is done


def enrolled(change: Change, now: datetime) -> Enrolment | None:
    """The enrolment of whom a change admits, checked as a whole; ``None``: it admits nobody.

    Raises:
        MessageError: it is not usable, or of somebody else than the change says.
    """
    if change.member is None or change.enrolment is None:
        return None
    shown = read_enrolment(change.enrolment, now, place=f"the enrolment of {change.member.id}")
    if admitted(shown) != change.member:
        raise MessageError(
            Code.CERTIFICATE,
            f"the change admits {change.member.id} with other keys than those of its enrolment",
            expected="a record that is made from the enrolment",
            remedy="do not approve it; tell the other members",
        )
    return shown


def take_keys(ledger: Ledger[State], coalition: Digest, signer: Signer, enrolment: bytes, now: datetime) -> bool:
    """Take the keys of an enrolment in the place of those that sign this; asked for already, it is not asked again.

    Args:
        ledger: the coalition's ledger, to which this member may write.
        coalition: digest of the charter.
        signer: the member's present transaction key.
        enrolment: content of the member's new ``.pem`` file.
        now: the time, with its zone.

    Returns:
        Whether the present key counts no more: the new ones are in force, unless the member was expelled at the same
        time, which the new ones will hear. Else they will be as soon as nothing is under way.

    Raises:
        MessageError: the enrolment is not usable.
        UsageError: the key is not a member's.
        AgentError: the contract refuses; the message says why.
    """
    state = ledger.state()
    record = admitted(read_enrolment(enrolment, now))
    waiting = [each for each in open_changes(state) if each.change.kind == ROTATE and each.change.member == record]
    if waiting:
        return False
    name = change_id(Change(ROTATE, state.tip + 1, member=record, enrolment=enrolment))
    try:
        said = _said(ledger, coalition, signer, call(Rotate(record, enrolment)), name, "taking other keys")
    except MessageError as error:
        if error.code is not Code.FORMER_MEMBER:
            raise
        return True
    return said.status == DONE


def find_change(state: State, text: str) -> Digest:
    """The name of an open change that begins with these hexadecimal digits.

    Raises:
        UsageError: there is none, or more than one.
    """
    wanted = text.strip().lower().rstrip("…")
    names = [change_id(each.change) for each in open_changes(state) if each.status == ASKED]
    found = [name for name in names if name.hex().startswith(wanted)] if len(wanted) >= _PREFIX_CHARACTERS_MIN else []
    if len(found) != 1:
        raise _unknown(text)
    return found[0]


def _asked(ledger: Ledger[State], coalition: Digest, signer: Signer, wanted: Change, words: str) -> ChangeState:
    state = ledger.state()
    member = _member(state, signer)
    same = [each for each in open_changes(state) if each.status == ASKED and _alike(each.change, wanted)]
    if not same:
        said = _said(ledger, coalition, signer, call(Request(wanted)), change_id(wanted), words)
        return replace(said, change=wanted)
    if member in same[0].approvals:
        raise AgentError(
            Code.REFUSED,
            f"{member} has already approved {words}",
            expected="a member that has not",
            remedy="`tclearn status` shows who has",
        )
    name = change_id(same[0].change)
    return replace(_said(ledger, coalition, signer, call(Approve(name)), name, words), change=same[0].change)


def _alike(one: Change, other: Change) -> bool:
    # The height at which it was asked for does not matter.
    return Change(one.kind, 0, one.target, one.values, one.member, one.enrolment, one.expelled) == Change(
        other.kind, 0, other.target, other.values, other.member, other.enrolment, other.expelled
    )


def _said(
    ledger: Ledger[State], coalition: Digest, signer: Signer, said: Call, name: Digest, words: str
) -> ChangeState:
    member = _member(ledger.state(), signer)
    refused = submitted(ledger, coalition, signer, said)
    change = ledger.state().change(name)
    if refused or change is None:
        raise AgentError(
            Code.REFUSED,
            f"the coalition's rules refuse {member} {words}: {refused or 'the change is not on the ledger'}",
            remedy="`tclearn status` shows what is asked for, `tclearn model list` the blocks",
        )
    return change


def submitted(ledger: Ledger[State], coalition: Digest, signer: Signer, said: Call) -> str:
    """Why the contract refuses; empty when it does not."""
    outcome = None
    for left in reversed(range(_TRIES)):
        transaction = Transaction.signed(
            signer,
            coalition,
            said,
            sequence=sequence_number(ledger.next_sequence(signer.public), said),
            expires_ms=ledger.time_ms() + TRANSACTION_LIFETIME_MS,
        )
        try:
            outcome = ledger.outcome(ledger.submit(transaction))
            break
        except MessageError as error:
            # The member's agent speaks beside this, with the same key.
            if error.code is not Code.SEQUENCE or not left:
                raise
            if isinstance(ledger, Follower):
                ledger.pull()
    return outcome.reason if outcome is not None and outcome.code else ""


def _member(state: State, signer: Signer) -> MemberId:
    member = state.member_of(signer.public)
    if member is None:
        raise UsageError(
            Code.UNKNOWN_SIGNER,
            "the key is no member's",
            expected=", ".join(state.members),
            remedy="use the member's own key",
        )
    return member


def _unknown(text: str) -> UsageError:
    return UsageError(
        Code.USAGE,
        f"there is no single open change {text!r}",
        expected=f"its name, or at least its first {_PREFIX_CHARACTERS_MIN} digits",
        remedy="`tclearn status` lists the changes that are asked for",
    )
