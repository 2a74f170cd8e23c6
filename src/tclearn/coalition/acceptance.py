"""When a candidate counts as good enough: the pure, judging half of an acceptance rule.

A rule is found by its name in the charter, through the entry-point group ``tclearn.acceptance``; the two here take the
same route as anybody else's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final, Protocol

from tclearn.coalition.evidence import MILLION, Evidence, Paired


@dataclass(frozen=True, slots=True)
class Terms:
    """What the charter says about acceptance.

    Attributes:
        lambda_ppm: λ of equation 3 in millionths, 0 to 1,000,000.
        arguments: further integers of a third-party rule.
    """

    lambda_ppm: int
    arguments: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Guard:
    """One of several tests of a rule, with its own verdict.

    Attributes:
        name: which test.
        passed: whether it lets the candidate pass.
        reason: the comparison in words and numbers, for people.
    """

    name: str
    passed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """One validator's vote, as the rule gives it.

    Attributes:
        accepted: yes or no.
        reason: the comparison in words and numbers, for people.
        guards: the rule's tests one by one, where it has several.
    """

    accepted: bool
    reason: str
    guards: tuple[Guard, ...] = ()


class AcceptanceRule(Protocol):
    """Judges a candidate from one validator's evidence. Implementations are pure: no floats, no state.

    A rule that judges by more than both performances has an attribute ``wants``: a set of ``evidence.CLASSES``,
    ``evidence.STEP`` and ``evidence.HIDDEN``, which validators then measure, too. A rule that wants hidden parts may
    have a method ``drifted``, see ``drift_guard``.
    """

    @property
    def name(self) -> str:
        """As the charter says it."""

    def reference(self, previous: int, best: int) -> int:
        """Index of the block whose model the candidate is measured against.

        Args:
            previous: the newest block of the chain.
            best: the block with the best performance on G among those the present model descends from.
        """

    def judge(self, evidence: Evidence, terms: Terms) -> Judgement:
        """Yes or no. The evidence compares the candidate with the model that ``reference`` chose."""


def wanted(rule: AcceptanceRule) -> frozenset[str]:
    """What validators must measure for a rule besides both performances."""
    return frozenset(getattr(rule, "wants", ()))


def drift_guard(rule: AcceptanceRule, total: Paired, terms: Terms) -> Guard | None:
    """Whether a rule finds the newest model worse than the best one on a keeper's hidden parts.

    The contract takes the model back when it is so for more than f keepers.

    Args:
        rule: asked by its method ``drifted(total, terms)``, which gives a ``Guard``.
        total: the newest model (as candidate) beside the best one (as reference), counts added up over the hidden
            parts of one keeper: each keeper's are judged by themselves.
        terms: what the charter says about acceptance.

    Returns:
        Its verdict; ``None`` where the rule has no such method.
    """
    drifted = getattr(rule, "drifted", None)
    return None if drifted is None else drifted(total, terms)


def merged(evidence: Evidence) -> tuple[Fraction, Fraction]:
    """Performance of the reference and of the candidate on G and L together, every record weighing the same.

    For accuracy this is the accuracy on the union of both sets. The paper leaves the weights open: global results
    "are merged with those obtained using the individual, local datasets" (Lugan et al. 2019, §III.A). Equal weights for
    both sets would let a handful of local records outvote G.
    """
    sets = [evidence.on_global] if evidence.on_local is None else [evidence.on_global, evidence.on_local]
    records = sum(paired.n for paired in sets)
    reference = sum((paired.n * paired.reference_performance for paired in sets), Fraction(0)) / records
    candidate = sum((paired.n * paired.candidate_performance for paired in sets), Fraction(0)) / records
    return reference, candidate


@dataclass(frozen=True, slots=True)
class Threshold:
    """Accept if and only if λ·perf(reference) ≤ perf(candidate).

    Source: Lugan et al. 2019, §III.A, equation 3. (The earlier paper's equation 2 prints the inequality the other way
    round; its text asks for this one.)

    Attributes:
        name: ``"paper"`` compares with the previous model; ``"anchored"`` with the best accepted so far, which stops
            the slow slide λ^k that a row of barely tolerated steps makes.
    """

    name: str

    def reference(self, previous: int, best: int) -> int:
        """See ``AcceptanceRule.reference``."""
        return best if self.name == "anchored" else previous

    def judge(self, evidence: Evidence, terms: Terms) -> Judgement:
        """See ``AcceptanceRule.judge``."""
        reference, candidate = merged(evidence)
        accepted = terms.lambda_ppm * reference <= MILLION * candidate
        sign = "≥" if accepted else "<"
        words = f"{float(candidate):.4f} {sign} {terms.lambda_ppm / MILLION:g} × {float(reference):.4f}"
        return Judgement(accepted, words)


PAPER: Final = Threshold("paper")
ANCHORED: Final = Threshold("anchored")
