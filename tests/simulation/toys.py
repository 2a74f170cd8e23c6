"""A trainer whose model is two numbers, so that whole coalitions run in milliseconds and every result is known.

The first number is how many answers of a hundred are right on G; training on a record adds one.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tclearn.coalition.charter import Charter
from tclearn.coalition.evidence import Evidence, Paired
from tclearn.encoding import digest
from tclearn.learning.parameters import Parameters
from tclearn.learning.trainer import Contribution, DataId, LocalData, Task, Trainer, Work
from tclearn.simulation.simulate import Setting

GLOBAL_N = 100
START = 10


def toy_model() -> None:
    """Stands in for the model factory that a charter names."""


@dataclass
class Toy:
    """A member's data are a number of records; they are divided into contributions as usual."""

    member: str
    records: int
    contributions: int

    def initial(self, seed: int) -> Parameters:
        return toy_parameters(START, 0)

    def train(self, start: Parameters, work: Work) -> Contribution | None:
        mine = sorted(digest("toy record", self.member, number)[:16] for number in range(self.records))
        fresh = [record for record in mine if record not in work.used]
        chosen = tuple(fresh[: -(-self.records // self.contributions)])
        if not chosen:
            return None
        parameters = toy_parameters(right(start) + len(chosen), work.seed % 1_000_003)
        return Contribution(parameters, chosen, 0)

    def measure(self, reference: Parameters, candidate: Parameters, used: Container[DataId]) -> Evidence:
        return Evidence(paired(right(reference), right(candidate)))

    def model(self, parameters: Parameters) -> Any:
        return right(parameters)


@dataclass(frozen=True)
class ToyRecipe:
    def hyperparameters(self) -> Mapping[str, int]:
        return {"epochs": 1}

    def bind(self, task: Task, data: LocalData) -> Trainer:
        member, records = data.training
        return Toy(member, records, data.contributions)


def toy_parameters(right: int, mark: int) -> Parameters:
    return Parameters({"right": np.array([right], np.float32), "mark": np.array([mark], np.float32)})


def right(parameters: Parameters) -> int:
    return min(GLOBAL_N, int(parameters["right"][0]))


def paired(reference: int, candidate: int) -> Paired:
    difference = candidate - reference
    return Paired(GLOBAL_N, GLOBAL_N, reference, candidate, max(0, -difference), max(0, difference))


def toy_setting(n: int = 4, *, records: int = 6, blocks: int | None = 5, seed: int = 1, **changes: Any) -> Setting:
    """A coalition of toys; the keywords of ``Setting`` go there, others into its charter."""
    kept = {name: changes.pop(name) for name in ("adversaries", "contributions") if name in changes}
    charter = Charter(
        **{"name": "toys", "model": toy_model, "metric": "accuracy", "blocks": blocks, "minimum_batch": 1, **changes}
    )
    return Setting(
        charter=charter,
        members={name: (name, records) for name in (f"m{number:02d}" for number in range(n))},
        global_test=(np.zeros((GLOBAL_N, 1), np.float32), np.zeros(GLOBAL_N, np.int64)),
        trainer=ToyRecipe(),
        seed=seed,
        **kept,
    )
