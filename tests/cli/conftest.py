"""Runs the command line in this process, and keeps one finished demonstration for all tests of a worker."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from tclearn.cli import main


@dataclass(frozen=True)
class Said:
    """What a command has said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Said]


@pytest.fixture
def tclearn(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: object, code: int = 0) -> Said:
        monkeypatch.setattr(sys, "argv", ["tclearn", *map(str, words)])
        capsys.readouterr()
        with patch.dict(os.environ), pytest.raises(SystemExit) as stop:  # a process of its own would have its own
            main()
        out, err = capsys.readouterr()
        said = Said(int(stop.value.code or 0), out, err)
        assert "Traceback" not in said.out + said.err
        assert said.code == code, said
        return said

    return run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tclearn.simulation.demo import Demo, DemoOptions

    directory = tmp_path_factory.mktemp("finished") / "demo"
    demo = Demo.prepare(DemoOptions(dataset="breast-cancer", blocks=3), directory)
    demo.run()
    demo.close()
    return directory


@pytest.fixture
def demo(finished: Path, tmp_path: Path) -> Path:
    """A finished demonstration that a test may change."""
    return Path(shutil.copytree(finished, tmp_path / "demo"))


@pytest.fixture(scope="session")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A coalition of level B that has made two blocks; tests take copies."""
    from tests.simulation.tumours import coalition

    folder = tmp_path_factory.mktemp("sealed") / "coalition"
    coalition(level="B", blocks=2, directory=folder)
    return folder
