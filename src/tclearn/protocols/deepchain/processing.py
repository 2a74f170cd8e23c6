"""The processing contract (algorithm 2): a leader adds up, workers check it, the committee signs the block."""

from __future__ import annotations

from dataclasses import replace

from tclearn.encoding import MemberId, digest
from tclearn.identity.seed_chain import follows
from tclearn.ledger import Context
from tclearn.protocols.deepchain.calls import Append, Check, Update
from tclearn.protocols.deepchain.flow import move
from tclearn.protocols.deepchain.records import Handed, Iteration, Links
from tclearn.protocols.deepchain.refusals import Refusal, refuse
from tclearn.protocols.deepchain.state import State
from tclearn.protocols.deepchain.steps import check_asked, check_phase, running
from tclearn.protocols.deepchain.times import APPENDING, CHECKING, DECRYPTING, DOWNLOADING, RETURNING, UPDATING


def update(state: State, arguments: Update, context: Context) -> None:
    """The leader has added up; its coins are spent, and the next link of its chain goes into the seed."""
    iteration = _at_attempt(state, arguments.iteration, arguments.attempt)
    check_update(state, iteration, context.sender, context.time_ms)
    links = state.links(context.sender)
    if not follows(links.last, arguments.link):
        raise refuse(Refusal.BAD_SEED_LINK, f"not the next link of {context.sender}'s seed chain")
    state.put_links(context.sender, Links(arguments.link, links.used + 1))
    state.put_seed(digest("tclearn/deepchain/seed/1", state.seed, arguments.link))
    state.put_accounts(state.accounts.led(context.sender))
    handed = Handed(context.index, arguments.root, arguments.locator)
    move(state, replace(iteration, sum=handed, checks={context.sender: 1}), context.time_ms)


def check(state: State, arguments: Check, context: Context) -> None:
    """A worker says whether the sum is right."""
    iteration = _at_attempt(state, arguments.iteration, arguments.attempt)
    check_check(state, iteration, context.sender, context.time_ms)
    if arguments.right not in (0, 1):
        raise refuse(Refusal.BAD_ARGUMENT, "right is 1 or 0")
    move(state, replace(iteration, checks={**iteration.checks, context.sender: arguments.right}), context.time_ms)


def append(state: State, arguments: Append, context: Context) -> None:
    """A member signs the block; with ⌈2n/3⌉ of the committee it is in the chain.

    Any member may, also later, while the iteration runs: cosignatures protect the ledger's head.
    """
    iteration = state.iteration
    if iteration is None or iteration.block is None or iteration.block.hash != arguments.block:
        raise refuse(Refusal.UNKNOWN_BLOCK, "not the block that waits for signatures")
    check_append(state, iteration, context.sender, context.time_ms)
    if iteration.sum is None or arguments.cosignature.size != iteration.sum.entry + 1:
        raise refuse(Refusal.WRONG_HEAD, "the cosigned head must end with the leader's update")
    move(state, replace(iteration, signed=(*iteration.signed, context.sender)), context.time_ms)


def check_update(state: State, iteration: Iteration, member: MemberId, now_ms: int) -> None:
    """Whether a member may hand in the sum.

    Raises:
        Rejected: it may not.
    """
    check_phase(state, iteration, {UPDATING}, now_ms)
    if member != iteration.leader:
        raise refuse(Refusal.NOT_ASKED, f"{iteration.leader} is the leader")


def check_check(state: State, iteration: Iteration, member: MemberId, now_ms: int) -> None:
    """Whether a worker may vote on the sum.

    Raises:
        Rejected: it may not.
    """
    check_phase(state, iteration, {CHECKING}, now_ms)
    check_asked(member, iteration.voters, iteration.checks)


def check_append(state: State, iteration: Iteration, member: MemberId, now_ms: int) -> None:
    """Whether a member may sign the block.

    Raises:
        Rejected: it may not.
    """
    check_phase(state, iteration, {APPENDING, DOWNLOADING, DECRYPTING, RETURNING}, now_ms)
    check_asked(member, state.group.joined, iteration.signed)


def _at_attempt(state: State, number: int, attempt: int) -> Iteration:
    iteration = running(state, number)
    if iteration.attempt != attempt:
        raise refuse(Refusal.WRONG_ATTEMPT, f"iteration {number} is at attempt {iteration.attempt}")
    return iteration
