"""Hidden parts: committed to beforehand, shown one at a time, each for one candidate that is fixed by then."""

from __future__ import annotations

from dataclasses import replace

from tclearn.coalition.acceptance import wanted
from tclearn.coalition.evidence import HIDDEN
from tclearn.coalition.hidden import Hidden, Part, part_commitment
from tclearn.encoding import Digest, MemberId, digest
from tclearn.ledger import Context
from tclearn.limits import HIDDEN_PART_RECORDS_MAX, HIDDEN_PARTS_MAX
from tclearn.protocols.tclearn.calls import Hide, Show
from tclearn.protocols.tclearn.objects import check_locator
from tclearn.protocols.tclearn.proposing import ask_keeper, complete, known, start_testing
from tclearn.protocols.tclearn.records import SHOWING, Asked, Candidate, Kept
from tclearn.protocols.tclearn.refusals import Refusal, refuse
from tclearn.protocols.tclearn.state import State


def hide(state: State, arguments: Hide, context: Context) -> None:
    """A member commits to its next parts."""
    check_hide(state, context.sender, context.time_ms)
    first = parts_before(state, context.sender)
    if arguments.first != first:
        raise refuse(Refusal.BAD_PARTS, f"the next part of {context.sender} has the number {first}")
    if not 1 <= len(arguments.parts) <= HIDDEN_PARTS_MAX or len(set(arguments.parts)) < len(arguments.parts):
        raise refuse(Refusal.BAD_PARTS, f"{len(arguments.parts)} parts; 1 to {HIDDEN_PARTS_MAX}, all different")
    state.put_kept(context.sender, Kept(first, arguments.parts, context.index, 0))


def show(state: State, arguments: Show, context: Context) -> None:
    """The keeper shows its part, and the testing starts."""
    candidate = known(state, arguments.candidate)
    asked = check_show(candidate, context.sender)
    opened = part_commitment(
        state.charter.digest, asked.keeper, asked.number, arguments.records, arguments.n, arguments.salt
    )
    if (arguments.first, arguments.number, opened) != (asked.first, asked.number, asked.commitment) or not arguments.n:
        raise refuse(Refusal.COMMITMENT_MISMATCH, f"not part {asked.number} as it was committed to")
    if arguments.n > HIDDEN_PART_RECORDS_MAX:
        raise refuse(Refusal.BAD_PARTS, f"a part of {arguments.n} records; at most {HIDDEN_PART_RECORDS_MAX}")
    check_locator(state, arguments.locator, arguments.records)
    state.put_located(arguments.locator, arguments.records)
    part = Part(asked.keeper, asked.number, arguments.locator, arguments.records, arguments.n)
    shown = replace(candidate, hidden=replace(candidate.hidden or Hidden(), part=part))
    state.put_candidate(start_testing(state, shown, context.time_ms))


def check_hide(state: State, member: MemberId, now_ms: int) -> None:
    """Whether a member may commit to hidden parts now.

    Raises:
        Rejected: it may not.
    """
    if HIDDEN not in wanted(state.rule):
        raise refuse(Refusal.NOT_HIDDEN, f"the rule {state.rule.name} does not look at hidden parts")
    if complete(state, now_ms):
        raise refuse(Refusal.COMPLETE, "the charter's stop condition is met")
    kept = state.kept(member)
    if kept is not None and kept.spent < len(kept.parts):
        raise refuse(Refusal.ALREADY_DONE, f"{len(kept.parts) - kept.spent} parts of {member} are still hidden")


def check_show(candidate: Candidate, member: MemberId) -> Asked:
    """The part that a member may show for a candidate.

    Raises:
        Rejected: it may show none.
    """
    if candidate.status != SHOWING or candidate.asked is None:
        raise refuse(Refusal.WRONG_PHASE, f"the candidate is {candidate.status}")
    if candidate.asked.keeper != member:
        raise refuse(Refusal.NOT_KEEPER, f"{candidate.asked.keeper} is asked for a hidden part")
    return candidate.asked


def miss_keeper(state: State, candidate: Candidate, now_ms: int) -> None:
    """The keeper has not shown its part in time: the next one is asked, or the testing starts without."""
    hidden, asked = candidate.hidden or Hidden(), candidate.asked
    missing = (*hidden.missing, asked.keeper) if asked else hidden.missing
    state.put_candidate(ask_keeper(state, replace(candidate, hidden=replace(hidden, missing=missing)), now_ms))


def parts_before(state: State, member: MemberId) -> int:
    """How many parts a member has committed to so far."""
    kept = state.kept(member)
    return kept.first + len(kept.parts) if kept else 0


def hide_subject(first: int) -> Digest:
    """Names one duty to commit to parts, by the number of the first of them: a new one when those before are spent."""
    return digest("tclearn/hide/1", first)
