"""The trading contract (algorithm 1): parties hand in gradients, attach them, fetch the sum and open it."""

from __future__ import annotations

from dataclasses import replace

from tclearn.encoding import MemberId
from tclearn.ledger import Context
from tclearn.protocols.deepchain.calls import Attach, Contribute, Report, Share, Take, Verify
from tclearn.protocols.deepchain.flow import move
from tclearn.protocols.deepchain.records import Handed, Iteration, Reported
from tclearn.protocols.deepchain.refusals import Refusal, refuse
from tclearn.protocols.deepchain.settling import fine_workers
from tclearn.protocols.deepchain.state import State
from tclearn.protocols.deepchain.steps import check_asked, check_phase, running
from tclearn.protocols.deepchain.times import COLLECTING, DECRYPTING, DOWNLOADING, RETURNING, UPLOADING, VERIFYING


def contribute(state: State, arguments: Contribute, context: Context) -> None:
    """A party hands in its gradient; its deposit stands for it."""
    iteration = running(state, arguments.iteration)
    check_contribute(state, iteration, context.sender, context.time_ms)
    handed = Handed(context.index, arguments.root, arguments.locator)
    # A root that another party has said is not refused: who copies one that is not yet ordered could be first. Proofs
    # are bound to their party, so a copy is wrong and can be shown to be.
    move(state, replace(iteration, gradients={**iteration.gradients, context.sender: handed}), context.time_ms)


def verify(state: State, arguments: Verify, context: Context) -> None:
    """A worker says whose gradients are there and proved."""
    iteration = running(state, arguments.iteration)
    check_verify(state, iteration, context.sender, context.time_ms)
    approved = arguments.approved
    if list(approved) != sorted(set(approved)) or not set(approved) <= set(iteration.gradients):
        raise refuse(Refusal.BAD_ARGUMENT, "approved are parties that have handed in, ascending")
    doubted = tuple(sorted(MemberId(party) for party in set(iteration.gradients) - set(approved)))
    iteration = replace(iteration, doubts={**iteration.doubts, context.sender: doubted})
    if set(approved) & set(iteration.convicted):  # whoever has looked does not approve them
        iteration = fine_workers(state, iteration, {context.sender})
    move(state, iteration, context.time_ms)


def attach(state: State, arguments: Attach, context: Context) -> None:
    """A party attaches its verified gradient to the group's address."""
    iteration = running(state, arguments.iteration)
    check_attach(state, iteration, context.sender, context.time_ms)
    move(state, replace(iteration, attached=tuple(sorted((*iteration.attached, context.sender)))), context.time_ms)


def take(state: State, arguments: Take, context: Context) -> None:
    """A party has the sum and does not object, or says that it is not to be had."""
    iteration = running(state, arguments.iteration)
    check_take(state, iteration, context.sender, context.time_ms)
    if arguments.right not in (0, 1):
        raise refuse(Refusal.BAD_ARGUMENT, "right is 1 or 0")
    move(state, replace(iteration, takes={**iteration.takes, context.sender: arguments.right}), context.time_ms)


def share(state: State, arguments: Share, context: Context) -> None:
    """A party hands in its decryption shares; its deposit stands for them."""
    iteration = running(state, arguments.iteration)
    check_share(state, iteration, context.sender, context.time_ms)
    handed = Handed(context.index, arguments.root, arguments.locator)
    move(state, replace(iteration, shares={**iteration.shares, context.sender: handed}), context.time_ms)


def report(state: State, arguments: Report, context: Context) -> None:
    """A party says what the sum is, or that it cannot be opened."""
    iteration = running(state, arguments.iteration)
    check_report(state, iteration, context.sender, context.time_ms)
    missing = arguments.missing
    if list(missing) != sorted(set(missing)) or not set(missing) <= set(iteration.shares):
        raise refuse(Refusal.BAD_ARGUMENT, "missing are parties that have handed in shares, ascending")
    said = Reported(missing, arguments.opened)
    move(state, replace(iteration, reports={**iteration.reports, context.sender: said}), context.time_ms)


# --- who may, and when ------------------------------------------------------------------------------------------------


def check_contribute(state: State, iteration: Iteration, member: MemberId, now_ms: int) -> None:
    """Whether a party may hand in its gradient.

    Raises:
        Rejected: it may not.
    """
    check_phase(state, iteration, {COLLECTING}, now_ms)
    check_asked(member, iteration.parties, iteration.gradients)


def check_verify(state: State, iteration: Iteration, member: MemberId, now_ms: int) -> None:
    """Whether a worker may vote on the gradients.

    Raises:
        Rejected: it may not.
    """
    check_phase(state, iteration, {VERIFYING}, now_ms)
    check_asked(member, iteration.voters, iteration.doubts)


def check_attach(state: State, iteration: Iteration, member: MemberId, now_ms: int) -> None:
    """Whether a party may attach its gradient.

    Raises:
        Rejected: it may not.
    """
    check_phase(state, iteration, {UPLOADING}, now_ms)
    check_asked(member, set(iteration.verified) - set(iteration.convicted), iteration.attached)


def check_take(state: State, iteration: Iteration, member: MemberId, now_ms: int) -> None:
    """Whether a party may say whether it has the sum.

    Raises:
        Rejected: it may not.
    """
    check_phase(state, iteration, {DOWNLOADING}, now_ms)
    check_asked(member, iteration.parties, iteration.takes)


def check_share(state: State, iteration: Iteration, member: MemberId, now_ms: int) -> None:
    """Whether a party may hand in decryption shares.

    Raises:
        Rejected: it may not.
    """
    check_phase(state, iteration, {DECRYPTING}, now_ms)
    check_asked(member, iteration.openers, iteration.shares)


def check_report(state: State, iteration: Iteration, member: MemberId, now_ms: int) -> None:
    """Whether a party may say what the sum is.

    Raises:
        Rejected: it may not.
    """
    check_phase(state, iteration, {RETURNING}, now_ms)
    check_asked(member, iteration.openers, iteration.reports)
