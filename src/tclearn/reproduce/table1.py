"""Table 1: what the three levels of TCLearn offer (Lugan et al. 2019, §III), and the tests that show it.

Nothing is trained here: a tick stands for named tests of this project, which can be run with ``--run``.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

from tclearn.errors import Code, UnreachableError
from tclearn.reproduce.plan import Finding, Options, Plan

LEVELS: Final = "ABC"
BUILT: Final = "AB"
"""Levels that are in this version."""
TABLE: Final[Mapping[str, str]] = {
    "data privacy": "ABC",
    "protection against degradation": "ABC",
    "model privacy for outside threats": "BC",
    "model privacy for inside threats": "C",
    "model access audit trail": "BC",
    "model leakage traceability": "C",
}
"""By feature, the levels that have a tick."""
TESTS: Final[Mapping[tuple[str, str], Sequence[str]]] = {
    ("A", "data privacy"): (
        "simulation/test_records_stay.py::test_no_record_leaves_its_member",
        "learning/test_member.py::test_contributions_until_nothing_is_left",
    ),
    ("A", "protection against degradation"): (
        "coalition/test_acceptance.py::test_judgement_is_equation_3",
        "protocols/test_tclearn_contract.py::test_the_decision_falls_as_soon_as_it_can_and_never_earlier",
        "protocols/test_tclearn_contract.py::test_the_global_result_is_the_quorums_and_who_differs_is_named",
        "protocols/test_tclearn_contract.py::test_used_records_are_refused_with_their_count_and_the_turn_passes",
        "simulation/test_attacks.py::test_a_worse_model_is_voted_down",
        "simulation/test_attacks.py::test_a_minority_that_attacks_in_all_ways_gets_nothing_in",
        "ledger/test_verify.py::test_a_changed_byte_anywhere_in_the_file_is_refused",
    ),
    ("B", "data privacy"): (
        "service/test_data_ids.py::test_a_member_cannot_compute_an_id_without_the_supervisor",
        "service/test_data_ids_training.py::test_equal_records_of_two_members_count_once",
    ),
    ("B", "protection against degradation"): (
        "protocols/test_accessing.py::test_nobody_tests_or_trains_without_an_access",
        "service/test_vault.py::test_they_train_and_neither_the_service_nor_a_member_has_a_byte_of_it_in_the_clear",
    ),
    ("B", "model privacy for outside threats"): (
        "service/test_vault.py::test_they_train_and_neither_the_service_nor_a_member_has_a_byte_of_it_in_the_clear",
        "service/test_deliveries.py::test_only_the_member_of_the_access_is_handed_it",
        "service/test_refusals.py::test_a_stranger_is_turned_away_in_the_handshake",
    ),
    ("B", "model access audit trail"): (
        "service/test_deliveries.py::test_no_object_leaves_without_an_entry_in_the_durable_ledger",
        "service/test_vault.py::test_what_is_refused_is_noted_when_it_was_signed",
    ),
}
"""By level and feature, the tests; below the folder ``tests``."""
_SEEN: Final[Mapping[str, str]] = {
    "A": "at level A the model is public",
    "B": "at level B members and the supervisor see the model",
}
_RESULT: Final = re.compile(r"^(PASSED|FAILED|ERROR|SKIPPED) (?:tests/)?(\S+?::\w+)", re.MULTILINE)
_PATIENCE_S: Final = 3600


def plan(name: str, options: Options) -> Plan:
    """See ``Experiment.plan``; with ``options.run`` the tests must be at hand."""
    folder = tests_folder()
    if options.run:
        _check_can_run(folder)
    where = "their source" if folder else "not at hand"
    return Plan(
        settings={"experiment": name, "run": options.run, "versions": {"tclearn": version("tclearn")}},
        words=f"{sum(map(len, TESTS.values()))} tests · {where}{' · running them' if options.run else ''}",
        find=lambda _: find(folder, run=options.run),
    )


def tests_folder() -> Path | None:
    """The tests beside the source that is installed, else in the working directory; ``None``: not at hand."""
    beside = Path(__file__).resolve().parents[3] / "tests"
    return next((each for each in (beside, Path.cwd() / "tests") if (each / "protocols").is_dir()), None)


def find(folder: Path | None, *, run: bool) -> list[Finding]:
    """A row for each test of each tick, and for each cell that has none."""
    results = results_of([test for tests in TESTS.values() for test in tests], folder) if run and folder else None
    found = []
    for feature, ticked in TABLE.items():
        for level in LEVELS:
            claim, paper = f"{level} · {feature}", "✓" if level in ticked else "×"
            if level not in BUILT:
                found.append(Finding(claim=claim, paper=paper, here=f"level {level} is not built"))
            elif level not in ticked:
                found.append(Finding(claim=claim, paper=paper, here=f"not claimed: {_SEEN[level]}"))
            for test in TESTS.get((level, feature), ()):
                here, met = _status(test, folder, results)
                found.append(
                    Finding(
                        claim=claim, paper=paper, here=f"{test} {here}", expected="passes" if run else "exists", met=met
                    )
                )
    return found


def _status(test: str, folder: Path | None, results: Mapping[str, str] | None) -> tuple[str, bool | None]:
    if folder is None:
        return "(tests are not at hand)", None
    if not exists(test, folder):
        return "is missing", False
    if results is None:
        return "is there", True
    result = results.get(test, "did not run")
    return result, result == "passed"


def exists(test: str, folder: Path) -> bool:
    """Whether a test's file defines it."""
    file, _, function = test.partition("::")
    return function in _functions(folder / file)


def results_of(tests: Sequence[str], folder: Path) -> dict[str, str]:
    """Run tests with pytest.

    Args:
        tests: as ``TESTS`` names them.
        folder: the folder of the tests.

    Returns:
        By test ``"passed"``, ``"failed"`` or ``"skipped"``; of several cases of one test the worst.
    """
    there = [f"{folder.name}/{test}" for test in tests if exists(test, folder)]
    command = [sys.executable, "-m", "pytest", "-q", "-m", "", "-rA", "-p", "no:cacheprovider", *there]
    try:
        ran = subprocess.run(  # noqa: S603 - this interpreter, and names from this file
            command, cwd=folder.parent, capture_output=True, text=True, timeout=_PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return {}
    found: dict[str, str] = {}
    for match in _RESULT.finditer(ran.stdout):
        result = {"PASSED": "passed", "SKIPPED": "skipped"}.get(match[1], "failed")
        if found.get(match[2]) not in {"failed", "skipped"} or result == "failed":
            found[match[2]] = result
    return found


def _check_can_run(folder: Path | None) -> None:
    if folder is None:
        raise UnreachableError(
            Code.FILE_MISSING,
            "the tests are not at hand: an installed package does not have them",
            expected="the source of the project, with its folder tests",
            remedy="run it in a checkout of the source, or leave out --run",
        )
    if importlib.util.find_spec("pytest") is None:
        raise UnreachableError(
            Code.EXTENSION_UNKNOWN,
            "pytest is not installed",
            expected="the extra 'test'",
            remedy='pip install "tclearn[test]"',
        )


@cache
def _functions(file: Path) -> frozenset[str]:
    if not file.is_file():
        return frozenset()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
