"""Asking for a revert of the model or for other hyper-parameters, or approving either, as a member."""

from __future__ import annotations

from collections.abc import Mapping

from tclearn.agents.loop import sequence_number
from tclearn.encoding import Digest, MemberId
from tclearn.errors import AgentError, Code, UsageError
from tclearn.identity import Signer
from tclearn.ledger import Call, Ledger, Transaction
from tclearn.limits import TRANSACTION_LIFETIME_MS
from tclearn.protocols.tclearn.calls import Approve, Change, Request, call
from tclearn.protocols.tclearn.governing import HYPERPARAMETERS, REVERT, change_id, open_changes
from tclearn.protocols.tclearn.records import ChangeState
from tclearn.protocols.tclearn.state import State


def ask_for_revert(ledger: Ledger[State], coalition: Digest, signer: Signer, target: int) -> ChangeState:
    """Ask that the model of an earlier block be restored, or approve it when another member has asked already.

    Args:
        ledger: the coalition's ledger, open for writing.
        coalition: digest of the charter.
        signer: the member's transaction key.
        target: index of the block whose model is to be restored.

    Returns:
        The change with its approvals so far.

    Raises:
        UsageError: the key is not a member's.
        AgentError: the contract refuses; the message says why.
    """
    state = ledger.state()
    member = _member(state, signer)
    same = [change for change in open_changes(state) if change.status == "asked" and change.change.target == target]
    if same and member in same[0].approvals:
        raise AgentError(
            Code.REFUSED,
            f"{member} has already approved going back to block {target}",
            expected="a member that has not",
            remedy="`tclearn status` shows who has",
        )
    asked = Change(REVERT, state.tip + 1, target=target)
    said = call(Approve(change_id(same[0].change))) if same else call(Request(asked))
    refused = _submitted(ledger, coalition, signer, said)
    if refused:
        raise AgentError(
            Code.REFUSED,
            f"the coalition's rules do not let {member} ask to go back to block {target}: {refused}",
            remedy="`tclearn model list` shows the blocks",
        )
    change = ledger.state().change(change_id(same[0].change if same else asked))
    if change is None:
        raise AgentError(Code.REFUSED, "the change is not on the ledger")
    return change


def ask_for_hyperparameters(
    ledger: Ledger[State], coalition: Digest, signer: Signer, values: Mapping[str, int]
) -> ChangeState:
    """Ask for other hyper-parameters, or approve them when another member has asked for the same already.

    Args:
        ledger: the coalition's ledger, open for writing.
        coalition: digest of the charter.
        signer: the member's transaction key.
        values: new values by name: counts, and ``learning_rate`` in millionths.

    Returns:
        The change with its approvals so far.

    Raises:
        UsageError: the key is not a member's.
        AgentError: the contract refuses; the message says why.
    """
    state = ledger.state()
    member = _member(state, signer)
    same = [change for change in open_changes(state) if change.status == "asked" and change.change.values == values]
    change = same[0].change if same else Change(HYPERPARAMETERS, state.tip + 1, values=dict(values))
    said = call(Approve(change_id(change)) if same else Request(change))
    refused = _submitted(ledger, coalition, signer, said)
    asked = ledger.state().change(change_id(change))
    if refused or asked is None:
        names = ", ".join(values)
        raise AgentError(Code.REFUSED, f"the coalition's rules do not let {member} change {names}: {refused}")
    return asked


def _submitted(ledger: Ledger[State], coalition: Digest, signer: Signer, said: Call) -> str:
    """Why the contract refuses; empty when it does not."""
    transaction = Transaction.signed(
        signer,
        coalition,
        said,
        sequence=sequence_number(ledger.next_sequence(signer.public), said),
        expires_ms=ledger.time_ms() + TRANSACTION_LIFETIME_MS,
    )
    outcome = ledger.outcome(ledger.submit(transaction))
    return outcome.reason if outcome is not None and outcome.code else ""


def _member(state: State, signer: Signer) -> MemberId:
    for member in state.charter.members:
        if member.key == signer.public:
            return member.id
    raise UsageError(
        Code.UNKNOWN_SIGNER,
        "the key is no member's",
        expected=", ".join(state.members),
        remedy="use the member's own key",
    )
