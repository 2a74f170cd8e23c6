"""Spin, where it is installed: exhaustive searches of a model, and random walks."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MODELS = Path(__file__).parent
MISSING = [name for name in ("spin", "cc") if shutil.which(name) is None]
WHY_NOT = f"not installed: {', '.join(MISSING)} (on Debian: apt install spin gcc)"
MEMORY_MIB = 1024
PATIENCE_S = 300
"""A search takes seconds; this long where the machine has much else to do."""


@dataclass(frozen=True)
class Search:
    """How an exhaustive search ended.

    Attributes:
        states: different states that were visited.
        broken: the line of the model that says what does not hold, or ``"never"`` where something need not come about;
            ``None`` when all holds.
        steps: what the model says of each step of the counterexample.
        unreached: lines of the model that no step reaches.
    """

    states: int
    broken: str | None
    steps: list[str]
    unreached: list[str]


def search(text: str, settings: Iterable[str], *, eventually: str | None = None, shortest: bool = False) -> Search:
    """Visit every state of a model.

    Args:
        text: the model.
        settings: what to define, such as ``N=4``.
        eventually: the formula of the model that must hold of all fair executions; without it the model's assertions
            must hold in every state.
        shortest: look for the shortest counterexample.
    """
    defined = [f"-D{setting}" for setting in settings]
    how = ["-DNFAIR=3"] if eventually else ["-DSAFETY", *(["-DBFS"] if shortest else [])]
    asked = ["-a", "-f", "-N", eventually] if eventually else []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "model.pml").write_text(text, encoding="utf-8")
        _run(directory, "spin", "-a", *defined, "model.pml")
        _run(directory, "cc", "-O2", "-w", f"-DMEMLIM={MEMORY_MIB}", *how, "-o", "pan", "pan.c")
        report = _run(directory, "./pan", "-m1000000", *asked)
        assert not re.search("memory limit|search depth too small|out of memory", report), report
        broken, steps = None, []
        if _found(r"errors: (\d+)", report) != "0" and eventually:
            assert "acceptance cycle" in report, report
            broken = "never"
        elif _found(r"errors: (\d+)", report) != "0":
            replay = _run(directory, "spin", "-t", "-T", "-B", *defined, "model.pml")
            line = int(_found(r"model\.pml:(\d+), Error: assertion violated", replay))
            broken = text.splitlines()[line - 1].strip()
            steps = replay.partition("spin: ")[0].splitlines()
    unreached = re.findall(r"^\tmodel\.pml:\d+, state \d+, (.*)$", report, re.MULTILINE)
    return Search(int(float(_found(r"([\d.e+]+) states, stored", report))), broken, steps, unreached)


def walk(text: str, settings: Iterable[str], *, seed: int, steps: int) -> list[str]:
    """What a model says on a random walk."""
    defined = [f"-D{setting}" for setting in settings]
    with tempfile.TemporaryDirectory() as name:
        Path(name, "model.pml").write_text(text, encoding="utf-8")
        said = _run(Path(name), "spin", "-T", "-B", f"-n{seed}", f"-u{steps}", *defined, "model.pml")
    return said.splitlines()


def text_of(model: str) -> str:
    """A model of this folder."""
    return (MODELS / model).read_text(encoding="utf-8")


def version() -> str:
    """Which Spin it is."""
    return _found(r"Version ([\d.]+)", _run(MODELS, "spin", "-V"))


def _run(directory: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode in (0, 1), f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match is not None, f"no {pattern!r} in:\n{text}"
    return match[1]
