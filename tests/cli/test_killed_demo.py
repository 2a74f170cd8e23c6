"""``tclearn demo``, killed again and again with SIGKILL while somebody reads its ledger, ends as if it never had been.

What a reader has seen is durable, and so is what the command has printed: both must be there in the end.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.simulation.ledgers import block_hashes, entry_bytes, said

from tclearn.agents.outbox import FileOutbox
from tclearn.directory import CoalitionDirectory
from tclearn.encoding import decode
from tclearn.errors import StorageError, UnreachableError
from tclearn.ledger import Call
from tclearn.ledger.export import ExportReader
from tclearn.simulation.demo_options import SETTINGS

OPTIONS = ("--members", "7", "--blocks", "4", "--seed", "5")
ADVERSARIES = ("hospital-3", "hospital-4")
"""By default they misbehave, and the others are honest."""
EXPORT, MODEL = "coalition.tclearn", "model.safetensors"
PATIENCE_S = 120.0
BETWEEN_S = 0.02
"""Some entries are written in this time, where nobody trains."""
FURTHER = 3
"""A run is killed so many entries after its moment at the latest."""
SUBJECTS = {
    "propose": ("parent",),
    "release": ("candidate",),
    "commit": ("candidate", "attempt"),
    "reveal": ("candidate", "attempt"),
    "seal": ("height",),
    "endorse": ("block",),
    "pass": ("parent", "turn"),
    "timeout": ("subject",),
}
"""By method, the arguments that say which duty a call fulfils."""


def command(*words: object) -> list[str]:
    return [str(Path(sys.executable).with_name("tclearn")), *map(str, words)]


@contextmanager
def started(directory: Path, printed: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    with printed.open("wb") as output:
        process = subprocess.Popen(
            command("demo", "--out", directory, *words),
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},  # a line is there when it is printed, not when all is over
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE_S)


def until(process: subprocess.Popen[bytes], condition: Callable[[], bool]) -> None:
    """Wait for something, or for the process to end."""
    end = time.monotonic() + PATIENCE_S
    while not condition() and process.poll() is None:
        assert time.monotonic() < end, "it stands still"
        time.sleep(0.003)


@dataclass
class Witness:
    """Reads a ledger while it is written; what it has seen must stay."""

    directory: Path
    seen: list[bytes] = field(default_factory=list)
    times: dict[int, float] = field(default_factory=dict)
    """When so many entries were there for the first time."""

    def count(self) -> int:
        try:
            with CoalitionDirectory.open(self.directory) as home:
                entries = entry_bytes(home.ledger)
        except (StorageError, UnreachableError):
            assert not self.seen, "what could be read can be read no more"
            return 0
        assert entries[: len(self.seen)] == self.seen, "what was there is there no more"
        self.times.setdefault(len(entries), time.monotonic())
        self.seen = entries
        return len(entries)


def killed(process: subprocess.Popen[bytes], witness: Witness, moment: int, delay_s: float) -> int:
    """Let the ledger grow to so many entries, wait a little, but not past the moments that follow, and kill."""
    until(process, lambda: (witness.directory / SETTINGS).exists() and witness.count() >= moment)
    at_s, most = time.monotonic() + delay_s, max(moment, len(witness.seen)) + FURTHER
    until(process, lambda: time.monotonic() >= at_s or witness.count() >= most)
    process.kill()
    return process.wait(PATIENCE_S)


@dataclass
class Whole:
    """A run that nobody disturbs: what it writes and prints, and how long its parts take."""

    directory: Path
    entries: list[bytes]
    lines: list[str]
    trains: list[int]
    """Numbers of entries at which a member trains."""
    start_s: float
    training_s: float
    end_s: float

    @classmethod
    def run(cls, directory: Path) -> Whole:
        printed, witness = directory.with_suffix(".txt"), Witness(directory)
        began = time.monotonic()
        with started(directory, printed, *OPTIONS) as process:
            until(process, lambda: witness.count() < 0)
            ended = time.monotonic()
            assert process.wait() == 0, printed.read_text()
        witness.count()
        with CoalitionDirectory.open(directory) as home:
            methods = [call.method for _, call, _ in said(home.ledger, home.state)]
        trains = [number for number, method in enumerate(methods) if method == "propose"]
        times = witness.times
        waits = [times[number + 1] - times[number] for number in trains if {number, number + 1} <= times.keys()]
        return cls(
            directory,
            witness.seen,
            rows(printed),
            trains,
            times[min(times.keys() - {0})] - began,
            max(waits, default=0.2),
            ended - times[len(methods)],
        )

    def moments(self, chance: random.Random) -> list[int]:
        """After how many entries to kill: from the founding to the end, and often where a member trains."""
        last = len(self.entries)
        training = [chance.choice(self.trains) for _ in range(7)]
        return sorted([0] * 3 + training + [chance.randrange(last) for _ in range(7)] + [last] * 3)

    def delay_s(self, chance: random.Random, moment: int, held: int) -> float:
        """How long to wait then: a run that finds so many entries first has to start."""
        most = self.end_s if moment == len(self.entries) else self.training_s if moment in self.trains else BETWEEN_S
        return chance.uniform(0, most + (self.start_s if held >= moment else 0))


def rows(printed: Path) -> list[str]:
    """The lines that were printed whole, until those that name the directory."""
    whole = printed.read_text(encoding="utf-8").rpartition("\n")[0].partition("\n\n")[0]
    return whole.splitlines()


def decisions(directory: Path, copy: Path) -> dict[tuple[str, bytes], Call]:
    """What each member has decided, by duty: read from copies, so that the outboxes stay as the kill has left them."""
    found = {}
    for outbox in sorted(directory.glob("members/*/outbox.sqlite")):
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for file in outbox.parent.glob("outbox.sqlite*"):
            shutil.copy(file, copy)
        with FileOutbox(copy / outbox.name) as opened:
            for duty, call in opened._database.execute("SELECT duty, call FROM decided"):
                found[outbox.parent.name, bytes(duty)] = Call.from_value(decode(call), "outbox")
    return found


def exported(file: Path) -> list[bytes]:
    with file.open("rb") as stream:
        return [entry for entry, _ in ExportReader(stream).entries()]


@pytest.mark.slow
def test_a_demo_killed_at_twenty_moments_loses_nothing_and_nobody_contradicts_itself(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    whole = Whole.run(tmp_path / "whole")
    directory, printed = tmp_path / "killed", tmp_path / "killed.txt"
    witness = Witness(directory)
    decided: dict[tuple[str, bytes], Call] = {}
    moments = whole.moments(chance)
    kills: list[tuple[int, int]] = []
    print(f"seed {seed}, moments {moments}")  # shown when the test fails

    def run_is_sound() -> None:
        assert witness.count() <= len(whole.entries)
        assert witness.seen == whole.entries[: len(witness.seen)]
        now = decisions(directory, tmp_path / "copy")
        assert decided.items() <= now.items(), "a decision is gone, or another one"
        decided.update(now)
        assert rows(printed) == whole.lines[: len(rows(printed))]

    def words() -> tuple[str, ...]:
        return ("--resume",) if (directory / SETTINGS).exists() else OPTIONS

    while len(kills) < len(moments):
        moment, held = moments[len(kills)], len(witness.seen)
        with started(directory, printed, *words()) as process:
            code = killed(process, witness, moment, whole.delay_s(chance, moment, held))
        run_is_sound()
        assert code in {-signal.SIGKILL, 0}, printed.read_text()
        if code:  # else it was at its end before
            kills.append((held, len(witness.seen)))
    print("kills (entries before and after):", *kills)
    with started(directory, printed, "--resume") as process:
        assert process.wait(PATIENCE_S) == 0, printed.read_text()
    run_is_sound()

    assert rows(printed) == whole.lines
    assert exported(directory / EXPORT) == witness.seen == whole.entries
    for name in (EXPORT, MODEL):
        assert (directory / name).read_bytes() == (whole.directory / name).read_bytes()
    with CoalitionDirectory.open(directory) as home, CoalitionDirectory.open(whole.directory) as other:
        assert home.charter == other.charter
        assert block_hashes(home.state) == block_hashes(other.state) and home.state.tip == 4
        spoken = list(said(home.ledger, home.state))
    check = command("ledger", "verify", directory / EXPORT, "--charter", whole.directory / "charter.cbor")
    subprocess.run(check, check=True, capture_output=True, timeout=PATIENCE_S)

    assert Counter((member, call.encode()) for member, call, _ in spoken) == Counter(
        (member, call.encode()) for (member, _), call in decided.items()
    ), "each says what it has decided, once"
    duties = Counter(
        (member, call.method, *(call.arguments[name] for name in SUBJECTS[call.method]))
        for member, call, _ in spoken
        if member not in ADVERSARIES
    )
    assert set(duties.values()) == {1}, "nobody speaks twice to one duty"
    assert all(code == 0 for member, _, code in spoken if member not in ADVERSARIES), "nobody says what must be refused"
