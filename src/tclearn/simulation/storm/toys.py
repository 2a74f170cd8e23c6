"""Training and testing that take no time: a model is good, bad or faded, and everybody can tell."""

from __future__ import annotations

from collections.abc import Container, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tclearn.coalition.acceptance import Guard, Terms, Threshold
from tclearn.coalition.evidence import HIDDEN, Evidence, Paired
from tclearn.coalition.strict import STRICT
from tclearn.encoding import Digest, digest
from tclearn.learning.parameters import Parameters
from tclearn.learning.records import Records
from tclearn.learning.trainer import Contribution, DataId, Work

GLOBAL_N: Final = 100
BAD: Final = 0
GOOD: Final = 1
FADED: Final = 2
"""Nearly as good as a good one on G, and bad on hidden records. What is trained from it is faded, too."""
_ON_GLOBAL: Final = {BAD: 20, GOOD: 50, FADED: 49}
_ON_HIDDEN: Final = {BAD: 0, GOOD: 16, FADED: 2}
_PART_N: Final = 16
_RECORDS_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class Looking(Threshold):
    """``anchored``, which also has hidden parts shown, and takes back what they find worse; none turns anybody down."""

    name: str = "looking"
    wants: frozenset[str] = frozenset({HIDDEN})

    def reference(self, previous: int, best: int) -> int:
        """See ``AcceptanceRule.reference``."""
        return best

    def drifted(self, total: Paired, terms: Terms) -> Guard:
        """See ``acceptance.drift_guard``."""
        return STRICT.drifted(total, terms)


@dataclass
class Toy:
    """A trainer whose models are two numbers: of what kind the model is, and what tells it from others.

    Attributes:
        member: distinguishes the records of members.
        kind: of its increments.
        parts: hidden parts that it brings at a time.
    """

    member: str
    kind: int = GOOD
    parts: int = 0

    def initial(self, seed: int) -> Parameters:
        """See ``Trainer.initial``."""
        return Parameters({"w": np.array([GOOD, 0], dtype=np.float64)})

    def train(self, start: Parameters, work: Work) -> Contribution | None:
        """See ``Trainer.train``."""
        ids: list[DataId] = []
        number = 0
        while len(ids) <= work.seed % _RECORDS_MAX:
            record = digest("toy record", self.member, number)[:16]
            if record not in work.used:
                ids.append(record)
            number += 1
        kind = FADED if self.kind == GOOD and start["w"][0] == FADED else self.kind
        mark = float(work.seed % (1 << 50))
        return Contribution(Parameters({"w": np.array([float(kind), mark])}), tuple(sorted(ids)), 0)

    def measure(self, reference: Parameters, candidate: Parameters, used: Container[DataId]) -> Evidence:
        """See ``Trainer.measure``."""
        return Evidence(_paired(GLOBAL_N, _ON_GLOBAL, reference, candidate))

    def hidden_parts(self, earlier: Set[Digest]) -> Sequence[Records]:
        """See ``HiddenTests.hidden_parts``; every record is a number that only this member can know."""
        first = len(earlier)
        drawn = digest("hidden records", self.member)
        numbers = int.from_bytes(drawn[:4], "big") + first + np.arange(self.parts * _PART_N, dtype=np.int64)
        return [Records(part[:, None], np.zeros(_PART_N, np.int64)) for part in np.split(numbers, max(1, self.parts))]

    def compare(self, reference: Parameters, candidate: Parameters, records: Records) -> Paired | None:
        """See ``HiddenTests.compare``."""
        return _paired(len(records), _ON_HIDDEN, reference, candidate)

    def model(self, parameters: Parameters) -> Any:
        """See ``Trainer.model``."""
        return parameters


def _paired(n: int, right: dict[int, int], reference: Parameters, candidate: Parameters) -> Paired:
    before, after = (right[int(model["w"][0])] for model in (reference, candidate))
    return Paired(n, n, before, after, lost=max(0, before - after), gained=max(0, after - before))
