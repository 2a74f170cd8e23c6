"""The page of results is what its script makes of the results that are kept."""

from __future__ import annotations

import json

import pytest
from benchmarks import reproduce_page

from tclearn.reproduce.experiments import EXPERIMENTS


def test_the_page_is_made_of_what_is_kept() -> None:
    text = reproduce_page.PAGE.read_text(encoding="utf-8")
    assert reproduce_page.page(text) == text


@pytest.mark.parametrize("name", [each.name for each in EXPERIMENTS])
def test_what_is_kept_is_a_whole_run_that_came_out_as_expected(name: str) -> None:
    kept = json.loads((reproduce_page.KEPT / f"reproduce-{name}.json").read_bytes())
    assert kept["experiment"] == name and not kept["settings"].get("quick")
    assert kept["findings"] and all(finding["met"] is not False for finding in kept["findings"])
    if any(run["on_global"] for run in kept["runs"]):
        assert kept["settings"]["seeds"] == [1, 2, 3]
    if name.startswith("tclearn-") and name != "tclearn-table1":
        assert kept["settings"]["seeds"] == [1, 2, 3]
        assert len({run["coalition"] for run in kept["runs"]} - {""}) >= 3
