"""The README's example runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def example():
    blocks = re.findall(r"^```python\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return next(block for block in blocks if "simulate(" in block)


def test_the_example_is_short():
    assert len(example().splitlines()) <= 25


def test_the_example_trains_prints_and_writes_a_record_that_verifies(tmp_path):
    (tmp_path / "example.py").write_text(example(), encoding="utf-8")
    command = [sys.executable, "-W", "error", "example.py"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    assert re.search(r"^ +1 +\S+ +\d/\d +0\.\d{3}$", run.stdout, re.MULTILINE), run.stdout
    records = list(tmp_path.glob("*.tclearn"))
    assert len(records) == 1 and records[0].stat().st_size > 1000
