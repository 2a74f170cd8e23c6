"""What a validator measured, as integers: the only form in which a test result enters the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from tclearn.records import Record

MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Paired(Record):
    """Two models measured on the same test records.

    Attributes:
        n: number of test records.
        scale: what ``reference`` and ``candidate`` are fractions of: ``n`` for accuracy (the numbers are counts of
            right answers), 1,000,000 for macro F1, AUC and Dice (the numbers are millionths).
        reference: performance of the reference model, 0 to ``scale``.
        candidate: performance of the candidate, 0 to ``scale``.
        lost: records that the reference answered right and the candidate wrong (0 where that has no meaning).
        gained: records that the candidate answered right and the reference wrong (0 where that has no meaning).
    """

    n: int
    scale: int
    reference: int
    candidate: int
    lost: int
    gained: int

    def fault(self, metric: str) -> str | None:
        """Why these numbers cannot be a measurement of a metric; ``None`` when they can."""
        if self.n < 1:
            return "n must be at least 1"
        counts = metric == "accuracy"
        if self.scale != (self.n if counts else MILLION):
            return f"the scale of {metric} must be {'n' if counts else '1,000,000'}"
        if max(self.reference, self.candidate) > self.scale:
            return "a performance above its scale"
        if counts and self.candidate - self.reference != self.gained - self.lost:
            return "lost and gained do not explain the difference"
        if self.lost + self.gained > self.n:
            return "more answers lost and gained than records"
        return None

    @property
    def reference_performance(self) -> Fraction:
        """Performance of the reference, 0 to 1."""
        return Fraction(self.reference, self.scale)

    @property
    def candidate_performance(self) -> Fraction:
        """Performance of the candidate, 0 to 1."""
        return Fraction(self.candidate, self.scale)


@dataclass(frozen=True, slots=True)
class Evidence(Record):
    """A validator's measurement of a candidate (Lugan et al. 2019, §III.A, figure 1).

    Attributes:
        on_global: on the global test set G, which all members share.
        on_local: on the validator's own local test set L; ``None`` while it has none.
    """

    on_global: Paired
    on_local: Paired | None = None
