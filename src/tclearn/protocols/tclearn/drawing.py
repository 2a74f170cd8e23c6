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
    order = [each for each in _order(state, digest("tclearn/generals/1", state.seed, height)) if each in entitled]
    # Who has no link to show would only be waited for.
    return tuple(member for member in order if next_link(state, member) is not None) or tuple(order)


def next_link(state: State, member: MemberId) -> tuple[int, int] | None:
    """Epoch and place of the link that a member may show next; see ``SeedChain.next_link``.

    A newcomer waits until its chain may be used. Where no more than f + 1 members have a link, one of whom may be the
    proposer, too few generals would be left for any block ever to be settled: then nobody waits, as at the founding.
    """
    newest, chain = settled(state), state.seed_chain(member)
    link = chain.next_link(newest)
    if link is None and chain.fresh:
        ready = sum(state.seed_chain(other).next_link(newest) is not None for other in state.members)
        link = (chain.epoch, 0) if ready <= faulty_max(len(state.members)) + 1 else None
    return link


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
    return permutation(seed, draw_weights({member: contributions.get(member, 0) for member in state.members}))
