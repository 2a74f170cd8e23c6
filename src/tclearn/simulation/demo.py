"""The demonstration: a coalition on a public data set, with members that misbehave, against all data in one place."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from tclearn.coalition.digest_text import format_digest
from tclearn.directory.changes import ask_for_revert
from tclearn.directory.coalition import CHARTER, DATA_KEY, LEDGER, LEDGER_SIDE_FILES, LOG_KEY, OBJECTS
from tclearn.encoding import MemberId
from tclearn.errors import AgentError, Code, UsageError
from tclearn.files import write_whole
from tclearn.learning.datasets import Dataset, load, partition
from tclearn.learning.records import Records
from tclearn.learning.trainer import LocalData, Recipe, Task, Work
from tclearn.page.report import Summary, render
from tclearn.protocols.tclearn.governing import change_id
from tclearn.protocols.tclearn.history import Step, step_of
from tclearn.protocols.tclearn.state import ChangeState, State
from tclearn.simulation.attacks import Attack, default_attacks
from tclearn.simulation.result import Export, Result
from tclearn.simulation.simulate import MEMBERS, Setting, Simulation
from tclearn.simulation.tasks import TASKS

SETTINGS: Final = "demo.json"
EXPORT: Final = "coalition.tclearn"
MODEL: Final = "model.safetensors"
REPORT: Final = "report.html"
_FORMAT: Final = 1
_BLOCKS_MAX: Final = 10_000
_OWN: Final = (EXPORT, MODEL, REPORT, MEMBERS, OBJECTS, CHARTER, LEDGER, *LEDGER_SIDE_FILES, LOG_KEY, DATA_KEY)


def _ignore(_: object) -> None:
    pass


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What a demonstration shows.

    Attributes:
        dataset: ``"digits"``, ``"breast-cancer"`` or ``"mnist"``.
        members: how many members, 2 to 50.
        attacks: who misbehaves how; ``None``: a label flipper and a member with used records, where there are enough
            others.
        blocks: how many blocks to make; ``None``: what the data set's demonstration has by default.
        seed: fixes keys, data split, draws and training.
        rule: the acceptance rule.
        lambda_: λ of the rule.
    """

    dataset: str = "digits"
    members: int = 7
    attacks: tuple[Attack, ...] | None = None
    blocks: int | None = None
    seed: int = 1
    rule: str = "anchored"
    lambda_: Decimal = Decimal("0.98")

    def settings(self) -> dict[str, Any]:
        """The options as kept for ``--resume``."""
        return {
            "format": _FORMAT,
            "dataset": self.dataset,
            "members": self.members,
            "attacks": None if self.attacks is None else [str(attack) for attack in self.attacks],
            "blocks": self.blocks,
            "seed": self.seed,
            "rule": self.rule,
            "lambda": str(self.lambda_),
        }

    @classmethod
    def from_settings(cls, text: str, file: Path) -> DemoOptions:
        """Read the options of an interrupted demonstration.

        Raises:
            AgentError: the file is not one of this version.
        """
        try:
            kept = json.loads(text)
            if kept["format"] != _FORMAT:
                raise ValueError(f"format {kept['format']}")
            attacks = kept["attacks"]
            return cls(
                dataset=str(kept["dataset"]),
                members=int(kept["members"]),
                attacks=None if attacks is None else tuple(Attack.parse(str(attack)) for attack in attacks),
                blocks=None if kept["blocks"] is None else int(kept["blocks"]),
                seed=int(kept["seed"]),
                rule=str(kept["rule"]),
                lambda_=Decimal(kept["lambda"]),
            )
        except (ValueError, KeyError, TypeError, ArithmeticError) as error:
            raise AgentError(
                Code.RESUME, f"{file} is not usable: {error}", remedy="start anew: tclearn demo --out another-directory"
            ) from error


@dataclass(frozen=True)
class Demo:
    """A demonstration, ready to run or to go on.

    Attributes:
        options: what it shows.
        directory: where everything is kept.
        attacks: who misbehaves how.
        simulation: the coalition.
    """

    options: DemoOptions
    directory: Path
    attacks: tuple[Attack, ...]
    simulation: Simulation
    _dataset: Dataset
    _recipe: Recipe
    _pooled: Records
    _began: float

    @classmethod
    def prepare(cls, options: DemoOptions, directory: Path, *, resume: bool = False) -> Demo:
        """Load data, split it, make the coalition's directory, or open that of an interrupted run.

        Args:
            options: what to show; with ``resume`` those of the interrupted run count.
            directory: where everything is kept; an earlier demonstration there is replaced unless ``resume``.
            resume: go on where an interrupted run stopped.

        Raises:
            UsageError: an option is out of range, or the directory holds something else.
            UnreachableError: the data set is not here and cannot be fetched.
            AgentError: there is nothing to resume, or it does not fit.
        """
        began = time.monotonic()
        if resume:
            options = _interrupted(directory)
        names = _names(options)
        attacks = default_attacks(options.members) if options.attacks is None else options.attacks
        _check(options, attacks, names)
        task = TASKS[options.dataset]
        dataset = load(task.dataset)
        parts = partition(dataset, names, options.seed)
        recipe = task.recipe()
        _make_directory(directory, options, resume=resume)
        blocks = task.blocks if options.blocks is None else options.blocks
        setting = Setting(
            charter=task.charter(options.rule, options.lambda_, blocks),
            members=_with_attacks(parts, attacks, dataset.classes),
            global_test=dataset.test,
            trainer=recipe,
            seed=options.seed,
            adversaries={attack.member: wrap for attack in attacks if (wrap := attack.wrapper)},
            contributions=math.ceil(blocks / (len(names) - len(attacks))),
        )
        simulation = Simulation.prepare(setting, directory)
        return cls(options, directory, attacks, simulation, dataset, recipe, dataset.train, began)

    def run(self, on_step: Callable[[Step], None] = _ignore, on_entry: Callable[[State], None] = _ignore) -> DemoResult:
        """Train, and write report, model and record.

        Args:
            on_step: called once for each increment when it is closed, in order; at once for those closed before.
            on_entry: called after each ledger entry.
        """
        shown = _Shown(on_step)
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
        return DemoResult(self, result, export, coalition_seconds)

    def centralised(self, result: Result) -> float:
        """Performance on G of the same trainer on all members' records in one place, labels as they are, 0 to 1."""
        task = Task(
            model=TASKS[self.options.dataset].factory,
            arguments=TASKS[self.options.dataset].arguments,
            metric=TASKS[self.options.dataset].metric,
            global_test=self._dataset.test,
            local_share=0,
            data_key=self.simulation.keys.data(),
            step_search=False,
        )
        trainer = self._recipe.bind(task, LocalData(self._pooled))
        start = trainer.initial(result.charter.model.seed)
        work = Work(self.options.seed, result.charter.hyperparameters, frozenset())
        contribution = trainer.train(start, work)
        if contribution is None:
            raise AgentError(Code.STALLED, "there are no records to train on in one place")
        measured = trainer.measure(start, contribution.parameters, frozenset()).on_global
        return measured.candidate / measured.scale

    def close(self) -> None:
        """Release the files."""
        self.simulation.close()


@dataclass(frozen=True)
class DemoResult:
    """What came out.

    Attributes:
        demo: the demonstration.
        result: the coalition's result.
        export: the record.
        coalition_seconds: time of this run's coalition part.
    """

    demo: Demo
    result: Result
    export: Export
    coalition_seconds: float

    @cached_property
    def centralised(self) -> float:
        """See ``Demo.centralised``."""
        return self.demo.centralised(self.result)

    def write_report(self) -> None:
        """Write the report, with what the same training on all data in one place reaches."""
        verified = self.export.verify()
        summary = Summary(
            coalition=format_digest(self.result.charter.digest),
            entries=verified.entries,
            cosigned=verified.cosigned,
            seed=self.demo.options.seed,
            centralised=self.centralised,
            export=EXPORT,
        )
        write_whole(self.demo.directory / REPORT, render(self.result.state, summary).encode())

    @property
    def seconds(self) -> float:
        """Time of the whole run so far."""
        return time.monotonic() - self.demo._began

    def as_json(self) -> dict[str, Any]:
        """One object with everything."""
        result, directory = self.result, self.demo.directory
        local: dict[str, list[float | None]] = {member: [] for member in result.state.members}
        for step in result.blocks:
            measured = {ballot.member: ballot.on_local for ballot in step.ballots}
            for member, series in local.items():
                series.append(measured.get(MemberId(member)))
        rejected = [step for step in result.steps if step.closed and step.block is None]
        return {
            "coalition": result.charter.digest.hex(),
            "protocol": result.charter.protocol,
            "level": result.charter.level,
            "dataset": self.demo.options.dataset,
            "rule": result.charter.acceptance.rule,
            "lambda": result.charter.acceptance.lambda_ppm / 1e6,
            "seed": self.demo.options.seed,
            "attacks": [str(attack) for attack in self.demo.attacks],
            "members": list(result.state.members),
            "blocks": [
                {
                    "index": chained.block.index,
                    "hash": chained.block.hash.hex(),
                    "contributor": chained.block.contributor,
                    "parameters": chained.block.parameters.hex(),
                    "yes": sum(vote.vote == "yes" for vote in chained.block.votes),
                    "votes": len(chained.block.votes),
                }
                for chained in result.state.blocks()
                if chained.block.index > 0
            ],
            "accepted": len(result.blocks),
            "rejected": [
                {"member": step.member, "status": step.status, "reason": step.reason, "count": step.count}
                for step in rejected
            ],
            "performance": {"global": result.performance, "local": local},
            "centralised": self.centralised,
            "final": result.performance[-1] if result.performance else None,
            "ledger": str(directory / "ledger.sqlite"),
            "export": str(self.export.path),
            "report": str(directory / REPORT),
            "model": str(directory / MODEL),
            "seconds": round(self.seconds, 3),
            "coalition_seconds": round(self.coalition_seconds, 3),
        }


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
        demo.run().write_report()
        change = simulation.ledger.state().change(name) if name else None
        if change is None:
            raise AgentError(Code.REFUSED, "the change is not on the ledger")
        return change, simulation.ledger.state().tip
    finally:
        demo.close()


class _Shown:
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


def _interrupted(directory: Path) -> DemoOptions:
    file = directory / SETTINGS
    if not file.is_file():
        raise AgentError(
            Code.RESUME,
            f"there is no demonstration in {directory}",
            expected=f"a directory that `tclearn demo --out {directory}` has made",
            remedy=f"start one: tclearn demo --out {directory}",
        )
    return DemoOptions.from_settings(file.read_text(encoding="utf-8"), file)


def _names(options: DemoOptions) -> list[str]:
    width = len(str(options.members))
    return [f"hospital-{number:0{width}d}" for number in range(1, options.members + 1)]


def _check(options: DemoOptions, attacks: tuple[Attack, ...], names: list[str]) -> None:
    if options.dataset not in TASKS:
        raise UsageError(Code.USAGE, f"no data set {options.dataset!r} in the demo", expected=" or ".join(TASKS))
    if not 2 <= options.members <= 50:
        raise UsageError(Code.USAGE, f"{options.members} members", expected="2 to 50")
    if options.blocks is not None and not 1 <= options.blocks <= _BLOCKS_MAX:
        raise UsageError(Code.USAGE, f"{options.blocks} blocks", expected=f"1 to {_BLOCKS_MAX}")
    for attack in attacks:
        if attack.member not in names:
            raise UsageError(Code.USAGE, f"the attack {attack}: no such member", expected=f"{names[0]} to {names[-1]}")
    if len({attack.member for attack in attacks}) < len(attacks):
        raise UsageError(Code.USAGE, "two attacks by one member", expected="one attack a member")
    if len(attacks) >= options.members:
        raise UsageError(Code.USAGE, "every member misbehaves", expected="at least one honest member")


def _make_directory(directory: Path, options: DemoOptions, *, resume: bool) -> None:
    if resume:
        return
    settings = directory / SETTINGS
    if directory.exists() and not directory.is_dir():
        raise UsageError(Code.USAGE, f"{directory} is a file", expected="a directory, or a name that is free")
    if directory.is_dir() and any(directory.iterdir()) and not settings.is_file():
        raise UsageError(
            Code.USAGE,
            f"{directory} holds something that is not a demonstration",
            expected="an empty or new directory",
            remedy="choose another one with --out",
        )
    directory.mkdir(parents=True, exist_ok=True)
    for name in (*_OWN, SETTINGS):  # what an earlier demonstration left; anything else in there is the user's
        own = directory / name
        if own.is_dir():
            shutil.rmtree(own)
        else:
            own.unlink(missing_ok=True)
    write_whole(settings, json.dumps(options.settings(), indent=2).encode() + b"\n")


def _with_attacks(parts: dict[str, Records], attacks: tuple[Attack, ...], classes: int) -> dict[str, Records]:
    honest = next(name for name in parts if all(attack.member != name for attack in attacks))
    members = dict(parts)
    for attack in attacks:
        members[attack.member] = attack.data(parts[attack.member], parts[honest], classes)
    return members
