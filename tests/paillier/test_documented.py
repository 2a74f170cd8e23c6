"""What the documentation shows runs as it stands there, and without gmpy2 there is a coded error."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.paillier.material import primes

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "python.md"


def test_the_example_of_the_reference_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    section = PAGE.read_text(encoding="utf-8").partition("\n## Threshold encryption\n")[2].partition("\n## ")[0]
    (example,) = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert "STANDARD_BITS" in example
    monkeypatch.setattr("tclearn.paillier.primes.safe_primes", lambda bits, entropy: primes(bits))
    names: dict[str, Any] = {}
    exec(example.replace("STANDARD_BITS", "FAST_BITS"), names)  # the smaller key is made sooner
    step = 1 / names["layout"].levels
    assert names["average"] == pytest.approx([(0.25 + 2 * 0.125) / 4, (-0.5 + 2 * 1.0) / 4], abs=step)


def test_without_gmpy2_there_is_a_coded_error() -> None:
    code = "import sys; sys.modules['gmpy2'] = None\nimport tclearn.paillier.keys"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "error[TCL-107]: threshold encryption needs gmpy2" in done.stderr
    assert "pip install 'tclearn[deepchain]'" in done.stderr


def test_tclearn_itself_does_not_load_gmpy2() -> None:
    code = "import sys, tclearn; sys.exit('gmpy2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
