"""Spin visits every state of the models, and finds what README.md says: what holds, what does not, and why."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from tests.models import spin

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(spin.MISSING), reason=spin.WHY_NOT)]

README = spin.text_of("README.md")
KNOWN = "6.5.2"
"""The version of Spin whose numbers of states, and whose choice of a shortest counterexample, README.md shows."""
FORMULAS = {"chained", "complete"}
NEVER_REACHED = re.compile(r'"(-end-|assert\(0\)|printf\(.*)"')


@dataclass(frozen=True)
class Row:
    """A row of README.md: what was asked of which model, and what came of it."""

    model: str
    settings: tuple[str, ...]
    asked: str
    found: str
    states: str


def rows() -> list[Row]:
    cells = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in README.splitlines() if "|" in line]
    return [Row(model, tuple(settings.split()), *rest) for _, model, settings, *rest in cells if model.endswith(".pml")]


def name(row: Row) -> str:
    return "-".join([row.model.partition(".")[0], *row.settings, row.asked])


@pytest.mark.parametrize("row", rows(), ids=name)
def test_the_readme_says_what_spin_finds(row):
    formula = row.asked if row.asked in FORMULAS else None
    holds = row.found == "holds"
    found = spin.search(spin.text_of(row.model), row.settings, eventually=formula, shortest=not holds)
    if holds:
        assert found.broken is None
        assert spin.version() != KNOWN or f"{found.states:,}" == row.states
    elif formula:
        assert (found.broken, row.found) == ("never", "need not come")
    else:
        assert found.broken and found.broken.endswith(f"/* {row.asked} */")


def test_nothing_in_the_model_is_idle():
    # What no step reaches would be checked in vain.
    found = spin.search(spin.text_of("ledger.pml"), ["N=3"])
    assert [line for line in found.unreached if not NEVER_REACHED.fullmatch(line)] == []


# --- rules that are left out, one at a time: each must be noticed ----------------------------------------------------

DRAWN = "two thirds: distinct, drawn"
STAYS = "what is decided stays"
THREE = ("N=3", "HOSTILE=0")
MUTANTS = {
    "one vote less is enough": (THREE, "((2 * (m) + 2) / 3)", "((2 * (m) + 2) / 3 - 1)", DRAWN),
    "the proposer votes too": (THREE, "validators(c) & ~candidate[c].commits", "ALL & ~candidate[c].commits", DRAWN),
    "proposals go on while a block is pending": (THREE, "(pending == NOTHING && tip < HEIGHTS && cand", "(cand", STAYS),
    "other candidates stay open": (THREE, "  forget_open(1 - c);\n  lock(c + 1)", "  lock(c + 1)", STAYS),
    "a new general begins anew": (
        THREE,
        "backing = 0;\n  draw_general()",
        "backing = 0;\n  forget(pending - 1); unlock()",
        STAYS,
    ),
    "a revert does not wait": (THREE, ":: pending != NOTHING -> reverting = true", ":: false -> skip", STAYS),
    "anybody finalizes at once": (
        THREE,
        "pending != NOTHING && exhausted ->",
        "pending != NOTHING ->",
        "had its chance",
    ),
    "endorsements stay for the next general": (
        ("N=4", "BRIEF"),
        "sealed = false; endorsed = 0; backing = 0;\n  draw",
        "sealed = false; backing = 0;\n  draw",
        "two thirds, for this very block",
    ),
}
STUCK = {
    "a general has no deadline": ("chained", "#define due_general     (", "#define due_general     (false && "),
    "nobody finalizes": ("chained", "#define to_finalize     (", "#define to_finalize     (false && "),
    "testing has no deadline": ("complete", "#define due_testing(c)  (", "#define due_testing(c)  (false && "),
    "reveals have no deadline": ("complete", "#define due_reveal(c)   (", "#define due_reveal(c)   (false && "),
    "turns do not pass on": ("complete", "#define due_turn        (", "#define due_turn        (false && "),
}


def without(rule: str, instead: str) -> str:
    model = spin.text_of("ledger.pml")
    assert model.count(rule) == 1
    return model.replace(rule, instead)


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_rule_left_out_is_noticed(mutant):
    settings, rule, instead, broken = MUTANTS[mutant]
    found = spin.search(without(rule, instead), settings, shortest=True)
    assert found.broken and broken in found.broken


@pytest.mark.parametrize("mutant", STUCK)
def test_a_deadline_left_out_is_noticed(mutant):
    formula, rule, instead = STUCK[mutant]
    settings = ["N=4", "HEIGHTS=1", "LEASE", "PROGRESS", *(["FAULTS_END"] if formula == "complete" else [])]
    assert spin.search(without(rule, instead), settings, eventually=formula).broken == "never"


# --- the papers' text ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [3, 4])
def test_two_generals_make_two_blocks_of_one_height_where_nothing_orders_what_is_said(n):
    steps = spin.search(spin.text_of("paper.pml"), [f"N={n}"], shortest=True).steps
    appended = [re.fullmatch(r"validator (\d) knows two thirds for block (\d), and appends it .*", s) for s in steps]
    assert sorted(found.groups() for found in appended if found) == [("1", "1"), ("2", "2")]
    votes = [step for step in steps if " votes for " in step]
    assert len(votes) == len(set(votes)), "nobody says the same twice"


def test_the_counterexample_that_is_shown_is_the_one_that_spin_finds():
    shown = README.partition("```text\n")[2].partition("```")[0].splitlines()
    found = spin.search(spin.text_of("paper.pml"), ["N=4"], shortest=True).steps
    assert len(shown) == len(found)
    assert spin.version() != KNOWN or [re.sub(r"^ *\d+  ", "", line) for line in shown] == found
