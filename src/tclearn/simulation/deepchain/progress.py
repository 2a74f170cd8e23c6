"""Where an iteration is, in one line: who does what, and how many have done it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tclearn.protocols.deepchain.records import Iteration
from tclearn.protocols.deepchain.state import State
from tclearn.protocols.deepchain.times import (
    APPENDING,
    CHECKING,
    COLLECTING,
    DECRYPTING,
    DOWNLOADING,
    RETURNING,
    UPDATING,
    UPLOADING,
    VERIFYING,
)

_DOING: Final[Mapping[str, Callable[[Iteration], str]]] = {
    COLLECTING: lambda now: f"parties train and encrypt, {len(now.gradients)} of {len(now.parties)} have",
    VERIFYING: lambda now: f"workers verify the gradients, {len(now.doubts)} of {len(now.voters)} have",
    UPLOADING: lambda now: f"parties attach their gradients, {len(now.attached)} of {len(now.verified)} have",
    UPDATING: lambda now: f"{now.leader} adds up",
    CHECKING: lambda now: f"workers verify the sum of {now.leader}, {len(now.checks)} of {len(now.voters)} have",
    APPENDING: lambda now: f"the committee signs the block, {len(now.signed)} have",
    DOWNLOADING: lambda now: f"parties add up, too, {len(now.takes)} of {len(now.parties)} have",
    DECRYPTING: lambda now: f"parties make decryption shares, {len(now.shares)} of {len(now.openers)} have",
    RETURNING: lambda now: f"parties verify shares and open the sum, {len(now.reports)} of {len(now.openers)} have",
}


def doing(state: State) -> str:
    """What the members do now, and how far the training is."""
    iteration, wanted = state.iteration, state.terms.iterations
    if iteration is None:
        return f"the group is {state.group.status}"
    done = f"{state.group.rounds} of {wanted} done"
    return f"iteration {iteration.number}, {done}: {_DOING[iteration.phase](iteration)}"
