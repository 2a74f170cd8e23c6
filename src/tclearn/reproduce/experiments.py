"""The experiments by name, and running one."""

from __future__ import annotations

import csv
import importlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from tclearn.coalition.faults import did_you_mean
from tclearn.errors import Code, UnreachableError, UsageError
from tclearn.files import write_whole
from tclearn.reproduce.outcome import Outcome
from tclearn.reproduce.place import CURVE, FIGURE, RECORDS, RESULTS, Place, check
from tclearn.reproduce.plan import Finding, Options, Outcomes, Plan

SEEDS_MAX: Final = 100
TABLE: Final = "tclearn-table1"
_COLUMNS: Final = ("run", "seed", "increment", "block", "epoch", "member", "samples", "set", "performance", "loss")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A table or a figure of a paper, or a claim in its text.

    Attributes:
        name: as the command line takes it.
        paper: where in the paper; [J] is Lugan et al. 2019, [D] Weng et al. 2019.
        shows: what it is about, in a line.
        module: of ``tclearn.reproduce``; its ``plan`` makes the plan from the experiment's name and the options.
        needs: modules that must be installed, with the extra that brings each.
    """

    name: str
    paper: str
    shows: str
    module: str
    needs: Mapping[str, str]

    def plan(self, options: Options) -> Plan:
        """Load and divide the data, and say what is to be run.

        Raises:
            UsageError: an option is out of range.
            UnreachableError: data or a package is not on this machine.
            DataError: the data are not what they should be.
        """
        for module, extra in self.needs.items():
            _need(module, extra)
        made: Callable[[str, Options], Plan] = importlib.import_module(f"tclearn.reproduce.{self.module}").plan
        return made(self.name, options)


_TRAINS: Final = {"torch": "torch", "matplotlib": "plots"}
_ENCRYPTS: Final = {"gmpy2": "deepchain", "matplotlib": "plots"}

EXPERIMENTS: Final = (
    Experiment(
        name="tclearn-fig4",
        paper="[J] fig. 4",
        shows="a U-Net trained by partners in turn, beside the same on all data in one place",
        module="segmentation",
        needs=_TRAINS,
    ),
    Experiment(
        name="tclearn-fig5",
        paper="[J] fig. 5",
        shows="MNIST, seven partners with small batches: loss and accuracy, increment by increment",
        module="digits",
        needs=_TRAINS,
    ),
    Experiment(
        name="tclearn-fig6",
        paper="[J] fig. 6",
        shows="the same with larger batches",
        module="digits",
        needs=_TRAINS,
    ),
    Experiment(
        name="tclearn-hyperparameters",
        paper="[J] §III.D.2",
        shows="a learning rate that follows performance and a change by two thirds, beside neither",
        module="hyperparameters",
        needs=_TRAINS,
    ),
    Experiment(
        name="tclearn-unbalanced",
        paper="[J] §IV.A.1",
        shows="partners with unequal data are turned down; what a search for a shorter step changes",
        module="unbalanced",
        needs=_TRAINS,
    ),
    Experiment(
        name=TABLE,
        paper="[J] table 1",
        shows="each tick of the table, and the tests that show it",
        module="table1",
        needs={},
    ),
    Experiment(
        name="deepchain-fig4",
        paper="[D] fig. 4",
        shows="how large the ciphertexts of 4,000 to 20,000 gradients are",
        module="deepchain.ciphers",
        needs=_ENCRYPTS,
    ),
    Experiment(
        name="deepchain-fig5",
        paper="[D] fig. 5",
        shows="how fast they are made",
        module="deepchain.ciphers",
        needs=_ENCRYPTS,
    ),
    Experiment(
        name="deepchain-fig6",
        paper="[D] fig. 6",
        shows="MNIST, four parties that share 100 times: accuracy, beside a party alone",
        module="deepchain.training",
        needs={**_TRAINS, **_ENCRYPTS},
    ),
    Experiment(
        name="deepchain-fig7",
        paper="[D] fig. 7",
        shows="the same with ten parties",
        module="deepchain.training",
        needs={**_TRAINS, **_ENCRYPTS},
    ),
    Experiment(
        name="deepchain-fig9",
        paper="[D] fig. 9",
        shows="what 4 to 10 parties compute in all: each stage as measured, times how often it is done",
        module="deepchain.times",
        needs={**_TRAINS, **_ENCRYPTS},
    ),
)


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """A finished experiment.

    Attributes:
        experiment: which.
        directory: where its files are.
        settings: what the results depend on.
        findings: what the paper says, beside what came out.
        outcomes: the runs.
        files: what was written, for people.
    """

    experiment: Experiment
    directory: Path
    settings: Mapping[str, Any]
    findings: Sequence[Finding]
    outcomes: Outcomes
    files: Mapping[str, Path]

    @property
    def missed(self) -> bool:
        """Whether something that is expected did not come out."""
        return any(finding.met is False for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """What ``results.json`` holds."""
        return {
            "experiment": self.experiment.name,
            "paper": self.experiment.paper,
            "settings": dict(self.settings),
            "findings": [asdict(finding) for finding in self.findings],
            "runs": [outcome.as_json() for outcome in self.outcomes.values()],
        }


class Watcher:
    """Hears how an experiment goes; does nothing, for those who do not care."""

    def began(self, plan: Plan, place: Place) -> None:
        """The plan is made and the directory taken."""

    def trained(self, records: int) -> None:
        """So many records have been trained on."""

    def finished(self, number: int, outcome: Outcome) -> None:
        """A run is done; they are numbered from 0."""


def experiment(name: str) -> Experiment:
    """The experiment of a name.

    Raises:
        UsageError: there is none.
    """
    names = [each.name for each in EXPERIMENTS]
    if name not in names:
        raise UsageError(
            Code.USAGE, f"no experiment {name!r}", expected=", ".join(names), remedy=did_you_mean(name, names)
        )
    return next(each for each in EXPERIMENTS if each.name == name)


def reproduce(chosen: Experiment, options: Options, directory: Path, watcher: Watcher | None = None) -> Reproduction:
    """Run an experiment, or go on with an interrupted one, and write what came out.

    Args:
        chosen: the experiment.
        options: how much of it.
        directory: where everything goes; a finished reproduction there is replaced.
        watcher: hears how it goes.

    Raises:
        UsageError: an option is out of range, or the directory holds something else.
        UnreachableError: data or a package is not on this machine; nothing has been written.
        AgentError: the directory holds an interrupted reproduction with other settings.
    """
    watcher = watcher or Watcher()
    if not 1 <= len(options.every_seed) <= SEEDS_MAX:
        raise UsageError(Code.USAGE, f"--seeds is {options.seeds}", expected=f"1 to {SEEDS_MAX}")
    if not 0 <= options.seed < 1 << 62:
        raise UsageError(Code.USAGE, f"--seed is {options.seed}", expected="0 to 2^62")
    if options.run and chosen.name != TABLE:
        raise UsageError(Code.USAGE, f"--run with {chosen.name}", expected=f"--run with {TABLE}")
    check(directory)
    plan = chosen.plan(options)
    with Place.claim(directory, plan.settings) as place:
        watcher.began(plan, place)
        outcomes: dict[str, Outcome] = {}
        for number, run in enumerate(plan.runs):
            outcome = place.outcome(run.name)
            if outcome is None:
                outcome = run(place.working(run.name), place.record(run.name), watcher.trained)
                place.keep(run.name, outcome)
            outcomes[run.name] = outcome
            watcher.finished(number, outcome)
        findings = tuple(plan.find(outcomes))
        files = {"results": directory / RESULTS}
        if any(outcome.start for outcome in outcomes.values()):
            write_whole(directory / CURVE, _csv(outcomes))
            files["curve"] = directory / CURVE
        if plan.draw is not None:
            plan.draw(outcomes, directory / FIGURE)
            files["figure"] = directory / FIGURE
        if any(outcome.entries for outcome in outcomes.values()):
            files["records"] = directory / RECORDS
        made = Reproduction(
            experiment=chosen,
            directory=directory,
            settings=plan.settings,
            findings=findings,
            outcomes=outcomes,
            files=files,
        )
        place.finish(made.as_json())
        return made


def _need(module: str, extra: str) -> None:
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise UnreachableError(
            Code.EXTENSION_UNKNOWN,
            f"{module} cannot be imported: {error}",
            expected=f"the extra {extra!r}",
            remedy=f'pip install "tclearn[{extra}]"',
        ) from error


def _csv(outcomes: Outcomes) -> bytes:
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(_COLUMNS)
    for outcome in outcomes.values():
        for row in _rows(outcome):
            rows.writerow((outcome.name, outcome.seed, *row))
    return text.getvalue().encode()


def _rows(outcome: Outcome) -> Iterator[tuple[object, ...]]:
    for name, point in outcome.start.items():
        yield 0, 0, "", "", "", name, point.performance, point.loss
    for number, each in enumerate(outcome.increments, 1):
        block = "" if each.block is None else each.block
        for epoch, point in enumerate(each.training, 1):
            yield number, block, epoch, each.member, each.samples, "training", point.performance, point.loss
        for name, point in each.measured.items():
            yield number, block, "", each.member, each.samples, name, point.performance, point.loss
