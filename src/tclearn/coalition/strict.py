"""The acceptance rule ``strict``: several guards, each with its own verdict, all of which must let a candidate pass.

Thresholds are ``[acceptance.arguments]`` of the charter, each with a default; see ``docs/reference/acceptance.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from tclearn.coalition.acceptance import Guard, Judgement, Terms, merged
from tclearn.coalition.evidence import CLASSES, HIDDEN, MILLION, STEP, Evidence, Paired
from tclearn.coalition.harm import holm, mcnemar

DEFAULTS: Final = {
    "harm_level_ppm": 10_000,
    "class_level_ppm": 10_000,
    "class_margin_ppm": 100_000,
    "class_from_ppm": 500_000,
    "step_min_ppm": 100_000,
    "step_max_ppm": 5_000_000,
    "likeness_max_ppm": 990_000,
    "hidden_level_ppm": 10_000,
    "hidden_from_ppm": 500_000,
    "rollback_level_ppm": 1_000,
}
"""Thresholds by name, millionths.

=================== =================================================================================================
harm_level_ppm      chance of calling an equally good model harmful to L
class_level_ppm     the same for all classes together
class_margin_ppm    share of its records that a class may lose, whatever the test says
class_from_ppm      performance of the reference from which on classes are looked at
step_min_ppm        shortest step, as a share of the median accepted one
step_max_ppm        longest step, likewise: the step search shortens to a fifth, so a whole step may be five short ones
likeness_max_ppm    cosine to an earlier accepted step, or its opposite, from which on it is a repetition
hidden_level_ppm    chance of calling an equally good model harmful on a hidden part
hidden_from_ppm     performance of the reference on a hidden part from which on the part says anything
rollback_level_ppm  chance that a keeper's parts speak for taking back an equally good model, at one look at its sums
=================== =================================================================================================
"""


@dataclass(frozen=True, slots=True)
class Strict:
    """Accept if and only if no guard objects.

    ============ ====================================================================================================
    performance  λ·perf(best model so far) ≤ perf(candidate) on G (equation 3, anchored)
    harm         on L: not both significantly worse (McNemar) and worse by more than 1 − λ
    classes      on G, one against the rest: no class both significantly worse (McNemar, Holm) and by more than a margin
    step         ‖Δ‖ between a floor and a cap around the median of the accepted steps
    repetition   Δ is no copy, near-copy or reversal of an accepted step
    hidden       on a part of the test records that nobody could train on: as ``harm``, against the best model so far
    ============ ====================================================================================================

    A guard has nothing to say where its numbers do not exist yet: no L, no accepted step, an immature model, no hidden
    part. Whether accepted increments have done harm that shows only on hidden parts is ``drifted``'s to say.
    """

    name: str = "strict"
    wants: frozenset[str] = frozenset({CLASSES, STEP, HIDDEN})
    """What validators must measure besides both performances."""

    def reference(self, previous: int, best: int) -> int:
        """See ``AcceptanceRule.reference``."""
        return best

    def faults(self, terms: Terms) -> Iterator[str]:
        """Arguments that are not among ``DEFAULTS``."""
        return (
            f"[acceptance.arguments] {name} is no threshold of strict"
            for name in terms.arguments
            if name not in DEFAULTS
        )

    def judge(self, evidence: Evidence, terms: Terms) -> Judgement:
        """See ``AcceptanceRule.judge``."""
        guards = (
            _performance(evidence, terms),
            _harm(evidence, terms),
            _classes(evidence, terms),
            _step(evidence, terms),
            _repetition(evidence, terms),
            _hidden(evidence, terms),
        )
        objection = next((guard for guard in guards if not guard.passed), guards[0])
        return Judgement(all(guard.passed for guard in guards), f"{objection.name}: {objection.reason}", guards)

    def drifted(self, total: Paired, terms: Terms) -> Guard:
        """Whether the newest model is worse than the best one on hidden parts; see ``acceptance.drift_guard``."""
        return _harmless("drift", total, "on hidden parts", terms, "rollback_level_ppm")


STRICT: Final = Strict()


def _threshold(terms: Terms, name: str) -> Fraction:
    return Fraction(terms.arguments.get(name, DEFAULTS[name]), MILLION)


def _performance(evidence: Evidence, terms: Terms) -> Guard:
    on_global = evidence.on_global
    reference, candidate = on_global.reference_performance, on_global.candidate_performance
    passed = terms.lambda_ppm * reference <= MILLION * candidate
    words = f"{_shown(candidate)} {'≥' if passed else '<'} {terms.lambda_ppm / MILLION:g} × {_shown(reference)} on G"
    return Guard("performance", passed, words)


def _harm(evidence: Evidence, terms: Terms) -> Guard:
    local = evidence.on_local
    if local is None:
        return Guard("harm", True, "no local test set")
    if not local.counted:  # no counts of answers: G and L together, as the other rules have it
        reference, candidate = merged(evidence)
        passed = terms.lambda_ppm * reference <= MILLION * candidate
        return Guard("harm", passed, f"{_shown(candidate)} after {_shown(reference)} on G and L together")
    return _harmless("harm", local, "on L", terms, "harm_level_ppm")


def _classes(evidence: Evidence, terms: Terms) -> Guard:
    if evidence.classes is None:
        return Guard("classes", True, "not counted")
    if evidence.on_global.reference_performance < _threshold(terms, "class_from_ppm"):
        return Guard("classes", True, "the reference is immature")
    chances = [mcnemar(each.lost, each.gained) for each in evidence.classes]
    shown = holm(chances, _threshold(terms, "class_level_ppm"))
    margin = _threshold(terms, "class_margin_ppm")
    for number, (each, worse, chance) in enumerate(zip(evidence.classes, shown, chances, strict=True)):
        if worse and each.lost - each.gained > margin * each.size:
            words = f"class {number}: {each.lost} lost, {each.gained} gained, {each.size} records ({_chance(chance)})"
            return Guard("classes", False, words)
    return Guard("classes", True, f"none of {len(chances)} is worse")


def _step(evidence: Evidence, terms: Terms) -> Guard:
    step = evidence.step
    if step is None or step.relative_ppm is None:
        return Guard("step", True, "no accepted step to compare with")
    least, most = _threshold(terms, "step_min_ppm"), _threshold(terms, "step_max_ppm")
    size = Fraction(step.relative_ppm, MILLION)
    return Guard(
        "step", least <= size <= most, f"{float(size):.2g} of the median step, {float(least):g} to {float(most):g}"
    )


def _repetition(evidence: Evidence, terms: Terms) -> Guard:
    step = evidence.step
    if step is None or step.likeness_ppm is None:
        return Guard("repetition", True, "no accepted step to compare with")
    most = _threshold(terms, "likeness_max_ppm")
    like = Fraction(step.likeness_ppm, MILLION)
    return Guard(
        "repetition", like < most, f"cosine {float(like):.3f} to an accepted step, must be below {float(most):g}"
    )


def _hidden(evidence: Evidence, terms: Terms) -> Guard:
    hidden = evidence.on_hidden
    if hidden is None:
        return Guard("hidden", True, "no hidden part")
    reference, candidate = hidden.reference_performance, hidden.candidate_performance
    if reference < _threshold(terms, "hidden_from_ppm"):
        return Guard("hidden", True, "the reference fails on the hidden part")
    if not hidden.counted:
        passed = terms.lambda_ppm * reference <= MILLION * candidate
        return Guard("hidden", passed, f"{_shown(candidate)} after {_shown(reference)} on the hidden part")
    return _harmless("hidden", hidden, "on the hidden part", terms, "hidden_level_ppm")


def _harmless(name: str, measured: Paired, where: str, terms: Terms, level: str) -> Guard:
    # Objects to what is both worse by more than 1 − λ and no chance.
    drop = measured.reference_performance - measured.candidate_performance
    chance = mcnemar(measured.lost, measured.gained)
    passed = drop <= 1 - Fraction(terms.lambda_ppm, MILLION) or chance >= _threshold(terms, level)
    words = f"{measured.lost} lost, {measured.gained} gained of {measured.n} {where} ({_chance(chance)})"
    return Guard(name, passed, words)


def _shown(performance: Fraction) -> str:
    return f"{float(performance):.4f}"


def _chance(chance: Fraction) -> str:
    return f"p = {float(chance):.2g}"
