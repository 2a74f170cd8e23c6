"""The two kinds of runs: a coalition, and the same training with all data in one place."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tclearn.agents.scheduler import TICK_MS
from tclearn.coalition.acceptance import merged
from tclearn.coalition.block import Block
from tclearn.coalition.charter import Charter
from tclearn.coalition.evidence import Evidence
from tclearn.coalition.quorum import quorum
from tclearn.directory.changes import ask_for_hyperparameters
from tclearn.encoding import MemberId
from tclearn.errors import AgentError, Code
from tclearn.files import make_folder
from tclearn.learning.datasets import joined
from tclearn.learning.parameters import Parameters
from tclearn.learning.records import Records
from tclearn.learning.source import load_factory
from tclearn.learning.trainer import LocalData, Task, Work
from tclearn.learning.trainers.torch import TorchTrainer
from tclearn.ledger.transaction import Transaction
from tclearn.protocols.tclearn.agent import Participant
from tclearn.protocols.tclearn.calls import Approve, Request
from tclearn.protocols.tclearn.history import Step, step_of
from tclearn.protocols.tclearn.records import Candidate, ChangeState
from tclearn.protocols.tclearn.state import State
from tclearn.reproduce.examiner import Examiner
from tclearn.reproduce.noting import NotingRecipe
from tclearn.reproduce.outcome import ACCEPTED, GLOBAL, Approval, Increment, Outcome, Point
from tclearn.reproduce.plan import Tell
from tclearn.simulation.simulate import Setting, Simulation

NOTES: Final = "training"
COALITION: Final = "coalition"
TOGETHER: Final = "all"
"""Name of the one who trains on all data in one place."""


@dataclass(frozen=True, kw_only=True)
class Data:
    """The records of a run.

    Attributes:
        members: by name, what they train on.
        global_test: G.
        local_tests: by name, local test sets; empty: L grows from what contributions put aside.
        kept: further sets that nobody in the coalition has: measured, and nothing else.
    """

    members: Mapping[str, Records]
    global_test: Records
    local_tests: Mapping[str, Records] = field(default_factory=dict)
    kept: Mapping[str, Records] = field(default_factory=dict)

    @property
    def measured(self) -> dict[str, Records]:
        """All that is measured, by name; G first."""
        return {GLOBAL: self.global_test, **self.local_tests, **self.kept}


@dataclass(frozen=True, kw_only=True)
class Change:
    """Other hyper-parameters, asked for by one member and approved by as many as it takes.

    Attributes:
        after: block after which this is done.
        values: the new values: counts, and ``learning_rate`` in millionths.
    """

    after: int
    values: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class CoalitionRun:
    """A coalition that trains; see ``Run``.

    Attributes:
        name: names its files.
        seed: fixes keys, draws and training.
        charter: what the members agree on.
        recipe: how to train.
        data: divides the records; called when the run begins.
        work: see ``Run``.
        contributions: into how many each member divides its records.
        change: other hyper-parameters on the way.
    """

    name: str
    seed: int
    charter: Charter
    recipe: TorchTrainer
    data: Callable[[], Data]
    work: int
    contributions: int = 1
    change: Change | None = None

    def __call__(self, working: Path, record: Path, tell: Tell) -> Outcome:
        """See ``Run``."""
        began = time.monotonic()
        data = self.data()
        recipe = NotingRecipe(self.recipe, working / NOTES, self.charter.metric, tell)
        make_folder(working)
        simulation = Simulation.prepare(self._setting(data, recipe), working / COALITION)
        try:
            _run(simulation, self.change)
            result = simulation.result()
            verified = result.export(record).verify()
            task = Task(
                model=load_factory(self.charter.model),
                arguments=self.charter.arguments,
                metric=self.charter.metric,
                global_test=data.global_test,
            )
            examiner = Examiner(self.recipe, task, data.measured)
            return Outcome(
                name=self.name,
                seed=self.seed,
                coalition=result.charter.digest.hex(),
                start=examiner.points(_parameters(simulation, result.state.block(0))),
                increments=tuple(_increments(simulation, recipe, examiner)),
                approvals=tuple(_approvals(simulation)),
                entries=verified.entries,
                seconds=round(time.monotonic() - began, 1),
            )
        finally:
            simulation.close()

    def _setting(self, data: Data, recipe: NotingRecipe) -> Setting:
        return Setting(
            charter=self.charter,
            members=data.members,
            global_test=data.global_test,
            trainer=recipe,
            seed=self.seed,
            local_tests=data.local_tests,
            contributions=self.contributions,
        )


@dataclass(frozen=True, kw_only=True)
class PooledRun:
    """The same network, trained as often on all records in one place; see ``Run`` and ``CoalitionRun``."""

    name: str
    seed: int
    charter: Charter
    recipe: TorchTrainer
    data: Callable[[], Data]
    work: int

    def __call__(self, working: Path, record: Path, tell: Tell) -> Outcome:
        """See ``Run``; begins anew when it was interrupted."""
        began = time.monotonic()
        data = self.data()
        recipe = NotingRecipe(self.recipe, working / NOTES, self.charter.metric, tell)
        task = Task(
            model=load_factory(self.charter.model),
            arguments=self.charter.arguments,
            metric=self.charter.metric,
            global_test=data.global_test,
            local_share=0,
            step_search="none",
        )
        together = joined(data.members.values())
        trainer = recipe.bind(task, LocalData(together))
        start = trainer.initial(self.charter.seed)
        contribution = trainer.train(start, Work(self.seed, recipe.hyperparameters(), frozenset()))
        if contribution is None:
            raise AgentError(Code.STALLED, "there are no records to train on in one place")
        examiner = Examiner(self.recipe, task, data.measured)
        digest = contribution.parameters.digest
        increment = Increment(
            member=TOGETHER,
            status=ACCEPTED,
            reason="",
            samples=len(together),
            trained=len(contribution.data_ids),
            block=None,
            hash="",
            parameters=digest.hex(),
            hyperparameters=dict(recipe.hyperparameters()),
            yes=0,
            votes=0,
            strictly=0,
            reported={},
            measured=examiner.points(contribution.parameters),
            training=recipe.notes(digest),
        )
        return Outcome(
            name=self.name,
            seed=self.seed,
            coalition="",
            start=examiner.points(start),
            increments=(increment,),
            seconds=round(time.monotonic() - began, 1),
        )


def _run(simulation: Simulation, change: Change | None) -> None:
    """Run to the end, and let members ask for the change when it is time, at the same entry however often it stops."""
    if not _is_due(simulation.ledger.state(), change):
        simulation.run(lambda state: not _is_due(state, change))
    if change is not None and _is_due(simulation.ledger.state(), change):
        members = simulation.charter.members
        for member in members[: quorum(len(members))]:
            asked = [state for state in _changes(simulation.ledger.state()) if member.id in state.approvals]
            if not asked:
                simulation.clock.wait(_last_ms(simulation) + TICK_MS - simulation.clock())
                signer = simulation.keys.signer(member.id)
                ask_for_hyperparameters(simulation.ledger, simulation.charter.digest, signer, change.values)
        simulation.run()


def _is_due(state: State, change: Change | None) -> bool:
    if change is None or state.tip < change.after:
        return False
    return not any(asked.status == "done" for asked in _changes(state))


def _changes(state: State) -> list[ChangeState]:
    return [state.asked(change) for change in state.changes()]


def _last_ms(simulation: Simulation) -> int:
    size = len(simulation.ledger)
    (last,) = simulation.ledger.entries(size - 1, size)
    return last.entry.time_ms


def _increments(simulation: Simulation, recipe: NotingRecipe, examiner: Examiner) -> list[Increment]:
    state = simulation.ledger.state()
    found = []
    for number in range(state.candidates):
        candidate, step = state.candidate(number), step_of(state, number)
        measured: Mapping[str, Point] = {}
        if step.block is not None:
            measured = examiner.points(_parameters(simulation, state.block(step.block)))
        found.append(_increment(state, candidate, step, measured, recipe.notes(candidate.parameters)))
    return found


def _increment(
    state: State, candidate: Candidate, step: Step, measured: Mapping[str, Point], training: tuple[Point, ...]
) -> Increment:
    block = state.block(step.block) if step.block is not None else None
    reported = {str(ballot.member): ballot.on_local for ballot in step.ballots if ballot.on_local is not None}
    if step.performance is not None:
        reported[GLOBAL] = step.performance
    return Increment(
        member=candidate.proposer,
        status=step.status,
        reason=step.reason,
        samples=candidate.samples,
        trained=candidate.samples - candidate.set_aside,
        block=step.block,
        hash=block.hash.hex() if block else "",
        parameters=candidate.parameters.hex(),
        hyperparameters=candidate.hyperparameters,
        yes=step.yes,
        votes=len(step.ballots),
        strictly=_strictly(block) if block else 0,
        reported=reported,
        measured=measured,
        training=training,
    )


def _strictly(block: Block) -> int:
    """Votes for a block if λ were 1: the candidate at least as good as the reference, on G and L together."""
    evidence = [Evidence(vote.on_global, vote.on_local) for vote in block.votes if vote.on_global is not None]
    return sum(before <= after for before, after in map(merged, evidence))


def _approvals(simulation: Simulation) -> list[Approval]:
    ledger, state = simulation.ledger, simulation.ledger.state()
    names = {member.key: MemberId(member.id) for member in simulation.charter.members}
    methods = {kind.__name__.lower() for kind in (Request, Approve)}
    sealed = {chained.entry: chained.block.index for chained in state.blocks() if chained.entry is not None}
    found, newest = [], 0
    for each in ledger.entries(0, len(ledger)):
        index = each.entry.index
        newest = sealed.get(index, newest)
        transaction = Transaction.parse(each.entry.transaction)
        if transaction.call.method in methods and each.outcome.code == 0:
            found.append(Approval(index, names[transaction.signer], transaction.call.method, newest))
    return found


def _parameters(simulation: Simulation, block: Block) -> Parameters:
    site, role = simulation.agents[0].site, simulation.agents[0].role
    if not isinstance(role, Participant):
        raise TypeError("not a TCLearn role")
    return role.model(block, site)
