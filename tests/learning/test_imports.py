"""What may be loaded unasked."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import tclearn.learning

HEAVY = ("torch", "sklearn", "scipy", "pandas")


def test_no_framework_is_loaded_unasked() -> None:
    found = pkgutil.walk_packages(tclearn.learning.__path__, "tclearn.learning.")
    names = [module.name for module in found if ".trainers." not in module.name]
    assert "tclearn.learning.datasets.mnist" in names
    code = f"import sys, tclearn, tclearn.store, {', '.join(names)}; print(*({HEAVY!r} & sys.modules.keys()))"
    code = code.replace(repr(HEAVY), f"set({HEAVY!r})")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
