"""``tclearn reproduce``: the papers' experiments, run again."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from tclearn.cli.output import messages, print_json, say, table
from tclearn.reproduce.experiments import EXPERIMENTS, Reproduction, Watcher, experiment
from tclearn.reproduce.experiments import reproduce as run_experiment
from tclearn.reproduce.outcome import Outcome
from tclearn.reproduce.place import Place
from tclearn.reproduce.plan import Finding, Options, Plan

FAILED = 1
_MARKS = {True: "yes", False: "NO", None: "–"}


def reproduce(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", show_default=False, help="The experiment.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="Name the experiments, and do nothing.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Less of it and one seed, for a first look.")] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="The first seed.")] = 1,
    seeds: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="How many seeds; by default 3, with --quick 1. deepchain-fig4, -fig5 and -fig9 take one, "
            "tclearn-table1 none.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where everything goes; by default reproduce/NAME.")
    ] = None,
    run: Annotated[bool, typer.Option("--run", help="With tclearn-table1: run the tests, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run an experiment of the papers again, and print what comes out beside what the paper says.

    An interrupted one goes on when it is asked for again; a finished one is replaced.
    """
    if name is None or listed:
        _list(as_json)
        return
    chosen = experiment(name)
    options = Options(quick=quick, seed=seed, seeds=seeds, run=run)
    directory = out or Path("reproduce") / name
    with _progress(as_json) as bar:
        try:
            made = run_experiment(chosen, options, directory, _Shown(bar, as_json))
        except KeyboardInterrupt:
            messages.print("stopped · the same command goes on", markup=False, soft_wrap=True)
            raise typer.Exit(130) from None
    if as_json:
        print_json({**made.as_json(), "directory": str(directory), "files": _files(made)})
    else:
        _summarise(made)
    if made.missed:
        raise typer.Exit(FAILED)


def _list(as_json: bool) -> None:
    if as_json:
        names = [{"name": each.name, "paper": each.paper, "shows": each.shows} for each in EXPERIMENTS]
        print_json({"experiments": names})
        return
    table(("experiment", "paper", "shows"), [(each.name, each.paper, each.shows) for each in EXPERIMENTS])
    say("\n[J] is Lugan et al. 2019, [D] Weng et al. 2019. Run one:  tclearn reproduce tclearn-fig5 --quick")


class _Shown(Watcher):
    """Says on the terminal how an experiment goes."""

    def __init__(self, bar: Progress | None, as_json: bool) -> None:
        self._bar, self._as_json = bar, as_json
        self._works: list[int] = []
        self._task = bar.add_task("reading data", total=None) if bar else None

    def began(self, plan: Plan, place: Place) -> None:
        self._works = [run.work for run in plan.runs]
        if self._bar is not None and self._task is not None and self._works:
            self._bar.update(self._task, description=plan.runs[0].name, total=sum(self._works))
        if not self._as_json:
            say(f"{plan.words}{_seeds(plan)}")
            if place.continued:
                say(f"goes on with what is in {place.path}")
        self._runs = plan.runs

    def trained(self, records: int) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, records)

    def finished(self, number: int, outcome: Outcome) -> None:
        if self._bar is not None and self._task is not None:
            # What was turned down and trained again does not count twice.
            names = [run.name for run in self._runs[number + 1 :]] or ["drawing"]
            self._bar.update(self._task, completed=sum(self._works[: number + 1]), description=names[0])
        if not self._as_json:
            blocks = f"{len(outcome.accepted)} of {len(outcome.increments)} accepted · " if outcome.coalition else ""
            performance = f"{outcome.final():.4f} on G · " if outcome.start else ""
            say(f"  {outcome.name}: {blocks}{performance}{outcome.seconds:.0f} s")


def _seeds(plan: Plan) -> str:
    seeds = plan.settings.get("seeds")
    return f" · seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}" if seeds else ""


def _summarise(made: Reproduction) -> None:
    say(f"\n{made.experiment.name}, {made.experiment.paper}" + (" · QUICK" if made.settings.get("quick") else ""))
    expects = any(finding.expected for finding in made.findings)
    columns = ("", "paper", "here", *(("expected", "") if expects else ()))
    table(columns, [_row(finding, expects) for finding in made.findings])
    if made.settings.get("quick"):
        say("quick: less than the whole experiment, so these are not its values")
    say()
    for what, path in _files(made).items():
        say(f"{what:<8} {path}")
    if made.missed:
        say("something expected did not come out")


def _row(finding: Finding, expects: bool) -> tuple[str, ...]:
    beside = (finding.expected, _MARKS[finding.met] if finding.expected else "")
    return (finding.claim, finding.paper, finding.here, *(beside if expects else ()))


def _files(made: Reproduction) -> dict[str, str]:
    return {what: str(path) for what, path in made.files.items()}


def _progress(as_json: bool) -> AbstractContextManager[Progress | None]:
    if as_json or not messages.is_terminal:
        return nullcontext()
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=messages, transient=True)
