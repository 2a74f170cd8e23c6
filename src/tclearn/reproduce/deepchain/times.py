"""Figure 9: the total time of 4 to 10 parties, as stages on the clock times how often they are done (Weng et al. 2019).

Nobody waits days here. Each stage is timed on one batch of ciphertexts, with one core; what a party does in a whole
training follows by counting. One whole sharing of four parties is carried out, and held against its count.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch

from tclearn.learning.data_ids import data_set_digest, digest_text
from tclearn.learning.datasets import Dataset, by_sizes, load
from tclearn.learning.drawing import derived
from tclearn.learning.padded_cnn import padded_cnn
from tclearn.learning.records import Records
from tclearn.learning.trainer import LocalData, Task, Work
from tclearn.learning.trainers.torch import TorchTrainer
from tclearn.paillier.keys import FAST_BITS
from tclearn.paillier.packing import Layout
from tclearn.reproduce.deepchain import published
from tclearn.reproduce.deepchain.circle import STAGES, VERIFY, VERIFY_SHARES, Circle, threshold_of
from tclearn.reproduce.deepchain.plots import draw_times
from tclearn.reproduce.deepchain.sharing import SHARE_WORTH
from tclearn.reproduce.deepchain.training import NETWORK
from tclearn.reproduce.outcome import Outcome
from tclearn.reproduce.plan import Finding, Options, Outcomes, Plan, Run, Tell
from tclearn.reproduce.versions import cryptography, versions

TRAINING: Final = "local training"
SECONDS: Final = "{}, CPU seconds"
TOTAL: Final = "everything, CPU seconds"
WALL: Final = "everything, wall seconds"
VALUES: Final = "values of each party"
PARTIES: Final = "parties"
CHECKED: Final = "whole-sharing"
_PER_OTHER: Final = (VERIFY, VERIFY_SHARES)
_NEAR: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Sizes of the experiment.

    Attributes:
        parties: numbers of parties.
        bits: of the key.
        values: of each party in the sample.
        whole: values of each party in the sharing that is carried out; ``None``: none is.
        sharings: of a whole training.
        steps: mini-batches of one party between two sharings.
        records: of a party.
        network: arguments of ``padded_cnn``.
        rounds: how often the training between two sharings is timed; the median counts.
    """

    parties: Sequence[int] = tuple(published.TOTAL_S)
    bits: int = FAST_BITS
    values: int = 128 * 76
    whole: int | None = published.PARAMETERS
    sharings: int = published.SHARINGS
    steps: int = published.ITERATIONS // published.SHARINGS
    records: int = published.RECORDS
    network: Mapping[str, int]
    rounds: int = 5


def plan(name: str, options: Options) -> Plan:
    """See ``Experiment.plan``."""
    scene = Scene(network=NETWORK)
    if options.quick:
        scene = Scene(network=NETWORK, parties=(4, 10), whole=None, rounds=1)
    return plan_of(name, scene, options, load("mnist"))


def plan_of(name: str, scene: Scene, options: Options, dataset: Dataset) -> Plan:
    """The plan of the experiment.

    Args:
        name: of the experiment.
        scene: its sizes.
        options: how much of it.
        dataset: MNIST, or what takes its place in tests.
    """
    (records,) = by_sizes(dataset, (scene.records,), options.seed)
    parameters = sum(weight.numel() for weight in padded_cnn(**scene.network).parameters())
    settings = {
        "experiment": name,
        "quick": options.quick,
        "seed": options.seed,
        "parties": list(scene.parties),
        "key_bits": scene.bits,
        "sample": scene.values,
        "whole": scene.whole,
        "parameters": parameters,
        "sharings": scene.sharings,
        "steps": scene.steps,
        "batch_size": published.BATCH,
        "records": scene.records,
        "rounds": scene.rounds,
        "data": digest_text(data_set_digest(dataset.train)),
        "versions": {**versions(), **cryptography()},
    }
    runs: list[Run] = [TrainingRun(name="training", seed=options.seed, scene=scene, records=records, test=dataset.test)]
    runs += [
        SampleRun(name=f"parties-{number}", seed=options.seed, parties=number, bits=scene.bits, values=scene.values)
        for number in scene.parties
    ]
    if scene.whole is not None:
        first = scene.parties[0]
        runs.append(SampleRun(name=CHECKED, seed=options.seed, parties=first, bits=scene.bits, values=scene.whole))
    return Plan(
        settings=settings,
        words=(
            f"{', '.join(map(str, scene.parties))} parties · {scene.sharings} sharings of {parameters:,} parameters, "
            f"counted from {scene.values:,} of each party · {scene.bits} bits · seed {options.seed}"
        ),
        runs=runs,
        find=partial(find, scene=scene, parameters=parameters),
        draw=partial(_draw, scene, parameters),
    )


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """What one party trains between two sharings, on one core; see ``Run``."""

    name: str
    seed: int
    scene: Scene
    records: Records
    test: Records

    @property
    def work(self) -> int:
        """See ``Run``."""
        return self.scene.rounds * self.scene.steps * published.BATCH

    def __call__(self, working: Path, record: Path, tell: Tell) -> Outcome:
        """See ``Run``."""
        began, scene = time.monotonic(), self.scene
        recipe = TorchTrainer(
            optimizer=torch.optim.SGD, steps=scene.steps, batch_size=published.BATCH, learning_rate=published.RATE
        )
        task = Task(
            model=padded_cnn,
            arguments=scene.network,
            metric="accuracy",
            global_test=self.test,
            local_share=0,
            step_search="none",
        )
        trainer = recipe.bind(task, LocalData(self.records))
        start, taken = trainer.initial(self.seed), []
        for number in range(scene.rounds):
            before = time.process_time()
            trainer.train(start, Work(derived(self.seed, f"training {number}"), {}, frozenset()))
            taken.append(time.process_time() - before)
            tell(scene.steps * published.BATCH)
        return _outcome(self.name, self.seed, began, {SECONDS.format(TRAINING): float(np.median(taken))})


@dataclass(frozen=True, kw_only=True)
class SampleRun:
    """One sharing of random values, all of it verified, on one core; see ``Run``."""

    name: str
    seed: int
    parties: int
    bits: int
    values: int

    @property
    def work(self) -> int:
        """See ``Run``."""
        return SHARE_WORTH * threshold_of(self.parties) * self.values

    def __call__(self, working: Path, record: Path, tell: Tell) -> Outcome:
        """See ``Run``."""
        began = time.monotonic()
        circle = Circle(self.parties, self.bits)
        random = np.random.default_rng(derived(self.seed, self.name))
        levels = circle.layout.levels
        steps = {
            party: random.integers(-levels, levels, self.values, endpoint=True) for party in range(1, self.parties + 1)
        }
        opened = circle.sum_of(steps, lambda values: tell(SHARE_WORTH * values))
        numbers: dict[str, float] = {SECONDS.format(stage): taken for stage, taken in opened.cpu_s.items()}
        numbers |= {TOTAL: opened.total_cpu_s, WALL: opened.wall_s, PARTIES: self.parties, VALUES: self.values}
        return _outcome(self.name, self.seed, began, numbers)


def counted(outcomes: Outcomes, parties: int, scene: Scene, parameters: int) -> dict[str, float]:
    """CPU seconds of one party in a whole training, stage by stage.

    Each party encrypts and proves its gradient, verifies all others', adds all up, makes its shares, verifies all
    others' and opens: once a sharing.

    Args:
        outcomes: of the runs.
        parties: how many.
        scene: sizes.
        parameters: of the model.
    """
    number = outcomes[f"parties-{parties}"].numbers
    layout = Layout(scene.bits, (1,) * parties)
    often = scene.sharings * layout.count(parameters) / layout.count(int(number[VALUES]))
    seconds = {TRAINING: scene.sharings * outcomes["training"].numbers[SECONDS.format(TRAINING)]}
    for stage in STAGES:
        others = parties - 1 if stage in _PER_OTHER else 1
        seconds[stage] = often * others * number[SECONDS.format(stage)]
    return seconds


def whole(outcomes: Outcomes, scene: Scene) -> tuple[float, float]:
    """CPU seconds of the sharing that was carried out: as measured, and as counted from the sample."""
    done = outcomes[CHECKED].numbers
    parties = int(done[PARTIES])
    number, layout = outcomes[f"parties-{parties}"].numbers, Layout(scene.bits, (1,) * parties)
    return done[TOTAL], number[TOTAL] * layout.count(int(done[VALUES])) / layout.count(int(number[VALUES]))


def find(outcomes: Outcomes, *, scene: Scene, parameters: int) -> list[Finding]:
    """Figure 9: what the paper says, beside what was counted."""
    totals = {parties: sum(counted(outcomes, parties, scene, parameters).values()) for parties in scene.parties}
    first, last = scene.parties[0], scene.parties[-1]
    found = [
        Finding(
            claim=f"total time of {parties} parties",
            paper=f"{published.TOTAL_S[parties]:,} s" if parties in published.TOTAL_S else "not said",
            here=f"{total:,.0f} CPU seconds of one party; {parties * total:,.0f} of all on one core",
        )
        for parties, total in totals.items()
    ]
    stages = counted(outcomes, first, scene, parameters)
    found += [
        Finding(
            claim=f"what most of it is, with {first} parties",
            paper="“encryption and decryption”; stages in symbols only (table 4)",
            here=", ".join(
                f"{stage} {100 * taken / totals[first]:.0f} %"
                for stage, taken in sorted(stages.items(), key=lambda item: -item[1])[:4]
            ),
        ),
        Finding(
            claim=f"from {first} to {last} parties",
            paper=f"{_growth(published.TOTAL_S[4], published.TOTAL_S[10])}, from 4 to 10",
            here=f"{_growth(totals[first], totals[last])} for one party, as each verifies all others",
        ),
        Finding(
            claim="not like for like",
            paper="1024 bits, Java on one desktop computer of 3.3 GHz, with the ledger (Corda) and all waiting; "
            "gradients packed as they cannot be opened (figure 4)",
            here=f"{scene.bits} bits, computing alone: no ledger, network or waiting; proofs of ranges, for batches",
        ),
    ]
    if CHECKED in outcomes:
        measured, expected = whole(outcomes, scene)
        found.append(
            Finding(
                claim=f"one whole sharing of {first} parties, carried out",
                paper="all of them",
                here=f"{measured:,.0f} CPU seconds, {outcomes[CHECKED].numbers[WALL]:,.0f} s by the clock; counted "
                f"from the sample {expected:,.0f}",
                expected=f"within {100 * _NEAR:.0f} %",
                met=abs(measured / expected - 1) <= _NEAR,
            )
        )
    return found


def _growth(before: float, after: float) -> str:
    return f"{100 * (after / before - 1):+.1f} %"


def _outcome(name: str, seed: int, began: float, numbers: Mapping[str, float]) -> Outcome:
    return Outcome(
        name=name,
        seed=seed,
        coalition="",
        start={},
        increments=(),
        seconds=round(time.monotonic() - began, 1),
        numbers=numbers,
    )


def _draw(scene: Scene, parameters: int, outcomes: Outcomes, file: Path) -> None:
    columns = [counted(outcomes, parties, scene, parameters) for parties in scene.parties]
    stages = {stage: [column[stage] for column in columns] for stage in (*STAGES, TRAINING)}
    draw_times(scene.parties, stages, published.TOTAL_S, file)
