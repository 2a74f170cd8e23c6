"""Plans of storms over real members of DeepChain: who is faulty and how, what fails, and what they train."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final

import numpy as np
from tests.protocols.deepchain import training
from tests.protocols.deepchain.world import terms

from tclearn.agents import Role
from tclearn.coalition.evidence import Evidence
from tclearn.coalition.quorum import faulty_max
from tclearn.encoding import Digest, digest
from tclearn.learning.parameters import Parameters
from tclearn.learning.trainer import Contribution, Work
from tclearn.protocols.deepchain import DeepChainTerms
from tclearn.protocols.deepchain import adversaries as a
from tclearn.protocols.deepchain.agent import CLIP_UNIT, Performer
from tclearn.protocols.deepchain.judging import Place
from tclearn.protocols.deepchain.paillier_judge import PaillierJudge
from tclearn.protocols.deepchain.state import State
from tclearn.simulation.storm.plan import Plan as Skies

CLIP: Final = CLIP_UNIT // 4
ITERATIONS: Final = 2
COINS: Final = 40_000
"""Of each member: more than a storm costs the honest, and not enough for a liar to fail iterations for ever."""
PATIENCE_MS: Final = 30 * 86_400_000

SILENT: Final = ("join", "contribute", "verify", "attach", "update", "check", "append", "take", "share", "report")
Kind = Callable[[Performer, random.Random], Role[State]]


def _silent(role: Performer, chance: random.Random) -> Role[State]:
    return a.Silent(role, frozenset(chance.sample(SILENT, chance.randint(1, 4))))


KINDS: Final[Mapping[str, Kind]] = {
    "silent": _silent,
    "wrong gradient": lambda role, _: a.WrongGradient(role),
    "wrong shares": lambda role, _: a.WrongShares(role),
    "withheld shares": lambda role, _: a.WithheldShares(role),
    "wrong sum": lambda role, _: a.WrongSum(role),
    "agreeable": lambda role, _: a.Agreeable(role),
    "garbage": lambda role, _: a.Faulty(role),
}
"""How a member may be faulty. Who talks garbage does its duty besides; the others talk some, too, now and then."""


@dataclass(frozen=True)
class Plan:
    """One storm.

    Attributes:
        seed: decides everything that happens.
        parties: how many.
        both: whether the parties are the workers, too; otherwise there are four workers besides.
        threshold: shares that open.
        liars: kind by member.
        spared: honest members that no fault touches.
        skies: how often messages are lost and late, and processes crash, of 1,000; and how long it lasts.
        sleep: of 1,000 rounds, in how many somebody falls asleep.
        cut: of 1,000 rounds, in how many some are cut off, so long as nobody is.
    """

    seed: int
    parties: int
    both: bool
    threshold: int
    liars: tuple[tuple[str, str], ...]
    spared: frozenset[str]
    skies: Skies
    sleep: int
    cut: int

    @classmethod
    def drawn(cls, seed: int) -> Plan:
        """The plan that a seed stands for."""
        chance = random.Random(f"deepchain storm {seed}")
        parties, both = chance.choice([4, 4, 5]), chance.random() < 0.5
        faulty = faulty_max(parties)
        made = founded(parties, both, 2)
        liars = set(chance.sample(made.parties, chance.randint(0, faulty)))
        if not both:
            liars |= set(chance.sample(made.workers, chance.randint(0, 1)))
        honest = [member.id for member in made.members if member.id not in liars]
        skies = Skies(
            seed,
            len(made.members),
            lost=chance.choice([0, 20, 100, 400]),
            late=chance.choice([0, 20, 200]),
            doubled=chance.choice([0, 20, 100]),
            crash=chance.choice([0, 5, 20, 80]),
            storm_ms=chance.randint(5, 600) * 60_000,
        )
        return cls(
            seed=seed,
            parties=parties,
            both=both,
            threshold=chance.randint(2, parties - faulty),
            liars=tuple((liar, chance.choice(sorted(KINDS))) for liar in sorted(liars)),
            spared=frozenset(chance.sample(honest, chance.randint(0, len(honest)))),
            skies=skies,
            sleep=chance.choice([0, 20, 100, 300]),
            cut=chance.choice([0, 0, 20]),
        )


@dataclass
class Toy:
    """A trainer whose gradient is fixed by its member and by what it starts from.

    Attributes:
        member: whose it is.
    """

    member: str

    def initial(self, seed: int) -> Parameters:
        chance = np.random.default_rng(seed)
        return Parameters({"b": chance.normal(size=5), "w": chance.normal(size=(3, 3)).astype(np.float32)})

    def train(self, start: Parameters, work: Work) -> Contribution | None:
        own = digest("toy gradient", self.member, start.digest)
        chance = np.random.default_rng(int.from_bytes(own[:8], "big"))
        tensors = {
            name: (tensor - chance.normal(scale=0.15, size=tensor.shape)).astype(tensor.dtype)
            for name, tensor in start.items()
        }
        return Contribution(Parameters(tensors), (), 0)

    def measure(self, reference: Parameters, candidate: Parameters, used: object) -> Evidence:
        raise NotImplementedError("DeepChain measures nothing")

    def model(self, parameters: Parameters) -> Any:
        return parameters


@cache
def founded(parties: int, both: bool, threshold: int) -> DeepChainTerms:
    """The charter; patient enough that no storm dissolves the group."""
    base = terms(parties, 4, both=both, coins=COINS, voids=1000)
    weights = (3, 1, 2, 5, 1)[:parties]
    key = training.Coalition(training.Plan(parties, threshold, hidden=2, weights=weights)).terms.key
    initial = Toy("").initial(1)
    return replace(
        base,
        model=replace(base.model, layout=initial.layout, initial=initial.digest),
        key=replace(key, clip=CLIP, ciphertexts=2),  # one would hold 12 of the 14 values
        times=replace(training.TIMES, patience_ms=PATIENCE_MS),
        iterations=ITERATIONS,
    )


@dataclass(frozen=True)
class Remembering(PaillierJudge):
    """The judge, asked by all members of one process: what it was asked before it does not compute again.

    Attributes:
        known: its answers.
    """

    known: dict[Digest, bool] = field(default_factory=dict, repr=False, compare=False)

    def encryption(self, place: Place, ciphertexts: Sequence[bytes], proof: bytes) -> bool:
        return self._answer(
            lambda: super(Remembering, self).encryption(place, ciphertexts, proof), place, [*ciphertexts, proof]
        )

    def share(self, place: Place, ciphertexts: Sequence[bytes], shares: Sequence[bytes], proof: bytes) -> bool:
        about = [*ciphertexts, *shares, proof]
        return self._answer(lambda: super(Remembering, self).share(place, ciphertexts, shares, proof), place, about)

    def _answer(self, asked: Callable[[], bool], place: Place, about: Sequence[bytes]) -> bool:
        name = digest("asked", place.iteration, place.party, place.batch, [*about])
        if name not in self.known:
            self.known[name] = asked()
        return self.known[name]
