"""What goes wrong in a storm: everything that a seed decides before it begins."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final, Self

from tclearn.coalition.quorum import faulty_max
from tclearn.protocols.tclearn.adversaries.words import LIARS

MEMBERS_MIN: Final = 3
MEMBERS_MAX: Final = 16
POISONER: Final = "poisoner"
"""A member whose increments are bad; it lies in nothing else."""
FADER: Final = "fader"
"""A member whose increments are good on G, and bad on what it does not see; it lies in nothing else."""
_MINUTE_MS: Final = 60_000
_SKEW_MS_MAX: Final = 90_000


@dataclass(frozen=True)
class Plan:
    """One storm.

    Attributes:
        seed: decides everything that happens while it lasts.
        members: how many there are.
        liars: kind of liar by member position; at most ⌊(N − 1)/3⌋ of them.
        blocks: the chain's length at which training ends.
        turns: ``"lease"`` or ``"free"``.
        lost: of 1,000 messages, how many are lost, in either direction.
        late: of 1,000 messages, how many arrive minutes later.
        doubled: of 1,000 messages, how many arrive a second time later.
        crash: of 1,000 steps that touch disk or network, how many end in a crash.
        outage: of 1,000 rounds, how many begin an outage of the ledger.
        skews_ms: by how much each member's clock is off.
        storm_ms: how long it lasts; afterwards only the liars remain.
        hidden: parts of hidden test records that each member brings at a time; 0: the rule does not look at any.
        forks: whether whoever orders the ledger shows two histories, leaves out and holds back what it likes.
        level: ``"A"``, or ``"B"``: the models lie in a vault, and members read some of them for their own use, too.
    """

    seed: int
    members: int
    liars: tuple[tuple[int, str], ...] = ()
    blocks: int = 3
    turns: str = "lease"
    lost: int = 0
    late: int = 0
    doubled: int = 0
    crash: int = 0
    outage: int = 0
    skews_ms: tuple[int, ...] = ()
    storm_ms: int = 0
    hidden: int = 0
    forks: bool = False
    level: str = "A"

    @classmethod
    def drawn(cls, seed: int, *, forks: bool = False) -> Self:
        """The plan that a seed stands for."""
        chance = random.Random(f"tclearn/storm/{seed}")
        members = min(chance.randint(MEMBERS_MIN, MEMBERS_MAX), chance.randint(MEMBERS_MIN, MEMBERS_MAX))
        liars = chance.sample(range(members), chance.randint(0, faulty_max(members)))
        skews = [chance.randint(-_SKEW_MS_MAX, _SKEW_MS_MAX) for _ in range(members)]
        return cls(
            seed=seed,
            members=members,
            liars=tuple((place, chance.choice([*LIARS, POISONER, FADER])) for place in sorted(liars)),
            blocks=chance.randint(1, 3),
            turns=chance.choice(["lease", "lease", "free"]),
            lost=chance.choice([0, 20, 100, 300]),
            late=chance.choice([0, 20, 100]),
            doubled=chance.choice([0, 20, 100]),
            crash=chance.choice([0, 0, 5, 20]),
            outage=chance.choice([0, 0, 20]),
            skews_ms=tuple(skews) if chance.random() < 0.5 else (),
            storm_ms=chance.randint(5, 180) * _MINUTE_MS,
            hidden=chance.choice([0, 2, 6]),
            forks=forks,
            level=chance.choice(["A", "A", "B"]),
        )
