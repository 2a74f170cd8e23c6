"""A trainer that does no work: what is left is the cost of the coalition itself."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from tclearn.coalition.charter import Charter
from tclearn.coalition.evidence import Evidence, Paired
from tclearn.encoding import digest
from tclearn.learning.parameters import Parameters
from tclearn.learning.trainer import Contribution, DataId, LocalData, Task, Trainer, Work
from tclearn.simulation.simulate import Setting

GLOBAL_N = 100


def no_model() -> None:
    """Stands in for the model factory that a charter names."""


@dataclass
class NullTrainer:
    """Offers the model with a few numbers changed and one record that nobody has, and finds all models equally good.

    It keeps nothing: what it does next follows from what the ledger has, as with a trainer that does work.

    Attributes:
        member: distinguishes the data IDs of members.
        size: float32 parameters of the model.
    """

    member: str
    size: int

    def initial(self, seed: int) -> Parameters:
        """See ``Trainer.initial``."""
        return Parameters({"w": np.zeros(self.size, dtype=np.float32)})

    def train(self, start: Parameters, work: Work) -> Contribution | None:
        """See ``Trainer.train``."""
        changed = start["w"].copy()
        mark = np.frombuffer(work.seed.to_bytes(8, "little"), np.uint8)
        changed[: mark.size] = mark[: self.size]
        changed.flags.writeable = False  # so that it need not be copied again
        fresh = next(record for record in map(self._record, count()) if record not in work.used)
        return Contribution(Parameters({"w": changed}), (fresh,), 0)

    def measure(self, reference: Parameters, candidate: Parameters, used: Container[DataId]) -> Evidence:
        """See ``Trainer.measure``."""
        return Evidence(Paired(GLOBAL_N, GLOBAL_N, 50, 50, 0, 0))

    def model(self, parameters: Parameters) -> Any:
        """See ``Trainer.model``."""
        return parameters

    def _record(self, number: int) -> DataId:
        return digest("null record", self.member, number)[:16]


@dataclass(frozen=True)
class NullRecipe:
    """Binds null trainers; a member's data are its name.

    Attributes:
        size: float32 parameters of the model.
    """

    size: int = 8

    def hyperparameters(self) -> Mapping[str, int]:
        """See ``Recipe.hyperparameters``."""
        return {"epochs": 1}

    def bind(self, task: Task, data: LocalData) -> Trainer:
        """See ``Recipe.bind``."""
        return NullTrainer(str(data.training), self.size)


def null_setting(members: int, charter: Charter, *, size: int = 8, seed: int = 1) -> Setting:
    """A coalition of null trainers, ``m00`` and so on.

    Args:
        members: how many.
        charter: from ``null_charter``.
        size: float32 parameters of the model.
        seed: fixes keys and draws.
    """
    return Setting(
        charter=charter,
        members={name: name for name in (f"m{number:02d}" for number in range(members))},
        global_test=(np.zeros((GLOBAL_N, 1), dtype=np.float32), np.zeros(GLOBAL_N, dtype=np.int64)),
        trainer=NullRecipe(size),
        seed=seed,
    )


def null_charter(blocks: int, **changes: Any) -> Charter:
    """The charter of a coalition of null trainers; it runs until it has so many blocks."""
    usual = {"name": "null", "model": no_model, "metric": "accuracy", "blocks": blocks, "minimum_batch": 1}
    return Charter(**{**usual, **changes})
