"""A trainer that does no work: what is left is the cost of the coalition itself."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

import numpy as np

from tclearn.coalition.evidence import Evidence, Paired
from tclearn.learning.parameters import Parameters
from tclearn.learning.trainer import Contribution, DataId, Work

GLOBAL_N = 100


@dataclass
class NullTrainer:
    """Offers the model with one number changed, and finds every candidate equally good.

    Attributes:
        member: distinguishes the data IDs of members.
        size: float32 parameters of the model.
    """

    member: str
    size: int
    _offered: int = 0

    def initial(self, seed: int) -> Parameters:
        """See ``Trainer.initial``."""
        return Parameters({"w": np.zeros(self.size, dtype=np.float32)})

    def train(self, start: Parameters, work: Work) -> Contribution:
        """See ``Trainer.train``."""
        self._offered += 1
        changed = start["w"].copy()
        changed[0] = np.float32(work.seed % (1 << 24))
        return Contribution(Parameters({"w": changed}), (self._record(),), 0)

    def measure(self, reference: Parameters, candidate: Parameters, used: Container[DataId]) -> Evidence:
        """See ``Trainer.measure``."""
        return Evidence(Paired(GLOBAL_N, GLOBAL_N, 50, 50, 0, 0))

    def model(self, parameters: Parameters) -> Any:
        """See ``Trainer.model``."""
        return parameters

    def _record(self) -> DataId:
        return f"{self.member}/{self._offered}".encode().rjust(16, b"\0")[-16:]
