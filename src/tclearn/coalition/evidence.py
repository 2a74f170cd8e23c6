"""What a validator measured, as integers: the only form in which a test result enters the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from tclearn.limits import TEST_RECORDS_MAX
from tclearn.records import Record

MILLION: Final = 1_000_000
CLASSES: Final = "classes"
"""What a rule may want: answers counted class by class."""
STEP: Final = "step"
"""What a rule may want: the increment compared with those accepted before."""
HIDDEN: Final = "hidden"
"""What a rule may want: results on a part of the test records that was hidden until the candidate was fixed."""
_CLASSES_MAX: Final = 4_096


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
        if not 1 <= self.n <= TEST_RECORDS_MAX:
            return f"n must be from 1 to {TEST_RECORDS_MAX}"
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
    def counted(self) -> bool:
        """Whether the numbers are counts of answers, so that ``lost`` and ``gained`` say where the models differ."""
        return self.scale == self.n and self.candidate - self.reference == self.gained - self.lost

    @property
    def reference_performance(self) -> Fraction:
        """Performance of the reference, 0 to 1."""
        return Fraction(self.reference, self.scale)

    @property
    def candidate_performance(self) -> Fraction:
        """Performance of the candidate, 0 to 1."""
        return Fraction(self.candidate, self.scale)


@dataclass(frozen=True, slots=True)
class ClassCounts(Record):
    """Two models' answers to one question on G: is this record of the class or not?

    Attributes:
        size: records of the class.
        lost: records, of any class, on which the reference is right about it and the candidate wrong.
        gained: the other way round.
    """

    size: int
    lost: int
    gained: int


@dataclass(frozen=True, slots=True)
class Step(Record):
    """An increment Δ beside those accepted lately.

    Attributes:
        relative_ppm: ‖Δ‖ in millionths of their median norm; absent while there are none.
        likeness_ppm: the largest |cos(Δ, Δ_j)| in millionths; absent while there are none, or where Δ is 0.
    """

    relative_ppm: int | None = None
    likeness_ppm: int | None = None


@dataclass(frozen=True, slots=True)
class Evidence(Record):
    """A validator's measurement of a candidate (Lugan et al. 2019, §III.A, figure 1).

    Attributes:
        on_global: on the global test set G, which all members share.
        on_local: on the validator's own local test set L; ``None`` while it has none.
        classes: on G class by class, where the acceptance rule wants it and the metric has classes.
        step: the increment itself, where the acceptance rule wants it.
        on_hidden: on the part that was shown for this candidate; absent where none was, or where it cannot be used.
        drift: on the same part, the newest model (as candidate) beside the best one (as reference), while they differ.
    """

    on_global: Paired
    on_local: Paired | None = None
    classes: tuple[ClassCounts, ...] | None = None
    step: Step | None = None
    on_hidden: Paired | None = None
    drift: Paired | None = None

    def fault(
        self, metric: str, wants: frozenset[str], *, hidden_n: int | None = None, drifting: bool = False
    ) -> str | None:
        """Why these numbers cannot be a measurement under a charter; ``None`` when they can.

        Args:
            metric: what the charter has measured.
            wants: what its acceptance rule wants.
            hidden_n: records of the part that was shown for the candidate; ``None``: none was.
            drifting: whether the newest model is another one than the best.
        """
        if (self.step is not None) != (STEP in wants):
            return "the increment is compared exactly when the acceptance rule wants it"
        counted = CLASSES in wants and metric in ("accuracy", "macro_f1")
        if (self.classes is not None) != counted:
            return "classes are counted exactly when the acceptance rule wants it"
        classes = self.classes or ()
        if len(classes) > _CLASSES_MAX:
            return f"more than {_CLASSES_MAX} classes"
        if sum(each.size for each in classes) > self.on_global.n:
            return "the classes have more records than G"
        # An answer that changes is about two classes at most: the one it leaves, and the one it goes to.
        if sum(each.lost + each.gained for each in classes) > 2 * self.on_global.n:
            return "more answers lost and gained, class by class, than G allows"
        if self.drift is not None and not drifting:
            return "the newest model is the best one: there is nothing to compare"
        for hidden in (self.on_hidden, self.drift):
            if hidden is not None and hidden.n != hidden_n:
                return f"results on {hidden.n} hidden records, where {hidden_n or 'none'} were shown"
        measured = (self.on_global, self.on_local, self.on_hidden, self.drift)
        return next((fault for each in measured if each is not None and (fault := each.fault(metric))), None)
