"""Every run with the states that are made of it, by name; and one of them again, to look at.

    python -m tests.storage.survey NAME SEED NUMBER FOLDER

makes state NUMBER in FOLDER, as a failed test has named it.
"""

from __future__ import annotations

import random
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tests.storage.disk import Effort, State, states
from tests.storage.runs import Mixture, Run, ledger_run, outbox_run, recovery_run, store_run
from tests.storage.vault_run import vault_run


@dataclass(frozen=True, slots=True)
class Survey:
    """A run, and how thoroughly it is looked at.

    Attributes:
        record: makes the run, always the same, in an empty folder; the seed is for those that choose something.
        effort: how many states are made of it.
    """

    record: Callable[[Path, int], Run]
    effort: Effort


@dataclass(frozen=True, slots=True)
class Failure:
    """A state that is not as it must be."""

    survey: str
    seed: int
    state: State
    events: int
    fault: str

    def __str__(self) -> str:
        return (
            f"{self.fault}\n  state {self.state.number} of {self.survey}, seed {self.seed}, "
            f"SQLite {sqlite3.sqlite_version}: the power failed after {self.state.point} of {self.events} events; "
            f"{self.state.how}\n"
            f"  to make it: python -m tests.storage.survey {self.survey} {self.seed} {self.state.number} FOLDER"
        )


@dataclass(slots=True)
class Findings:
    """What a survey found.

    Attributes:
        states: so many were looked at, no two the same.
        failures: those that are not as they must be.
    """

    states: int
    failures: list[Failure]

    def __str__(self) -> str:
        shown = "\n".join(map(str, self.failures[:5]))
        return f"{len(self.failures)} of {self.states} states are not as they must be\n{shown}"


_SMALL: Final = Mixture(rounds=1)
_FEW: Final = Effort(whole_max=32, samples=2)
_BRIEF: Final = Effort(whole_max=4, samples=1, points_max=20)


def _of_the_ledger(folder: Path, _: int, mixture: Mixture = _SMALL) -> Run:
    return ledger_run(folder, mixture)


def _of_a_recovery(folder: Path, seed: int) -> Run:
    with tempfile.TemporaryDirectory() as before:
        first = ledger_run(Path(before), _SMALL)
    left = random.Random(seed).choice(list(states(first.trace, seed, Effort(whole_max=16, samples=1))))
    return recovery_run(folder, left, _SMALL)


def _of_the_outbox(folder: Path, _: int) -> Run:
    return outbox_run(folder)


def _of_the_store(folder: Path, _: int) -> Run:
    return store_run(folder)


def _of_the_vault(folder: Path, _: int) -> Run:
    return vault_run(folder)


SURVEYS: Final = {
    "ledger": Survey(_of_the_ledger, _FEW),
    "recovery": Survey(_of_a_recovery, Effort(whole_max=8, samples=1)),
    "outbox": Survey(_of_the_outbox, Effort(whole_max=16, samples=1)),
    "store": Survey(_of_the_store, Effort(whole_max=64, samples=4)),
    "vault": Survey(_of_the_vault, Effort(whole_max=8, samples=1)),
    "ledger-brief": Survey(_of_the_ledger, _BRIEF),
    "outbox-brief": Survey(_of_the_outbox, _BRIEF),
    "ledger-wide": Survey(partial(_of_the_ledger, mixture=Mixture(rounds=2)), Effort(whole_max=256, samples=4)),
    "ledger-large": Survey(
        partial(_of_the_ledger, mixture=Mixture(rounds=5, note_characters=400_000, checkpoint_frames=1000)),
        Effort(whole_max=32, samples=2, points_max=20),
    ),
    "outbox-wide": Survey(_of_the_outbox, Effort(whole_max=256, samples=6)),
}


def look(folder: Path, name: str, seed: int) -> Findings:
    """Make a survey's run and look at every state that a power loss may leave of it.

    Args:
        folder: an empty one.
        name: of the survey.
        seed: of what is drawn.
    """
    return look_at(recorded(folder, name, seed), folder, name, seed)


def recorded(folder: Path, name: str, seed: int) -> Run:
    """A survey's run, made in an empty folder."""
    place = folder / "recorded"
    place.mkdir()
    return SURVEYS[name].record(place, seed)


def look_at(run: Run, folder: Path, name: str, seed: int, *, until: str = "\0") -> Findings:
    """``look`` at a run that was made already; no further than to a failure of which these words are said."""
    place = folder / "left"
    place.mkdir()
    findings = Findings(0, [])
    for state in states(run.trace, seed, SURVEYS[name].effort):
        state.write(place)
        fault = run.fault(place, state)
        findings.states += 1
        if fault:
            findings.failures.append(Failure(name, seed, state, len(run.trace.events), fault))
        if until in fault:
            break
    return findings


def main(name: str, seed: str, number: str, folder: str) -> None:
    """Make one state again, in a folder that is not there yet."""
    with tempfile.TemporaryDirectory() as recorded:
        run = SURVEYS[name].record(Path(recorded), int(seed))
    found = states(run.trace, int(seed), SURVEYS[name].effort)
    state = next(state for state in found if state.number == int(number))
    place = Path(folder)
    place.mkdir(parents=True)
    state.write(place)
    print(f"after {state.point} events; {state.how}; acknowledged: {', '.join(state.said) or 'nothing'}")


if __name__ == "__main__":
    main(*sys.argv[1:])
