"""Who tests, and who seals: drawn with a seed and with weights that nobody could choose to suit one another.

The seed of a height is hashed on with the link that each block's general shows. A general knows its own links
beforehand, and whoever plots with it does too; so weights that a proposer could still choose would let it try one claim
after the other until the coming draw suits it. Draws therefore weigh the contributions of the newest *settled* block:
since then f + 1 different generals have shown a link, and one of them at least plots with nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from tclearn.coalition.draw import committee, permutation
from tclearn.coalition.hidden import keepers
from tclearn.coalition.quorum import faulty_max
from tclearn.coalition.strength import draw_weights
from tclearn.encoding import Digest, MemberId, digest
from tclearn.protocols.tclearn.records import Asked, Candidate
from tclearn.protocols.tclearn.state import State


def settled(state: State) -> int:
    """Index of the newest block after which f + 1 different generals have shown a link; genesis while there is none.

    What was on the ledger before such a block was sealed was said without knowing the present seed, as long as no more
    than f members plot. A block that was finalized without a general brings no link.
    """
    generals: set[MemberId] = set()
    index = state.tip
    while index > 0 and len(generals) <= faulty_max(len(state.members)):
        general = state.block(index).general
        if general is not None:
            generals.add(general)
        index -= 1
    return index


def draw_committee(state: State, candidate: Candidate) -> tuple[MemberId, ...]:
    """The validators of a candidate's present attempt, in the order drawn.

    Everybody is drawn for the height and the attempt, and the proposer skipped: nothing in a candidate has a say.
    """
    order = _order(state, digest("tclearn/draw/1", state.seed, candidate.height, candidate.attempt))
    return committee(order, candidate.proposer)


def draw_generals(state: State, height: int, entitled: Collection[MemberId]) -> tuple[MemberId, ...]:
    """The order in which validators get to be general (Lugan et al. 2019: "another randomly selected validator").

    Everybody is drawn, and who is not entitled skipped, so that it does not matter to the others who proposes.
    """
    order = _order(state, digest("tclearn/generals/1", state.seed, height))
    return tuple(member for member in order if member in entitled)


def draw_keepers(state: State, candidate: Candidate) -> Iterator[Asked]:
    """The hidden parts that may be shown for a candidate, in the order drawn: one a member, its oldest.

    A part counts when it was committed to before the candidate was offered: nobody could choose it to suit.
    """
    for member in keepers(state.seed, candidate.height, state.members):
        kept = state.kept(member)
        if kept is None or member == candidate.proposer:
            continue
        if kept.spent < len(kept.parts) and kept.entry < candidate.entry:
            yield Asked(member, kept.first, kept.first + kept.spent, kept.parts[kept.spent])


def _order(state: State, seed: Digest) -> tuple[MemberId, ...]:
    contributions = state.block(settled(state)).contributions
    return permutation(seed, draw_weights({member: contributions[member] for member in state.members}))
