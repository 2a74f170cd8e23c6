"""The demonstration: a coalition on a public data set, with members that misbehave, against all data in one place."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection

from tclearn.coalition.digest_text import format_digest
from tclearn.directory.changes import ask_for_revert
from tclearn.encoding import MemberId
from tclearn.errors import AgentError, Code, UsageError
from tclearn.extensions import load as load_extension
from tclearn.files import write_whole
from tclearn.learning.datasets import Dataset, load, partition
from tclearn.learning.records import Records
from tclearn.learning.trainer import LocalData, Recipe, Task, Work
from tclearn.page.report import Summary, render
from tclearn.protocols.tclearn.governing import change_id
from tclearn.protocols.tclearn.history import Step, step_of
from tclearn.protocols.tclearn.records import ChangeState
from tclearn.protocols.tclearn.state import State
from tclearn.simulation.attacks import Attack
from tclearn.simulation.demo_directory import alone, make_directory
from tclearn.simulation.demo_options import DemoOptions
from tclearn.simulation.demo_result import EXPORT, MODEL, REPORT, DemoResult
from tclearn.simulation.result import Export, Result
from tclearn.simulation.simulate import Setting, Simulation
from tclearn.simulation.tasks import TASKS

__all__ = ["Demo", "DemoOptions", "DemoResult", "revert_demo"]


def _ignore(_: object) -> None:
    pass


@dataclass(frozen=True)
class Demo:
    """A demonstration, ready to run or to go on.

    Attributes:
        options: what it shows.
        directory: where everything is kept.
        simulation: the coalition.
    """

    options: DemoOptions
    directory: Path
    simulation: Simulation
    _dataset: Dataset
    _recipe: Recipe
    _pooled: Records
    _began: float
    _lock: Connection

    @classmethod
    def prepare(
        cls, options: DemoOptions, directory: Path, *, resume: bool = False, given: Collection[str] = ()
    ) -> Demo:
        """Load data, split it, make the coalition's directory, or open that of an interrupted run.

        Args:
            options: what to show; with ``resume`` those of the interrupted run count.
            directory: where everything is kept; an earlier demonstration there is replaced unless ``resume``.
            resume: go on where an interrupted run stopped.
            given: with ``resume``, names of options that somebody has typed, be it their defaults.

        Raises:
            UsageError: an option is out of range, or the directory holds something else.
            UnreachableError: the data set is not here and cannot be fetched.
            AgentError: there is nothing to resume, or it does not fit, or another demonstration runs there.
        """
        began = time.monotonic()
        if resume:
            options = DemoOptions.interrupted(directory).resumed_as(options, given)
        options.check()
        load_extension("tclearn.acceptance", options.rule)  # it is installed, or nothing is touched
        dataset = load(TASKS[options.dataset].dataset)
        setting = cast(options, dataset)
        if not resume:
            setting.check()  # what is there is deleted when nothing can be refused any more
        held = alone(directory)
        make_directory(directory, options.settings(), resume=resume)
        simulation = Simulation.prepare(setting, directory)
        return cls(options, directory, simulation, dataset, setting.trainer, dataset.train, began, held)

    def run(
        self,
        on_step: Callable[[Step], None] = _ignore,
        on_entry: Callable[[State], None] = _ignore,
        on_phase: Callable[[str], None] = _ignore,
    ) -> DemoResult:
        """Train, and write record, model and report.

        Args:
            on_step: called once for each increment when it is closed, in order; at once for those closed before.
            on_entry: called after each ledger entry.
            on_phase: told, in words, what else takes a while.
        """
        shown = Shown(on_step)
        shown.update(self.simulation.ledger.state(), all_of_them=False)

        def entry(state: State) -> bool:
            shown.update(state, all_of_them=False)
            on_entry(state)
            return True

        began = time.monotonic()
        self.simulation.run(entry)
        coalition_seconds = time.monotonic() - began
        result = self.simulation.result()
        shown.update(result.state, all_of_them=True)
        export = result.export(self.directory / EXPORT)
        write_whole(self.directory / MODEL, result.parameters.to_bytes())
        on_phase("training on all data in one place, to compare")
        centralised = self._centralised(result)
        self._write_report(result, export, centralised)
        seconds = time.monotonic() - self._began
        return DemoResult(self.options, self.directory, result, export, centralised, coalition_seconds, seconds)

    def close(self) -> None:
        """Release the files."""
        self.simulation.close()
        self._lock.close()

    def _centralised(self, result: Result) -> float:
        # The same trainer on all members' records in one place, labels as they are.
        task = Task(
            model=TASKS[self.options.dataset].factory,
            arguments=TASKS[self.options.dataset].arguments,
            metric=TASKS[self.options.dataset].metric,
            global_test=self._dataset.test,
            local_share=0,
            data_key=self.simulation.keys.data(),
            step_search="none",
        )
        trainer = self._recipe.bind(task, LocalData(self._pooled))
        start = trainer.initial(result.charter.model.seed)
        work = Work(self.options.seed, result.charter.hyperparameters, frozenset())
        contribution = trainer.train(start, work)
        if contribution is None:
            raise AgentError(Code.STALLED, "there are no records to train on in one place")
        measured = trainer.measure(start, contribution.parameters, frozenset()).on_global
        return measured.candidate / measured.scale

    def _write_report(self, result: Result, export: Export, centralised: float) -> None:
        verified = export.verify()
        summary = Summary(
            coalition=format_digest(result.charter.digest),
            entries=verified.entries,
            cosigned=verified.cosigned,
            seed=self.options.seed,
            centralised=centralised,
            export=EXPORT,
        )
        write_whole(self.directory / REPORT, render(result.state, summary).encode())


def cast(options: DemoOptions, dataset: Dataset) -> Setting:
    """Who takes part in a demonstration, with what.

    Args:
        options: checked ones.
        dataset: that of the options.
    """
    names, attacks, task = options.names, options.misbehaving, TASKS[options.dataset]
    blocks = task.blocks if options.blocks is None else options.blocks
    parts = partition(dataset, names, options.seed)
    return Setting(
        charter=task.charter(options.rule, options.lambda_, blocks, options.level),
        members=_with_attacks(parts, attacks, dataset.classes, dataset.test),
        global_test=dataset.test,
        trainer=task.recipe(),
        seed=options.seed,
        adversaries={attack.member: wrap for attack in attacks if (wrap := attack.wrapper)},
        contributions=math.ceil(blocks / (len(names) - len(attacks))),
    )


def revert_demo(directory: Path, target: int, members: Sequence[str]) -> tuple[ChangeState, int]:
    """Ask for a revert in a demonstration's coalition, in the name of some members, and let the agents carry it out.

    Args:
        directory: the demonstration's directory.
        target: index of the block whose model is to be restored.
        members: who asks for it or approves it, in this order.

    Returns:
        The change, and the index of the newest block afterwards.

    Raises:
        UsageError: no member, or somebody who is none.
        AgentError: no demonstration is there, or the contract refuses.
    """
    demo = Demo.prepare(DemoOptions(), directory, resume=True)
    try:
        simulation = demo.simulation
        strangers = [name for name in members if name not in simulation.ledger.state().members]
        if strangers or not members:
            raise UsageError(
                Code.USAGE,
                f"{strangers[0]!r} is not a member" if strangers else "nobody asks for the revert",
                expected=", ".join(simulation.ledger.state().members),
            )
        name = None
        for member in members:
            signer = simulation.keys.signer(MemberId(member))
            name = change_id(ask_for_revert(simulation.ledger, simulation.charter.digest, signer, target).change)
        demo.run()
        change = simulation.ledger.state().change(name) if name else None
        if change is None:
            raise AgentError(Code.REFUSED, "the change is not on the ledger")
        return change, simulation.ledger.state().tip
    finally:
        demo.close()


class Shown:
    """Reports each step once, in order, when nothing about it can change or a later one has begun."""

    def __init__(self, on_step: Callable[[Step], None]) -> None:
        self._on_step = on_step
        self._count = 0
        self._size = (-1, -1)

    def update(self, state: State, *, all_of_them: bool) -> None:
        size = (state.candidates, state.tip)
        if size == self._size and not all_of_them and self._count == state.candidates:
            return
        self._size = size
        while self._count < state.candidates:
            step = step_of(state, self._count)
            late = step.status == "rejected" and any(ballot.vote == "missing" for ballot in step.ballots)
            if not all_of_them and (not step.closed or (late and self._count == state.candidates - 1)):
                return
            self._on_step(step)
            self._count += 1


def _with_attacks(
    parts: dict[str, Records], attacks: tuple[Attack, ...], classes: int, global_test: Records
) -> dict[str, Records]:
    honest = next(name for name in parts if all(attack.member != name for attack in attacks))
    members = dict(parts)
    for attack in attacks:
        members[attack.member] = attack.data(parts[attack.member], parts[honest], classes, global_test)
    return members
