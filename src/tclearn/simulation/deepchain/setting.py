"""Who takes part in a simulated DeepChain coalition with what, and the charter that follows from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any, Final

from tclearn.agents import Role
from tclearn.coalition.arguments import argument_text
from tclearn.coalition.fines import ratio
from tclearn.coalition.quorum import faulty_max
from tclearn.coalition.resolve import factory_name
from tclearn.coalition.terms import ModelTerms, TaskTerms
from tclearn.encoding import Digest, MemberId
from tclearn.errors import Code, DataError, UsageError
from tclearn.learning.data_ids import data_set_digest
from tclearn.learning.parameters import Parameters
from tclearn.learning.records import Records, materialise
from tclearn.learning.source import load_factory, source_digest
from tclearn.learning.trainer import LocalData, Recipe, Task, Trainer
from tclearn.limits import DEEPCHAIN_KEYWORD_CHARACTERS_MAX
from tclearn.paillier.keys import FAST_BITS, MODULUS_BITS, PublicKey
from tclearn.paillier.packing import Layout
from tclearn.protocols.deepchain import DeepChainTerms, KeyTerms, MoneyTerms, Times
from tclearn.protocols.deepchain.agent import CLIP_UNIT, Offer, Performer
from tclearn.protocols.deepchain.calls import CONTRACT
from tclearn.protocols.deepchain.state import State
from tclearn.simulation.installed import installed_name
from tclearn.simulation.keys import SeededKeys

Misbehaviour = Callable[[Performer], Role[State]]
"""Makes a member's role misbehave; see ``tclearn.protocols.deepchain.adversaries``."""

_PHASE_MS: Final = 600_000
TIMES: Final = Times(
    t1=_PHASE_MS,
    t2=2 * _PHASE_MS,
    t3=3 * _PHASE_MS,
    t7=4 * _PHASE_MS,
    t8=5 * _PHASE_MS,
    t9=6 * _PHASE_MS,
    t4=12 * _PHASE_MS,
    t5=13 * _PHASE_MS,
    t6=14 * _PHASE_MS,
    block_ms=3 * _PHASE_MS,
    patience_ms=_PHASE_MS,
)
"""Ten minutes of virtual time for each step, and three blocks that may stay empty in an iteration."""
COINS: Final = 1000
"""Of each member at the founding: a party can lose two deposits, a worker three, and is then left out."""
DEPOSIT: Final = 300
_NOTICED_PPM: Final = 1_000_000
"""Proofs show every deviation that costs a deposit."""
_HONEST_PPM: Final = 800_000
_VOIDS: Final = 3
PARTIES_MIN: Final = 4
"""With fewer nobody may be faulty: f = 0."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Who takes part with what; attributes as the arguments of ``simulation.simulate``.

    Raises:
        UsageError: too few parties or workers, a name that is both or neither, a size that keys do not have.
    """

    parties: Mapping[str, Any]
    workers: Sequence[str]
    model: str | Callable[..., Any]
    global_test: Any
    trainer: Recipe
    seed: int
    iterations: int
    arguments: Mapping[str, Any] = field(default_factory=dict)
    metric: str = "accuracy"
    name: str = "simulation"
    key_bits: int = FAST_BITS
    clip: float = 2.0
    adversaries: Mapping[str, Misbehaviour] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.parties, Mapping):
            raise UsageError(Code.USAGE, "parties is not a mapping", expected='{"hospital-1": its data set, …}')
        if len(self.parties) < PARTIES_MIN or len(self.workers) < PARTIES_MIN:
            raise UsageError(
                Code.USAGE,
                f"{_count(self.parties, 'party', 'parties')} and {_count(self.workers, 'worker', 'workers')}",
                expected=f"at least {PARTIES_MIN} of both: so many it takes that one may be faulty",
            )
        if len({*self.parties, *self.workers}) < len(self.parties) + len(self.workers):
            raise UsageError(Code.USAGE, "a name that is there twice", expected="parties and workers of other names")
        if self.key_bits not in MODULUS_BITS:
            raise UsageError(
                Code.PAILLIER_KEY,
                f"a key of {self.key_bits} bits",
                expected=" or ".join(map(str, sorted(MODULUS_BITS))),
            )
        if not self.clip >= 1 / CLIP_UNIT:
            raise UsageError(Code.USAGE, f"clip is {self.clip}", expected="the largest change of a number that counts")
        for given in self.adversaries:
            if given not in self.names:
                raise UsageError(Code.USAGE, f"{given!r} is not a member", expected=", ".join(self.names))

    @property
    def party_names(self) -> tuple[MemberId, ...]:
        """The parties, sorted as text: place i in the list (from 1) has key share i."""
        return tuple(sorted(MemberId(name) for name in self.parties))

    @property
    def worker_names(self) -> tuple[MemberId, ...]:
        """The workers, sorted as text."""
        return tuple(sorted(MemberId(name) for name in self.workers))

    @property
    def names(self) -> list[MemberId]:
        """Everybody, sorted as text."""
        return sorted([*self.party_names, *self.worker_names])

    @property
    def threshold(self) -> int:
        """t: more than half of the parties open a sum."""
        return len(self.parties) // 2 + 1

    @property
    def keys(self) -> SeededKeys:
        """Every signing key."""
        return SeededKeys(self.seed)

    @cached_property
    def data(self) -> dict[MemberId, Records]:
        """What each party trains on.

        Raises:
            DataError: it cannot be read, or two parties have the same.
        """
        data = {name: materialise(self.parties[name], f"{name}'s data set") for name in self.party_names}
        owners: dict[Digest, MemberId] = {}
        for name, records in data.items():
            owner = owners.setdefault(data_set_digest(records), name)
            if owner != name:
                raise DataError(Code.DATA_UNREADABLE, f"{owner} and {name} have the same data", expected="each its own")
        return data

    def offer(self, party: MemberId) -> Offer:
        """What a party says of its data on the ledger."""
        records = self.data[party]
        described = f"{records.inputs.dtype} {records.inputs.shape[1:]}"[:DEEPCHAIN_KEYWORD_CHARACTERS_MAX]
        return Offer(data_set_digest(records), 1, len(records), described, self.name, "training of this model")

    @cached_property
    def task(self) -> Task:
        """What every trainer is made for."""
        return Task(
            model=load_factory(self.model),
            arguments=self.arguments,
            metric=self.metric,
            global_test=materialise(self.global_test, "the global test set"),
            local_share=0,
            step_search="none",
        )

    def trainers(self) -> dict[MemberId, Trainer]:
        """A trainer for each member; a worker's has no data."""
        trainers = {}
        for name in self.names:
            try:
                trainers[name] = self.trainer.bind(self.task, LocalData(self.data.get(name)))
            except DataError as error:
                error.what = f"{name}: {error.what}"
                raise
        return trainers

    def check(self) -> None:
        """Bind data and model, and write nothing; returns nothing. Errors as ``simulate``."""
        self.trainers()[self.party_names[0]].initial(self.seed)

    def terms(self, key: PublicKey, initial: Parameters) -> DeepChainTerms:
        """The charter.

        Args:
            key: the threshold key.
            initial: W_0.

        Raises:
            CharterError: no coalition can agree on this.
        """
        parties = self.party_names
        return DeepChainTerms(
            format=1,
            name=self.name,
            protocol="deepchain",
            contracts=(CONTRACT,),
            members=tuple(self.keys.member(name) for name in self.names),
            log_key=self.keys.log().public,
            parties=parties,
            workers=self.worker_names,
            model=ModelTerms(
                factory=factory_name(self.model),
                arguments={name: argument_text(value) for name, value in self.arguments.items()},
                seed=self.seed,
                source=source_digest(load_factory(self.model)),
                layout=tuple(sorted(initial.layout, key=lambda tensor: tensor.name)),
                initial=initial.digest,
            ),
            task=TaskTerms(
                self.metric, data_set_digest(self.task.global_test), len(self.task.global_test), local_share_ppm=0
            ),
            trainer=installed_name(self.trainer) or "torch",
            hyperparameters=dict(self.trainer.hyperparameters()),
            key=self._key_terms(key, initial),
            times=TIMES,
            money=self._money(),
            minimum=faulty_max(len(parties)) + 2,
            iterations=self.iterations,
            voids=_VOIDS,
        )

    def _key_terms(self, key: PublicKey, initial: Parameters) -> KeyTerms:
        layout = Layout(key.bits, (1,) * len(self.parties))
        size = key.group.element_bytes
        return KeyTerms(
            key=key.encode(),
            slot_bits=layout.slot_bits,
            value_bits=layout.value_bits,
            clip=round(self.clip * CLIP_UNIT),
            threshold=self.threshold,
            ciphertext_bytes=size,
            share_bytes=size,
            ciphertexts=layout.count(sum(each.size for each in initial.values())),
            weights=layout.weights,
        )

    def _money(self) -> MoneyTerms:
        return MoneyTerms(
            coins=dict.fromkeys(self.names, COINS),
            gradient_deposit=DEPOSIT,
            decryption_deposit=DEPOSIT,
            work_deposit=DEPOSIT,
            party_reward=_reward(1),
            worker_reward=_reward(len(self.workers)),
            noticed_ppm=_NOTICED_PPM,
            honest_ppm=_HONEST_PPM,
        )


def _count(names: Sized, one: str, many: str) -> str:
    return f"{len(names)} {one if len(names) == 1 else many}"


def _reward(leaders: int) -> int:
    # The largest for which the deposit deters, by theorem 1 of the paper and, for workers, by theorem 2.
    return math.ceil(DEPOSIT / ratio(_NOTICED_PPM, _HONEST_PPM, Fraction(1, leaders))) - 1
