"""How much of what was trained lies beyond the clip: it is cut, and the model learns less than it could."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tclearn.coalition.evidence import Evidence
from tclearn.learning.parameters import Parameters
from tclearn.learning.trainer import Contribution, DataId, Trainer, Work
from tclearn.protocols.deepchain.agent.quantising import gradient

SHARE_MAX: Final = 0.01
"""Of all values; with more of them cut it is worth a look at the clip."""


class ClippingWarning(UserWarning):
    """More than one in a hundred values of gradients were cut."""


@dataclass
class Clipped:
    """Counts values of gradients.

    Attributes:
        clip: the largest that counts.
        cut: how many are beyond it.
        of: how many there are.
    """

    clip: float
    cut: int = 0
    of: int = 0

    @property
    def share(self) -> float:
        """0 to 1."""
        return self.cut / self.of if self.of else 0.0


def clipping(share: float, clip: float) -> str:
    """That too much was cut, in words; empty when it was not."""
    if share <= SHARE_MAX:
        return ""
    return f"{share:.1%} of the values of all gradients were cut to ±{clip:g}: a larger clip or a smaller learning rate"


@dataclass(frozen=True)
class Counting:
    """A trainer whose gradients are counted, and nothing else.

    Attributes:
        trainer: the trainer.
        clipped: where to.
    """

    trainer: Trainer
    clipped: Clipped

    def initial(self, seed: int) -> Parameters:
        """See ``Trainer.initial``."""
        return self.trainer.initial(seed)

    def train(self, start: Parameters, work: Work) -> Contribution | None:
        """See ``Trainer.train``."""
        contribution = self.trainer.train(start, work)
        if contribution is not None:
            values = gradient(start, contribution.parameters)
            self.clipped.cut += int(np.count_nonzero(np.abs(values) > self.clipped.clip))
            self.clipped.of += values.size
        return contribution

    def measure(self, reference: Parameters, candidate: Parameters, used: Container[DataId]) -> Evidence:
        """See ``Trainer.measure``."""
        return self.trainer.measure(reference, candidate, used)

    def model(self, parameters: Parameters) -> Any:
        """See ``Trainer.model``."""
        return self.trainer.model(parameters)
