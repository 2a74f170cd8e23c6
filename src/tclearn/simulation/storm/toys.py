"""Training and testing that take no time: a model is good or bad, and everybody can tell."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tclearn.coalition.evidence import Evidence, Paired
from tclearn.encoding import digest
from tclearn.learning.parameters import Parameters
from tclearn.learning.trainer import Contribution, DataId, Work

GLOBAL_N: Final = 100
_USUAL: Final = 50
_BAD: Final = 20
_RECORDS_MAX: Final = 3


@dataclass
class Toy:
    """A trainer whose models are two numbers: whether the model is good, and what tells it from others.

    Attributes:
        member: distinguishes the records of members.
        good: whether its increments are.
    """

    member: str
    good: bool = True

    def initial(self, seed: int) -> Parameters:
        """See ``Trainer.initial``."""
        return Parameters({"w": np.array([1, 0], dtype=np.float64)})

    def train(self, start: Parameters, work: Work) -> Contribution | None:
        """See ``Trainer.train``."""
        ids: list[DataId] = []
        number = 0
        while len(ids) <= work.seed % _RECORDS_MAX:
            record = digest("toy record", self.member, number)[:16]
            if record not in work.used:
                ids.append(record)
            number += 1
        mark = float(work.seed % (1 << 50))
        return Contribution(Parameters({"w": np.array([float(self.good), mark])}), tuple(sorted(ids)), 0)

    def measure(self, reference: Parameters, candidate: Parameters, used: Container[DataId]) -> Evidence:
        """See ``Trainer.measure``."""
        before, after = (_USUAL if model["w"][0] == 1 else _BAD for model in (reference, candidate))
        return Evidence(
            Paired(GLOBAL_N, GLOBAL_N, before, after, lost=max(0, before - after), gained=max(0, after - before))
        )

    def model(self, parameters: Parameters) -> Any:
        """See ``Trainer.model``."""
        return parameters
