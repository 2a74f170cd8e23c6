"""Which objects of the vault a member must be granted before it may train or test; none at level A."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

from tclearn.coalition.acceptance import wanted
from tclearn.coalition.evidence import STEP
from tclearn.encoding import Digest, MemberId
from tclearn.protocols.tclearn.calls import TEST
from tclearn.protocols.tclearn.records import Candidate
from tclearn.protocols.tclearn.refusals import Refusal, refuse
from tclearn.protocols.tclearn.state import State

STEPS_COMPARED: Final = 4
"""How many of the newest increments a candidate's step is held against, where the rule looks at steps."""


def to_train(state: State) -> tuple[Digest, ...]:
    """The object that training takes: the newest model, unless it is M_0, which everybody draws."""
    return _each((state.block(state.tip).locator,))


def to_test(state: State, candidate: Candidate) -> tuple[Digest, ...]:
    """The objects that testing a candidate takes, each once."""
    found = [state.block(candidate.reference).locator, candidate.locator]
    newest = state.block(state.tip)
    if STEP in wanted(state.rule):
        for block in islice(state.lineage(state.tip), STEPS_COMPARED):
            found += [state.block(block.index - 1).locator, block.locator]
        found.append(newest.locator)
    part = candidate.hidden.part if candidate.hidden else None
    if part is not None:
        found.append(part.locator)
        if state.drifting:
            found += [state.block(newest.best).locator, newest.locator]
    return _each(found)


def lacking(state: State, member: MemberId, objects: Iterable[Digest]) -> Iterable[Digest]:
    """Those of some objects that a member has not been granted for its work; none where there is no vault."""
    if state.charter.vault is None:
        return ()
    return (each for each in objects if state.granted(member, each, TEST) is None)


def check_granted(state: State, member: MemberId, objects: Iterable[Digest]) -> None:
    """That a member has been granted what its work takes.

    Raises:
        Rejected: it has not.
    """
    for each in lacking(state, member, objects):
        raise refuse(Refusal.NOT_GRANTED, f"{member} has no access to the object {each.hex()[:16]}…")


def check_locator(state: State, locator: Digest, belongs: Digest) -> None:
    """That an object is not announced under the name of another one: whoever may test it would then read that one.

    Args:
        state: at level A, anything goes.
        locator: the name of the object that is announced.
        belongs: digest of the parameters or records that it is said to hold.

    Raises:
        Rejected: the name is taken.
    """
    known = None if state.charter.vault is None else state.located(locator)
    if known not in (None, belongs):
        raise refuse(Refusal.LOCATOR_TAKEN, "the object of that name holds something else")


def check_first(state: State, member: MemberId, locator: Digest, parameters: Digest) -> None:
    """That parameters which may be offered again come from who has offered them first, in the same object.

    Those who tested them have them, too: another proposer, or another name of the file, would leave the first one and
    its testers out of who had the version.

    Args:
        state: at level A, anything goes.
        member: who offers them.
        locator: the name of the object with them.
        parameters: their digest.

    Raises:
        Rejected: they are another member's, or were in another object.
    """
    first = None if state.charter.vault is None else state.forgiven(parameters)
    if first is not None and (first.proposer, first.locator) != (member, locator):
        raise refuse(
            Refusal.PARAMETERS_TAKEN,
            f"{first.proposer} has offered these parameters first; it may offer them again, in the same object",
        )


def _each(locators: Iterable[Digest | None]) -> tuple[Digest, ...]:
    return tuple(dict.fromkeys(locator for locator in locators if locator is not None))
