"""As much of a poisoned increment as the acceptance rule lets pass."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from typing import Any, Self

from tclearn.coalition.acceptance import ANCHORED, AcceptanceRule, Terms
from tclearn.coalition.charter import Charter
from tclearn.coalition.evidence import MILLION, Evidence
from tclearn.coalition.readers import PPM
from tclearn.encoding import Digest
from tclearn.extensions import load
from tclearn.learning.parameters import Parameters
from tclearn.learning.trainer import Contribution, DataId, Trainer, Work
from tclearn.protocols.tclearn.adversaries.honest import Honest
from tclearn.protocols.tclearn.adversaries.increments import moved


@dataclass
class Poisoned(Honest):
    """Is given spoilt data, and votes honestly all the same: on G alone, since its own L is spoilt too."""

    def measure(self, reference: Parameters, candidate: Parameters, used: Container[DataId]) -> Evidence:
        """See ``Trainer.measure``."""
        return replace(self.trainer.measure(reference, candidate, used), on_local=None)


@dataclass
class LargestStep(Poisoned):
    """Offers M + a·Δ with the largest a that the rule still accepts on G; Δ comes from spoilt data.

    Fed with flipped labels it is the boiling frog: each step loses just as much as one step may. Fed with a relabelled
    class or a trigger it hides as much of them in an increment as goes unnoticed. When an offer was turned down (it
    is asked again to go on from the same model), it goes back by half.
    Source: Rubinstein et al. 2009, ANTIDOTE (IMC), §4.3, "boiling frog" poisoning.

    Attributes:
        rule: the charter's acceptance rule.
        terms: what the charter says about it.
        margin_ppm: distance that is kept from λ, millionths: the others test on an L that it does not know.
        halvings: of the interval in which a lies; the smallest a is 2^-halvings.
    """

    rule: AcceptanceRule = ANCHORED
    terms: Terms = field(default_factory=lambda: Terms(980_000))
    margin_ppm: int = 2_000
    halvings: int = 8
    _best: tuple[Fraction, Parameters] | None = field(default=None, repr=False)
    _last: tuple[Digest, int] | None = field(default=None, repr=False)
    _retreat: float = field(default=1.0, repr=False)

    @classmethod
    def against(cls, charter: Charter, **options: Any) -> Callable[[Trainer], Self]:
        """A wrapper that knows a charter's rule, for ``simulate``.

        Args:
            charter: whose rule and λ it exploits.
            options: further attributes.

        Raises:
            CharterError: the rule is not installed.
        """
        arguments = {
            name if isinstance(value, int) else name + PPM: round(value if isinstance(value, int) else value * MILLION)
            for name, value in charter.acceptance_arguments.items()
        }
        terms = Terms(round(charter.lambda_ * MILLION), arguments)
        return partial(cls, rule=load("tclearn.acceptance", charter.acceptance), terms=terms, **options)

    def train(self, start: Parameters, work: Work) -> Contribution | None:
        """See ``Trainer.train``."""
        contribution = self.trainer.train(start, work)
        if contribution is None:
            return None
        last, self._last = self._last, (start.digest, work.seed)
        if last is None or last[0] != start.digest:
            self._retreat = 1.0
        elif last[1] != work.seed:  # another invitation to go on from the same model
            self._retreat /= 2
        step = self._retreat * self._largest(start, contribution.parameters, work.used)
        return replace(contribution, parameters=moved(start, start, contribution.parameters, step))

    def measure(self, reference: Parameters, candidate: Parameters, used: Container[DataId]) -> Evidence:
        """See ``Trainer.measure``."""
        evidence = super().measure(reference, candidate, used)
        self._seen(evidence.on_global.reference_performance, reference)
        return evidence

    def _largest(self, start: Parameters, poisoned: Parameters, used: Container[DataId]) -> float:
        best = self._seen(self._evidence(start, start, used).on_global.reference_performance, start)
        # A rule says which model it compares with by its block; of the two that it may choose from we have both.
        reference = best if self.rule.reference(0, 1) else start
        terms = replace(self.terms, lambda_ppm=min(MILLION, self.terms.lambda_ppm + self.margin_ppm))

        def passes(step: float) -> bool:
            candidate = moved(start, start, poisoned, step)
            return self.rule.judge(self._evidence(reference, candidate, used), terms).accepted

        if passes(1.0):
            return 1.0
        low, high = 0.0, 1.0
        for _ in range(self.halvings):
            middle = (low + high) / 2
            low, high = (middle, high) if passes(middle) else (low, middle)
        return low or high

    def _evidence(self, reference: Parameters, candidate: Parameters, used: Container[DataId]) -> Evidence:
        return replace(self.trainer.measure(reference, candidate, used), on_local=None)

    def _seen(self, performance: Fraction, accepted: Parameters) -> Parameters:
        if self._best is None or performance > self._best[0]:
            self._best = performance, accepted
        return self._best[1]
