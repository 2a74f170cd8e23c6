"""The runs of figures 6 and 7: parties that share their changes again and again, one party alone, all in one place."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tclearn.errors import AgentError, Code
from tclearn.files import make_folder, write_whole
from tclearn.learning.datasets import joined
from tclearn.learning.drawing import derived
from tclearn.learning.padded_cnn import padded_cnn
from tclearn.learning.parameters import Parameters
from tclearn.learning.records import Records
from tclearn.learning.trainer import LocalData, Task, Trainer, Work
from tclearn.learning.trainers.torch import TorchTrainer
from tclearn.paillier.packing import Layout
from tclearn.protocols.deepchain.agent.quantising import CLIP_UNIT, dequantise, gradient, quantise, stepped
from tclearn.reproduce.deepchain.circle import Circle
from tclearn.reproduce.examiner import Examiner
from tclearn.reproduce.outcome import ACCEPTED, GLOBAL, Increment, Outcome, Point
from tclearn.reproduce.plan import Tell

VALIDATION: Final = "validation"
ALL: Final = "all parties"
LARGEST: Final = "largest change"
CLIPPED: Final = "values clipped"
SHARED: Final = "values shared"
ENCRYPTED: Final = "sharings encrypted"
WALL: Final = "encrypted sharings, wall seconds"
CPU: Final = "encrypted sharings, CPU seconds"
CPU_OF: Final = "{}, CPU seconds of one party in all encrypted sharings"
GRADIENT_BYTES: Final = "bytes of one encrypted gradient with its proofs"
SHARE_BYTES: Final = "bytes of one party's decryption shares with their proofs"
CORES: Final = "cores"
SHARE_WORTH: Final = 4
"""A decryption share of one value takes about as long as training on so many records: the unit of progress."""
_PROGRESS: Final = "progress.json"
_EVERY: Final = 10
"""What trains alone is measured after so many sharings of the others."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is trained, shared and encrypted.

    Attributes:
        steps: mini-batches between two sharings.
        sharings: how many.
        clip: the largest change of a weight that counts, in units of 2^-40.
        bits: of the threshold key.
        encrypted: numbers of the sharings that are encrypted, from 1.
        values: so many values of each of those are; ``None``: all.
    """

    steps: int
    sharings: int
    clip: int
    bits: int
    encrypted: Sequence[int]
    values: int | None = None


@dataclass(frozen=True, kw_only=True)
class Data:
    """The records of a run.

    Attributes:
        parties: by name, what they train on.
        test: G.
        validation: measured as well; nothing is chosen by it.
    """

    parties: Mapping[str, Records]
    test: Records
    validation: Records


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What the runs of one seed have in common.

    Attributes:
        recipe: of the parties.
        arguments: of the network.
        data: divides the records; called when a run begins.
        sizes: how much.
    """

    recipe: TorchTrainer
    arguments: Mapping[str, int]
    data: Callable[[], Data]
    sizes: Sizes

    @property
    def taken(self) -> int:
        """Records that a party takes between two sharings, some of them twice where it has few."""
        return self.sizes.steps * self.recipe.batch_size

    def task(self, data: Data) -> Task:
        """What is trained and tested."""
        return Task(
            model=padded_cnn,
            arguments=self.arguments,
            metric="accuracy",
            global_test=data.test,
            local_share=0,
            step_search="none",
        )


@dataclass(frozen=True, kw_only=True)
class SharedRun:
    """Parties that train from one model, share their quantised changes and go on from the mean; see ``Run``.

    Goes on where it was interrupted, from the last sharing.

    Attributes:
        name: names its files.
        seed: fixes W_0 and training; not the key and the ciphertexts, on which nothing in the model depends.
        setting: data, network, and how much.
        work: see ``Run``.
    """

    name: str
    seed: int
    setting: Setting
    work: int

    def __call__(self, working: Path, record: Path, tell: Tell) -> Outcome:
        """See ``Run``."""
        began, setting, sizes = time.monotonic(), self.setting, self.setting.sizes
        data = setting.data()
        task = setting.task(data)
        examiner = Examiner(setting.recipe, task, _sets(data))
        trainers = {party: setting.recipe.bind(task, LocalData(each)) for party, each in data.parties.items()}
        start = next(iter(trainers.values())).initial(self.seed)
        layout = Layout(sizes.bits, (1,) * len(trainers))
        progress = _Progress.read(working, start)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            left = [number for number in sizes.encrypted if number > len(progress.increments)]
            circle = Circle(len(trainers), sizes.bits, run=pool.map) if left else None
            for number in range(len(progress.increments) + 1, sizes.sharings + 1):
                now, trained = progress.now, {}
                for party, trainer in trainers.items():
                    trained[party] = _trained(trainer, now, self.seed, party, number)
                    tell(setting.taken)
                changes = [gradient(now, each) for each in trained.values()]
                steps = {place: quantise(each, sizes.clip, layout.levels) for place, each in enumerate(changes, 1)}
                sums: NDArray[np.int64] = np.sum(list(steps.values()), axis=0)
                if circle is not None and number in left:
                    sums = self._opened(circle, steps, sums, progress, tell)
                progress.note(changes, sizes.clip)
                if number == sizes.sharings:
                    progress.numbers |= {party: _performance(examiner, each) for party, each in trained.items()}
                progress.now = stepped(now, dequantise(sums, len(trainers), sizes.clip, layout.levels))
                seen = len(trainers) * setting.taken
                progress.increments.append(_increment(ALL, progress.now, examiner, seen, setting))
                progress.write(working)
        return Outcome(
            name=self.name,
            seed=self.seed,
            coalition="",
            start=examiner.points(start),
            increments=tuple(progress.increments),
            seconds=round(time.monotonic() - began, 1),
            numbers={**progress.numbers, CORES: os.cpu_count() or 1},
        )

    def _opened(
        self,
        circle: Circle,
        steps: Mapping[int, NDArray[np.int64]],
        sums: NDArray[np.int64],
        progress: _Progress,
        tell: Tell,
    ) -> NDArray[np.int64]:
        """The sums as the parties open them: equal to the plain ones (``sum_of``), and what training goes on with."""
        some = {place: each[: self.setting.sizes.values] for place, each in steps.items()}
        opened = circle.sum_of(some, lambda values: tell(SHARE_WORTH * values))
        progress.add({ENCRYPTED: 1, WALL: opened.wall_s, CPU: opened.total_cpu_s})
        progress.add({CPU_OF.format(stage): taken for stage, taken in opened.cpu_s.items()})
        progress.numbers |= {GRADIENT_BYTES: opened.gradient_bytes, SHARE_BYTES: opened.share_bytes}
        return np.concatenate([opened.sums, sums[len(opened.sums) :]])


@dataclass(frozen=True, kw_only=True)
class AloneRun:
    """As many steps without the others: each party with its own records, or all records in one place; see ``Run``.

    Begins anew when it was interrupted. The increments are those of the first party, or of the one place; of each the
    performance at the end is in ``Outcome.numbers``.

    Attributes:
        name: names its files.
        seed: as of ``SharedRun``.
        setting: as there.
        pooled: all records in one place.
        work: see ``Run``.
    """

    name: str
    seed: int
    setting: Setting
    pooled: bool
    work: int

    def __call__(self, working: Path, record: Path, tell: Tell) -> Outcome:
        """See ``Run``."""
        began, setting = time.monotonic(), self.setting
        data = setting.data()
        task = setting.task(data)
        examiner = Examiner(setting.recipe, task, _sets(data))
        held = {ALL: joined(data.parties.values())} if self.pooled else data.parties
        numbers, increments, start = {}, [], None
        for place, (party, records) in enumerate(held.items()):
            trainer = setting.recipe.bind(task, LocalData(records))
            now = start = trainer.initial(self.seed)
            since = 0
            for number in range(1, setting.sizes.sharings + 1):
                now = _trained(trainer, now, self.seed, party, number)
                since += setting.taken
                tell(setting.taken)
                if place == 0 and (number % _EVERY == 0 or number == setting.sizes.sharings):
                    increments.append(_increment(party, now, examiner, since, setting))
                    since = 0
            numbers[party] = _performance(examiner, now)
        if start is None:
            raise AgentError(Code.STALLED, "there is no party")
        return Outcome(
            name=self.name,
            seed=self.seed,
            coalition="",
            start=examiner.points(start),
            increments=tuple(increments),
            seconds=round(time.monotonic() - began, 1),
            numbers=numbers,
        )


@dataclass
class _Progress:
    """What is done of a ``SharedRun``; written after each sharing, the model before the note that names it."""

    now: Parameters
    increments: list[Increment]
    numbers: dict[str, float]

    @classmethod
    def read(cls, working: Path, start: Parameters) -> _Progress:
        file = working / _PROGRESS
        if not file.exists():
            return cls(start, [], {LARGEST: 0.0, CLIPPED: 0, SHARED: 0, ENCRYPTED: 0, WALL: 0.0, CPU: 0.0})
        held = json.loads(file.read_bytes())
        increments = [Increment.from_json(each) for each in held["increments"]]
        data = (working / increments[-1].parameters).read_bytes()
        return cls(Parameters.from_bytes(data, layout=start.layout), increments, held["numbers"])

    def write(self, working: Path) -> None:
        make_folder(working)
        write_whole(working / self.increments[-1].parameters, self.now.to_bytes())
        held = {"increments": [asdict(each) for each in self.increments], "numbers": self.numbers}
        write_whole(working / _PROGRESS, json.dumps(held).encode())
        for each in self.increments[:-1]:
            (working / each.parameters).unlink(missing_ok=True)

    def add(self, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            self.numbers[name] = self.numbers.get(name, 0) + value

    def note(self, changes: Iterable[NDArray[np.float64]], clip: int) -> None:
        most = clip / CLIP_UNIT
        for each in changes:
            sizes = np.abs(each)
            self.numbers[LARGEST] = max(self.numbers[LARGEST], float(sizes.max()))
            self.add({CLIPPED: int(np.count_nonzero(sizes > most)), SHARED: sizes.size})


def _trained(trainer: Trainer, start: Parameters, seed: int, party: str, number: int) -> Parameters:
    contribution = trainer.train(start, Work(derived(seed, f"{party} {number}"), {}, frozenset()))
    if contribution is None:
        raise AgentError(Code.STALLED, f"{party} has no records to train on")
    return contribution.parameters


def _sets(data: Data) -> dict[str, Records]:
    return {GLOBAL: data.test, VALIDATION: data.validation}


def _performance(examiner: Examiner, parameters: Parameters) -> float:
    return examiner.points(parameters)[GLOBAL].performance


def _increment(member: str, parameters: Parameters, examiner: Examiner, seen: int, setting: Setting) -> Increment:
    """A model after some steps; nobody votes here."""
    measured: Mapping[str, Point] = examiner.points(parameters)
    return Increment(
        member=member,
        status=ACCEPTED,
        reason="",
        samples=seen,
        trained=seen,
        block=None,
        hash="",
        parameters=parameters.digest.hex(),
        hyperparameters=dict(setting.recipe.hyperparameters()),
        yes=0,
        votes=0,
        strictly=0,
        reported={},
        measured=measured,
        training=(),
    )
