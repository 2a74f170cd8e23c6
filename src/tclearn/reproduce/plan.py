"""What an experiment consists of: runs, and what is read from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tclearn.reproduce.outcome import Outcome

Outcomes = Mapping[str, Outcome]
"""What has come out of the runs, by their names, in their order."""
Tell = Callable[[int], None]
"""Told a number of records whenever so many have been trained on."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the user asks for.

    Attributes:
        quick: less of it, for a first look; the figures are then not the experiment's.
        seed: the first seed.
        seeds: how many seeds, one after the other from the first; ``None``: three, or with ``quick`` one.
        run: table 1 runs the tests that it names.
    """

    quick: bool = False
    seed: int = 1
    seeds: int | None = None
    run: bool = False

    @property
    def every_seed(self) -> range:
        """The seeds."""
        return range(self.seed, self.seed + ((1 if self.quick else 3) if self.seeds is None else self.seeds))


class Run(Protocol):
    """One run of an experiment.

    Attributes:
        name: names its files.
        seed: fixes everything that is random in it.
        work: records that it trains on, times epochs, when nothing is turned down: the unit of progress.
    """

    @property
    def name(self) -> str:
        """See the class."""

    @property
    def seed(self) -> int:
        """See the class."""

    @property
    def work(self) -> int:
        """See the class."""

    def __call__(self, working: Path, record: Path, tell: Tell) -> Outcome:
        """Carry it out, or go on with it.

        Args:
            working: a folder of its own, in which an interrupted run is continued.
            record: where the exported ledger record goes, if the run has a ledger.
            tell: told as records are trained on.
        """


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What the paper says, beside what came out.

    Attributes:
        claim: what it is about.
        paper: what the paper says.
        here: what came out.
        expected: what should come out at least, in words; empty: nothing is expected.
        met: whether it did; ``None``: nothing is expected, or a quick run cannot tell.
    """

    claim: str
    paper: str
    here: str
    expected: str = ""
    met: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """An experiment, ready to be run: its data are here and checked.

    Attributes:
        settings: everything that the results depend on, for ``results.json``.
        words: the same in a line for people.
        runs: in this order.
        find: reads the findings from the outcomes.
        draw: draws the figure into a file; ``None``: there is none.
    """

    settings: Mapping[str, Any]
    words: str
    find: Callable[[Outcomes], Sequence[Finding]]
    runs: Sequence[Run] = field(default=())
    draw: Callable[[Outcomes, Path], None] | None = None
