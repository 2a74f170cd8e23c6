"""Accusations as invitations: what a member should look at now, and show if it is wrong.

The contract has no duties for this, as it does not see the store. What there is to look at follows from its state all
the same, so that a member that starts again looks again, and decides once about each thing, as about everything else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from tclearn.encoding import Digest, MemberId, digest
from tclearn.ledger import Duty
from tclearn.ledger.contract import allows
from tclearn.limits import DEEPCHAIN_UNFOUNDED_PER_ITERATION_MAX
from tclearn.protocols.deepchain.contract import DeepChain
from tclearn.protocols.deepchain.records import Iteration
from tclearn.protocols.deepchain.state import State
from tclearn.protocols.deepchain.steps import check_phase
from tclearn.protocols.deepchain.times import (
    APPENDING,
    CHECKING,
    COLLECTING,
    DECRYPTING,
    DOWNLOADING,
    RETURNING,
    UPLOADING,
    VERIFYING,
)

ACCUSE: Final = "accuse"
DISPUTE: Final = "dispute"
CHALLENGE: Final = "challenge"
WATCH: Final = frozenset({ACCUSE, DISPUTE, CHALLENGE})
"""Kinds of invitations to look."""

_PHASES: Final = {
    ACCUSE: (COLLECTING, VERIFYING, UPLOADING),
    DISPUTE: (CHECKING, APPENDING, DOWNLOADING),
    CHALLENGE: (DECRYPTING, RETURNING),
}


class Watched(DeepChain):
    """The contract as an agent plays it: its duties, and before them what is to be looked at."""

    def duties(self, state: State, member: MemberId, time_ms: int) -> Sequence[Duty]:
        """See ``Contract.duties``."""
        return [*invitations(state, member, time_ms), *super().duties(state, member, time_ms)]


def invitations(state: State, member: MemberId, time_ms: int) -> list[Duty]:
    """What a member should look at: gradients and the sum; shares, if it is a party.

    Parties look at gradients, too: theirs are hidden among the others, and not among copies and inverses of theirs.
    """
    iteration = state.iteration
    if iteration is None or iteration.unfounded.get(member, 0) >= DEEPCHAIN_UNFOUNDED_PER_ITERATION_MAX:
        return []
    return [
        Duty(kind, subject, member, None)
        for kind, subject in _subjects(state, iteration, member)
        if allows(check_phase, state, iteration, _PHASES[kind], time_ms)
    ]


def accused(state: State, duty: Duty) -> MemberId | None:
    """Whom an invitation is about; ``None``: it has passed, or is about a sum."""
    iteration = state.iteration
    parties = () if iteration is None else iteration.parties
    number = iteration.number if iteration else 0
    return next((party for party in parties if _subject(duty.kind, number, party) == duty.subject), None)


def _subjects(state: State, iteration: Iteration, member: MemberId) -> Iterator[tuple[str, Digest]]:
    if member not in state.group.joined:
        return
    for party in sorted(set(iteration.gradients) - {*iteration.convicted, member}):
        yield ACCUSE, _subject(ACCUSE, iteration.number, party)
    if iteration.sum is not None:
        yield DISPUTE, _subject(DISPUTE, iteration.number, iteration.attempt)
    if member in iteration.parties:
        for party in sorted(set(iteration.shares) - {*iteration.unshared, member}):
            yield CHALLENGE, _subject(CHALLENGE, iteration.number, party)


@lru_cache(maxsize=1 << 12)
def _subject(kind: str, *place: int | str) -> Digest:
    return digest(f"tclearn/deepchain/{kind}/1", *place)
