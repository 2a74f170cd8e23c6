"""Table 1: the tests that it names exist, and running them is what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tclearn.reproduce import table1

TESTS = Path(__file__).resolve().parents[1]


def test_every_test_that_is_named_exists() -> None:
    assert table1.tests_folder() == TESTS
    for tests in table1.TESTS.values():
        assert tests and all(table1.exists(test, TESTS) for test in tests)


def test_every_tick_of_a_level_that_is_built_has_a_test() -> None:
    for feature, ticked in table1.TABLE.items():
        for level in table1.BUILT:
            assert ((level, feature) in table1.TESTS) == (level in ticked)


def test_the_table_has_a_row_for_every_cell(tclearn: Any, tmp_path: Path) -> None:
    told = tclearn("reproduce", "tclearn-table1", "--out", tmp_path / "out", "--json").json
    cells = {finding["claim"]: finding["paper"] for finding in told["findings"]}
    assert cells == {
        f"{level} · {feature}": "✓" if level in ticked else "×"
        for feature, ticked in table1.TABLE.items()
        for level in "ABC"
    }
    for finding in told["findings"]:
        built = finding["claim"][0] in table1.BUILT
        assert (finding["met"] is True) == (built and finding["paper"] == "✓")
        assert built or finding["here"].endswith("is not built")
    assert told["files"] == {"results": str(tmp_path / "out" / "results.json")}


def test_a_test_that_is_missing_fails(tclearn: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table1, "TESTS", {("A", "data privacy"): ("cli/test_help.py::test_of_no_such_name",)})
    said = tclearn("reproduce", "tclearn-table1", "--out", tmp_path / "out", code=1)
    assert "test_of_no_such_name is missing" in said.out


def test_away_from_the_source_there_is_nothing_to_run(
    tclearn: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table1, "tests_folder", lambda: None)
    said = tclearn("reproduce", "tclearn-table1", "--out", tmp_path / "out")
    assert "tests are not at hand" in said.out
    said = tclearn("reproduce", "tclearn-table1", "--run", "--out", tmp_path / "other", code=4)
    assert "TCL-504" in said.err and not (tmp_path / "other").exists()


@pytest.mark.slow
def test_run_runs_the_tests(tmp_path: Path) -> None:
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "test_it.py").write_text(
        "import pytest\n"
        "def test_good(): pass\n"
        "def test_bad(): assert False\n"
        "@pytest.mark.parametrize('n', [1, 2])\n"
        "def test_half(n): assert n == 1\n"
    )
    tests = [f"test_it.py::{name}" for name in ("test_good", "test_bad", "test_half", "test_absent")]
    assert table1.results_of(tests, folder) == {
        "test_it.py::test_good": "passed",
        "test_it.py::test_bad": "failed",
        "test_it.py::test_half": "failed",
    }
