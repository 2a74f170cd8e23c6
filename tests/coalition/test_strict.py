"""The rule ``strict``: each guard alone, its threshold, and where it has nothing to say."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tclearn.coalition.acceptance import ANCHORED, Terms, drift_guard, wanted
from tclearn.coalition.evidence import CLASSES, HIDDEN, STEP, ClassCounts, Evidence, Paired, Step
from tclearn.coalition.harm import holm, mcnemar
from tclearn.coalition.strict import DEFAULTS, STRICT

TERMS = Terms(980_000)


def paired(n: int, reference: int, lost: int, gained: int) -> Paired:
    return Paired(n, n, reference, reference - lost + gained, lost, gained)


GOOD = Evidence(
    on_global=paired(2000, 1900, 30, 40),
    on_local=paired(300, 280, 5, 6),
    classes=(ClassCounts(200, 3, 4),) * 10,
    step=Step(1_000_000, 200_000),
    on_hidden=paired(100, 95, 3, 2),
)


def objections(evidence: Evidence, terms: Terms = TERMS) -> list[str]:
    judgement = STRICT.judge(evidence, terms)
    named = [guard.name for guard in judgement.guards if not guard.passed]
    assert judgement.accepted == (not named)
    assert not named or judgement.reason.startswith(named[0])
    return named


def but(**changes: object) -> Evidence:
    return Evidence(**{**{name: getattr(GOOD, name) for name in Evidence.__slots__}, **changes})


def test_good_work_passes_every_guard() -> None:
    judgement = STRICT.judge(GOOD, TERMS)
    assert objections(GOOD) == []
    assert [guard.name for guard in judgement.guards] == [
        "performance",
        "harm",
        "classes",
        "step",
        "repetition",
        "hidden",
    ]


@pytest.mark.parametrize(
    ("evidence", "objection"),
    [
        (but(on_global=paired(2000, 1900, 39, 0)), "performance"),
        (but(on_local=paired(300, 280, 20, 2)), "harm"),
        (but(classes=((ClassCounts(200, 3, 4),) * 9 + (ClassCounts(200, 30, 5),))), "classes"),
        (but(step=Step(99_999, 0)), "step"),
        (but(step=Step(5_000_001, 0)), "step"),
        (but(step=Step(1_000_000, 990_000)), "repetition"),
        (but(on_hidden=paired(100, 95, 10, 1)), "hidden"),
        (but(on_hidden=Paired(100, 1_000_000, 900_000, 881_999, 0, 0)), "hidden"),
    ],
)
def test_each_guard_objects_alone(evidence: Evidence, objection: str) -> None:
    assert objections(evidence) == [objection]


@pytest.mark.parametrize(
    "evidence",
    [
        but(on_global=paired(2000, 1900, 38, 0)),  # 1862 = .98 × 1900
        but(on_local=paired(300, 280, 8, 2)),  # exactly 1 − λ worse
        but(on_local=paired(300, 280, 20, 13)),  # more than 1 − λ, by chance
        but(classes=(ClassCounts(200, 25, 5),) * 10),  # exactly the margin
        but(classes=(ClassCounts(20, 4, 1),) * 10),  # more than the margin, by chance
        but(on_hidden=paired(100, 95, 2, 0)),  # exactly 1 − λ worse
        but(on_hidden=paired(100, 95, 9, 4)),  # more than 1 − λ, by chance
        but(on_hidden=paired(100, 49, 40, 0)),  # a part that the best model fails on says nothing
        but(on_hidden=Paired(100, 1_000_000, 900_000, 882_000, 0, 0)),
        but(step=Step(100_000, 0)),
        but(step=Step(5_000_000, 989_999)),
    ],
)
def test_what_lies_within_the_thresholds_passes(evidence: Evidence) -> None:
    assert objections(evidence) == []


def test_guards_without_numbers_have_nothing_to_say() -> None:
    assert objections(Evidence(paired(2000, 1900, 0, 0), step=Step())) == []
    immature = paired(2000, 900, 0, 100)
    assert objections(but(on_global=immature, classes=(ClassCounts(200, 150, 0),) * 10)) == []


def test_thresholds_come_from_the_charter() -> None:
    bold = but(step=Step(6_000_000, 0))
    assert objections(bold) == ["step"]
    assert objections(bold, Terms(980_000, {"step_max_ppm": 7_000_000})) == []
    assert list(STRICT.faults(Terms(980_000, {"step_max": 1}))) == [
        "[acceptance.arguments] step_max is no threshold of strict"
    ]
    assert not list(STRICT.faults(Terms(980_000, dict(DEFAULTS))))


@pytest.mark.parametrize(
    ("total", "passed"),
    [
        (paired(400, 380, 30, 8), False),
        (paired(400, 380, 16, 8), True),  # exactly 1 − λ worse
        (paired(400, 380, 60, 40), True),  # more than 1 − λ, by chance at this level
        (paired(400, 380, 8, 30), True),
    ],
)
def test_drift_is_judged_as_harm_at_a_level_of_its_own(total: Paired, passed: bool) -> None:
    guard = drift_guard(STRICT, total, TERMS)
    assert guard is not None
    assert (guard.name, guard.passed) == ("drift", passed)
    bold = drift_guard(STRICT, total, Terms(980_000, {"rollback_level_ppm": 0}))
    assert bold is not None and bold.passed
    assert drift_guard(ANCHORED, total, TERMS) is None


def test_metrics_without_counts_are_merged_as_elsewhere() -> None:
    local = Paired(300, 1_000_000, 900_000, 700_000, 0, 0)
    dice = Evidence(Paired(300, 1_000_000, 900_000, 900_000, 0, 0), local, step=Step(1_000_000, 0))
    assert objections(dice) == ["harm"]


def test_strict_measures_against_the_best_and_wants_more_than_others() -> None:
    assert STRICT.reference(5, 3) == 3
    assert wanted(STRICT) == {CLASSES, STEP, HIDDEN}
    assert wanted(ANCHORED) == set()


@pytest.mark.parametrize(
    ("evidence", "metric", "wants", "fault"),
    [
        (GOOD, "accuracy", STRICT.wants, None),
        (GOOD, "accuracy", frozenset(), "the increment is compared exactly when"),
        (but(classes=None), "accuracy", STRICT.wants, "classes are counted exactly when"),
        (but(classes=(ClassCounts(2001, 0, 0),)), "accuracy", STRICT.wants, "the classes have more records than G"),
        (but(classes=(ClassCounts(1, 0, 0),) * 5000), "accuracy", STRICT.wants, "more than 4096 classes"),
        (
            but(classes=(ClassCounts(1, 2000, 2000),) * 2),
            "accuracy",
            STRICT.wants,
            "more answers lost and gained, class",
        ),
        (but(on_local=Paired(1 << 40, 1 << 40, 9, 9, 9, 9)), "accuracy", STRICT.wants, "n must be from 1 to 268435456"),
        (Evidence(Paired(9, 1_000_000, 1, 1, 0, 0), step=Step()), "dice", STRICT.wants, None),
    ],
)
def test_evidence_has_what_the_rule_wants_and_nothing_else(
    evidence: Evidence, metric: str, wants: frozenset[str], fault: str | None
) -> None:
    found = evidence.fault(metric, wants, hidden_n=100)
    assert found == fault or (fault and found and found.startswith(fault))


@pytest.mark.parametrize(
    ("evidence", "hidden_n", "drifting", "fault"),
    [
        (GOOD, 100, False, None),
        (GOOD, 99, False, "results on 100 hidden records, where 99 were shown"),
        (GOOD, None, False, "results on 100 hidden records, where none were shown"),
        (but(on_hidden=None), 100, True, None),
        (but(drift=paired(100, 95, 1, 1)), 100, True, None),
        (but(drift=paired(100, 95, 1, 1)), 100, False, "the newest model is the best one: there is nothing to compare"),
        (but(drift=paired(90, 85, 1, 1)), 100, True, "results on 90 hidden records, where 100 were shown"),
        (but(drift=paired(100, 95, 99, 95)), 100, True, "more answers lost and gained than records"),
    ],
)
def test_results_on_a_hidden_part_are_those_of_the_part_that_was_shown(
    evidence: Evidence, hidden_n: int | None, drifting: bool, fault: str | None
) -> None:
    assert evidence.fault("accuracy", STRICT.wants, hidden_n=hidden_n, drifting=drifting) == fault


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_the_binomial_tail(lost: int, gained: int) -> None:
    n = lost + gained
    exact = Fraction(sum(comb(n, k) for k in range(lost, n + 1)), 2**n)
    assert abs(mcnemar(lost, gained) - exact) < Fraction(1, 10**30)


def test_mcnemar_of_a_million_records_takes_no_time() -> None:
    assert 0.115 < float(mcnemar(500_600, 499_400)) < 0.1155


@given(st.lists(st.fractions(0, 1), max_size=12), st.fractions(0, 1))
def test_holm_lies_between_bonferroni_and_no_correction(values: list[Fraction], level: Fraction) -> None:
    shown = holm(values, level)
    for value, is_shown in zip(values, shown, strict=True):
        assert is_shown or value * len(values) > level
        assert not is_shown or value <= level
    refused = [value for value, is_shown in zip(values, shown, strict=True) if not is_shown]
    assert all(value <= min(refused) for value, is_shown in zip(values, shown, strict=True) if is_shown and refused)
