"""The command line in this process, on small stand-ins."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import tclearn
from tests.reproduce import tiny

__all__ = ["small", "tclearn"]


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with the stand-in for MNIST where the experiments look for it."""
    tiny.write_mnist(tmp_path / "data")
    monkeypatch.setenv("TCLEARN_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    tiny.make_small(monkeypatch)
    return tmp_path
