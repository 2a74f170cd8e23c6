"""Members that do not behave, for demonstrations and for testing one's own charter.

Each wraps an honest trainer and lies in one way; everything else about the member stays honest, its votes too. A member
that flips labels or holds somebody else's records needs no wrapper: it is given such data.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

import numpy as np

from tclearn.coalition.evidence import Evidence
from tclearn.learning.parameters import Parameters
from tclearn.learning.trainer import Contribution, DataId, Trainer, Work


@dataclass
class Honest:
    """A trainer that passes everything on; the base of those that do not."""

    trainer: Trainer

    def initial(self, seed: int) -> Parameters:
        """See ``Trainer.initial``."""
        return self.trainer.initial(seed)

    def train(self, start: Parameters, work: Work) -> Contribution | None:
        """See ``Trainer.train``."""
        return self.trainer.train(start, work)

    def measure(self, reference: Parameters, candidate: Parameters, used: Container[DataId]) -> Evidence:
        """See ``Trainer.measure``."""
        return self.trainer.measure(reference, candidate, used)

    def model(self, parameters: Parameters) -> Any:
        """See ``Trainer.model``."""
        return self.trainer.model(parameters)


@dataclass
class Noise(Honest):
    """Offers its honest increment with Gaussian noise on every weight.

    Attributes:
        scale: standard deviation of the noise, in units of each tensor's own root mean square.
    """

    scale: float = 2.0

    def train(self, start: Parameters, work: Work) -> Contribution | None:
        """See ``Trainer.train``."""
        contribution = self.trainer.train(start, work)
        if contribution is None:
            return None
        random = np.random.Generator(np.random.Philox(work.seed))
        noisy = {}
        for name, tensor in contribution.parameters.items():
            if np.issubdtype(tensor.dtype, np.floating):
                size = float(np.sqrt(np.mean(np.square(tensor, dtype=np.float64)))) or 1.0
                noise = self.scale * size * random.standard_normal(tensor.shape)
                noisy[name] = (tensor + noise).astype(tensor.dtype)
            else:
                noisy[name] = tensor
        return Contribution(Parameters(noisy), contribution.data_ids, contribution.set_aside)


@dataclass
class Reuse(Honest):
    """Trains on its records again and again, as if they had not counted yet."""

    def train(self, start: Parameters, work: Work) -> Contribution | None:
        """See ``Trainer.train``."""
        return self.trainer.train(start, Work(work.seed, work.hyperparameters, frozenset()))


@dataclass
class Replay(Honest):
    """Offers the model as it stands, as if it had trained: the parameters of an accepted block, once more."""

    def train(self, start: Parameters, work: Work) -> Contribution | None:
        """See ``Trainer.train``."""
        contribution = self.trainer.train(start, work)
        return contribution and Contribution(start, contribution.data_ids, contribution.set_aside)
