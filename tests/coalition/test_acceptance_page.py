"""The page on acceptance rules says what the program has."""

from __future__ import annotations

import re
from pathlib import Path

from tclearn.coalition.strict import DEFAULTS

PAGE = Path(__file__).parents[2] / "docs/reference/acceptance.md"


def test_the_page_has_every_threshold_with_its_default() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \|.*\| ([0-9.]+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {f"{name}_ppm": round(float(value) * 1_000_000) for name, value in rows} == DEFAULTS
