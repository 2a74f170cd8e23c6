"""The trainer that passes everything on: the base of those that do not."""

from __future__ import annotations

from collections.abc import Container, Sequence, Set
from dataclasses import dataclass
from typing import Any

from tclearn.coalition.evidence import Evidence, Paired
from tclearn.encoding import Digest
from tclearn.learning.parameters import Parameters
from tclearn.learning.records import Records
from tclearn.learning.trainer import Contribution, DataId, HiddenTests, Trainer, Work


@dataclass
class Honest:
    """A trainer that passes everything on; the base of those that do not.

    What a member that does not behave remembers, it remembers while its process lives.
    """

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

    def hidden_parts(self, earlier: Set[Digest]) -> Sequence[Records]:
        """See ``HiddenTests.hidden_parts``."""
        return self.trainer.hidden_parts(earlier) if isinstance(self.trainer, HiddenTests) else ()

    def compare(self, reference: Parameters, candidate: Parameters, records: Records) -> Paired | None:
        """See ``HiddenTests.compare``."""
        return self.trainer.compare(reference, candidate, records) if isinstance(self.trainer, HiddenTests) else None

    def model(self, parameters: Parameters) -> Any:
        """See ``Trainer.model``."""
        return self.trainer.model(parameters)
