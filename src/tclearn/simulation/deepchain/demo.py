"""The demonstration of DeepChain: gradients under a threshold key, members that lie and pay, against the clear."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from tclearn.coalition.digest_text import format_digest
from tclearn.directory.coalition import CHARTER, OBJECTS
from tclearn.errors import AgentError, Code
from tclearn.files import write_whole
from tclearn.learning.datasets import Dataset, load, partition
from tclearn.learning.networks import perceptron
from tclearn.learning.records import Records
from tclearn.ledger.verify import Verified
from tclearn.page.deepchain import Summary, render
from tclearn.protocols.deepchain.state import State
from tclearn.simulation.deepchain.as_json import coins_json, course_json, minted_json
from tclearn.simulation.deepchain.attacks import KINDS
from tclearn.simulation.deepchain.options import BLOCKS, TASKS, DeepChainOptions
from tclearn.simulation.deepchain.result import Result
from tclearn.simulation.deepchain.setting import Setting
from tclearn.simulation.deepchain.simulation import OnCourse, Simulation
from tclearn.simulation.demo_directory import alone, make_directory
from tclearn.simulation.demo_result import EXPORT, MODEL, REPORT
from tclearn.simulation.result import Export


@dataclass(frozen=True)
class DeepChainDemo:
    """A demonstration, ready to run or to go on.

    Attributes:
        options: what it shows.
        directory: where everything is kept.
        simulation: the coalition.
    """

    options: DeepChainOptions
    directory: Path
    simulation: Simulation
    _began: float
    _lock: Connection

    @classmethod
    def prepare(
        cls,
        options: DeepChainOptions,
        directory: Path,
        *,
        resume: bool = False,
        given: Collection[str] = (),
        on_phase: Callable[[str], None] = lambda _: None,
    ) -> DeepChainDemo:
        """Load data, split it, deal the key and make the coalition's directory, or open that of an interrupted run.

        Args:
            options: what to show; with ``resume`` those of the interrupted run count.
            directory: where everything is kept; an earlier demonstration there is replaced unless ``resume``.
            resume: go on where an interrupted run stopped.
            given: with ``resume``, names of options that somebody has typed, be it their defaults.
            on_phase: told, in words, what takes a while.

        Raises:
            UsageError: an option is out of range, or the directory holds something else.
            AgentError: there is nothing to resume, or it does not fit, or another demonstration runs there.
        """
        began = time.monotonic()
        if resume:
            options = DeepChainOptions.interrupted(directory).resumed_as(options, given)
        options.check()
        setting = cast(options, load(options.dataset))
        if not resume:
            setting.check()  # what is there is deleted when nothing can be refused any more
        held = alone(directory)
        try:
            make_directory(directory, options.settings(), resume=resume)
            if not (directory / CHARTER).exists():
                on_phase(f"dealing a threshold key of {options.key_bits} bits")
            simulation = Simulation.prepare(setting, directory)
        except BaseException:
            held.close()
            raise
        return cls(options, directory, simulation, began, held)

    def run(
        self,
        on_course: OnCourse,
        on_entry: Callable[[State], None] = lambda _: None,
        on_phase: Callable[[str], None] = lambda _: None,
    ) -> DeepChainResult:
        """Train, write record and model, train again in the clear, and write the report.

        Args:
            on_course: called when an iteration is over; at once for those that were before.
            on_entry: called after each ledger entry.
            on_phase: told, in words, what else takes a while.

        Raises:
            AgentError: the model is not, bit for bit, that of averaging in the clear.
            VerificationError: the record that was written does not verify.
        """

        def entry(state: State) -> bool:
            on_entry(state)
            return True

        began = time.monotonic()
        for checked in (MODEL, REPORT):  # of an earlier run: what is there under these names has been compared
            (self.directory / checked).unlink(missing_ok=True)
        self.simulation.run(on_course, entry)
        coalition_seconds = time.monotonic() - began
        result = self.simulation.result()
        on_phase("verifying the record")
        export = result.export(self.directory / EXPORT)
        verified = export.verify()
        on_phase("training again in the clear, to compare")
        clear = self.simulation.averaged()
        if clear.quantised.digest != result.parameters.digest:
            raise AgentError(
                Code.PARAMETERS_DIGEST,
                f"the model is {result.parameters.digest.hex()[:16]}…, plain quantised averaging gives another",
                expected=f"{clear.quantised.digest.hex()[:16]}…, bit for bit",
                remedy="please report this, with the directory",
            )
        unquantised = None
        if clear.iterations:  # else both are W_0: that they are equal says nothing, and nothing was trained
            write_whole(self.directory / MODEL, result.parameters.to_bytes())
            unquantised = self.simulation.measured(clear.exact)
        self._write_report(result, verified, unquantised)
        return DeepChainResult(
            options=self.options,
            directory=self.directory,
            result=result,
            export=export,
            entries=verified.entries,
            unquantised=unquantised,
            coalition_seconds=coalition_seconds,
            seconds=time.monotonic() - self._began,
        )

    def close(self) -> None:
        """Release the files."""
        self.simulation.close()
        self._lock.close()

    def _write_report(self, result: Result, verified: Verified, unquantised: float | None) -> None:
        summary = Summary(
            coalition=format_digest(result.terms.digest),
            entries=verified.entries,
            cosigned=verified.cosigned,
            seed=self.options.seed,
            export=EXPORT,
            accuracies=result.performance,
            averaged=unquantised,
            weights_equal=None if unquantised is None else True,  # otherwise the run has ended with an error
            proofs=OBJECTS,
        )
        page = render(result.terms, self.simulation.history, summary)
        write_whole(self.directory / REPORT, page.encode())


@dataclass(frozen=True)
class DeepChainResult:
    """A finished demonstration. Its model is, bit for bit, that of plain averaging of the quantised gradients.

    When no iteration has succeeded there is none, and nothing was compared.

    Attributes:
        options: what it showed.
        directory: where everything is.
        result: the coalition's result.
        export: the record, verified.
        entries: how many it has.
        unquantised: performance on the global test set of averaging the same parties' gradients as they are, 0 to 1;
            ``None``: no iteration has succeeded.
        coalition_seconds: time of this run's coalition part.
        seconds: time of the whole run.
    """

    options: DeepChainOptions
    directory: Path
    result: Result
    export: Export
    entries: int
    unquantised: float | None
    coalition_seconds: float
    seconds: float

    @property
    def has_model(self) -> bool:
        """Whether an iteration has succeeded: without one there is no model, and the work has failed."""
        return bool(self.result.performance)

    @property
    def idle(self) -> tuple[str, ...]:
        """In words, who was to misbehave and has lost no deposit."""
        courses = self.result.courses
        fined = {fine.member for course in courses for fine in course.fines}
        led = {block.leader for course in courses for block in course.blocks}
        return tuple(
            f"{attack}: {attack.member} never led"
            if KINDS[attack.kind].leading and attack.member not in led
            else f"{attack}: {attack.member} has lost no deposit"
            for attack in self.options.misbehaving
            if attack.member not in fined
        )

    def as_json(self) -> dict[str, Any]:
        """One object with everything."""
        result, directory = self.result, self.directory
        accounts, group = result.state.accounts, result.state.group
        return {
            "coalition": result.terms.digest.hex(),
            "protocol": result.terms.protocol,
            "dataset": self.options.dataset,
            "seed": self.options.seed,
            "attacks": [str(attack) for attack in self.options.misbehaving],
            "key_bits": self.options.key_bits,
            "parties": list(result.terms.parties),
            "workers": list(result.terms.workers),
            "threshold": result.terms.key.threshold,
            "status": group.status,
            "iterations": [course_json(course) for course in result.courses],
            "performance": {"global": list(result.performance)},
            "final": result.performance[-1] if result.performance else None,
            "unquantised": self.unquantised,
            "equal_to_plain_averaging": None if self.unquantised is None else True,
            "parameters": result.parameters.digest.hex(),
            "coins": coins_json(result.balances),
            **minted_json(result.balances, accounts),
            "pot": accounts.pot,
            "ended_early": result.ended_early,
            "idle": list(self.idle),
            "clipped": result.clipped,
            "entries": self.entries,
            "ledger": str(directory / "ledger.sqlite"),
            "objects": str(directory / "objects"),
            "export": str(self.export.path),
            "report": str(directory / REPORT),
            "model": str(directory / MODEL) if self.has_model else None,
            "seconds": round(self.seconds, 3),
            "coalition_seconds": round(self.coalition_seconds, 3),
        }


def cast(options: DeepChainOptions, dataset: Dataset) -> Setting:
    """Who takes part in a demonstration, with what.

    Args:
        options: checked ones.
        dataset: that of the options.
    """
    from tclearn.learning.trainers.torch import TorchTrainer

    task = TASKS[options.dataset]
    parts = partition(dataset, options.parties, options.seed)
    test = _flat(dataset.test)
    return Setting(
        parties={name: _flat(part) for name, part in parts.items()},
        workers=options.workers,
        model=perceptron,
        arguments={"features": test.inputs.shape[1], "hidden": task.hidden, "classes": dataset.classes},
        global_test=test,
        trainer=TorchTrainer(epochs=task.epochs, batch_size=task.batch_size),
        seed=options.seed,
        iterations=BLOCKS if options.blocks is None else options.blocks,
        name=f"demo-{options.dataset}",
        key_bits=options.key_bits,
        adversaries={attack.member: attack.wrapper for attack in options.misbehaving},
    )


def _flat(records: Records) -> Records:
    # A perceptron takes rows of numbers, not images.
    return Records(records.inputs.reshape(len(records), -1), records.targets)
