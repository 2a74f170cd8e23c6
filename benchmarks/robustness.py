"""What acceptance rules stop: coalitions with members that lie in their training, on MNIST or, smaller, on digits.

Seven partners, the paper's network, λ = 0.98; the product's own ``simulate``, agents, contract and adversaries. With
``TCLEARN_DATA`` naming the folder of MNIST, each partner has 2,000 training records, G has 2,000 and 5,000 are kept for
measuring here; without, all of it is digits and small. Every run (a case, a rule, a seed) is kept in a file as soon as
it is done, and an interrupted benchmark goes on after it.

    TCLEARN_DATA=… python benchmarks/robustness.py --seeds 1 2 3 --keep runs.json --table
    TCLEARN_DATA=… python benchmarks/robustness.py --keep benchmarks/results/robustness-mnist.json --report \\
        --page docs/robustness.md --figure docs/figures/robustness.svg

A rule is one word in ``RULES``, a case one entry of ``CASES``. Where a figure has a bar its value is that of the worst
seed, else the mean. Bars are for MNIST, but that no poisoned increment is accepted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from anywhere

from benchmarks.common import Figure, show
from tclearn import Charter, Result, TorchTrainer, simulate
from tclearn.coalition.evidence import Evidence
from tclearn.files import write_whole
from tclearn.learning.datasets import load
from tclearn.learning.drawing import derived, order
from tclearn.learning.networks import paper_cnn
from tclearn.learning.parameters import Parameters
from tclearn.learning.records import Records
from tclearn.learning.trainer import Contribution, DataId, LocalData, Task, Trainer, Work
from tclearn.protocols.tclearn.adversaries import (
    Clique,
    FlippedLabels,
    Honest,
    InventedRecords,
    LargestStep,
    Patient,
    Poisoned,
    TargetedClass,
    Trigger,
)

RULES = ("paper", "anchored", "strict")
MEMBERS = 7
LAMBDA = 0.98
IN_A_ROW = 14
EXAMINED = 1000
SEVEN, ONE = 7, 1
TRIGGER = Trigger(target=0)

Wrap = Callable[[Trainer], Trainer]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Data set and sizes.

    Attributes:
        records: for training, of each member.
        tested: records of G.
        kept: records that only this benchmark measures on.
        contributions: into how many each member divides its records.
    """

    dataset: str
    records: int
    tested: int
    kept: int
    contributions: int
    network: Mapping[str, int]
    epochs: int
    batch_size: int


SCENES = {
    "mnist": Scene(
        dataset="mnist",
        records=2000,
        tested=2000,
        kept=5000,
        contributions=4,
        network={"side": 28, "filters": 32, "hidden": 128},
        epochs=3,
        batch_size=32,
    ),
    "digits": Scene(
        dataset="digits",
        records=160,
        tested=300,
        kept=300,
        contributions=2,
        network={"side": 8, "filters": 32, "hidden": 128},
        epochs=20,
        batch_size=16,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What a figure should reach: at least, or at most."""

    figure: str
    value: float
    at_most: bool = False


@dataclass(frozen=True, kw_only=True)
class Case:
    """A coalition; its last members misbehave.

    Attributes:
        liars: how many.
        poison: what is done to their records.
        wrap: what their trainers are wrapped in, given the charter; asked once a run.
        in_a_row: blocks of the liar that are waited for after all honest ones; 0: it takes its turns like everybody.
        counted: whether the liars' increments should make blocks too.
        skewed: each member has its own mixture of classes, Dirichlet 0.5, instead of equal ones.
        search: the charter's ``step_search``.
        exam: the records on which accuracy is the harm done, made of those kept.
        harm: what accuracy on them means.
        bars: for all rules.
        bars_of: for some rules, instead of those.
    """

    words: str
    liars: int = 0
    poison: Callable[[Records], Records] | None = None
    wrap: Callable[[Charter], Wrap] | None = None
    in_a_row: int = 0
    counted: bool = False
    skewed: bool = False
    search: str | None = None
    exam: Callable[[Records], Records] | None = None
    harm: str = ""
    bars: Sequence[Bar] = ()
    bars_of: Mapping[str, Sequence[Bar]] = field(default_factory=dict)


def frog(charter: Charter) -> Wrap:
    """Waits for the others to be done, and slides as far as it may, again and again."""
    largest = LargestStep.against(charter)
    return lambda trainer: Patient(largest(InventedRecords(trainer)))


def of_class(label: int) -> Callable[[Records], Records]:
    return lambda records: records.take(np.flatnonzero(records.targets == label))


def final(value: float, *, at_most: bool = False) -> Bar:
    return Bar(figure="final", value=value, at_most=at_most)


NONE_ACCEPTED = Bar(figure="liars_accepted", value=0, at_most=True)
FLIPPED = FlippedLabels(10)
TARGETED = TargetedClass(SEVEN, ONE)
RECALL = f"accuracy on class {SEVEN}"
SUCCESS = "success of the trigger"

CASES: dict[str, Case] = {
    "honest": Case(words="all honest"),
    "flip-1": Case(words="1 flips labels", liars=1, poison=FLIPPED, bars=(NONE_ACCEPTED, final(0.95))),
    "flip-2": Case(words="2 flip labels", liars=2, poison=FLIPPED, bars=(NONE_ACCEPTED, final(0.95))),
    "flip-3": Case(words="3 flip labels", liars=3, poison=FLIPPED, bars=(NONE_ACCEPTED, final(0.95))),
    "collude-2": Case(
        words="2 flip labels and collude",
        liars=2,
        poison=FLIPPED,
        wrap=lambda _: Clique(),
        bars=(NONE_ACCEPTED, final(0.93)),
    ),
    "collude-3": Case(
        words="3 flip labels and collude (out of bound)", liars=3, poison=FLIPPED, wrap=lambda _: Clique()
    ),
    "frog": Case(
        words=f"boiling frog, up to {IN_A_ROW} in a row",
        liars=1,
        poison=FLIPPED,
        wrap=frog,
        in_a_row=IN_A_ROW,
        bars=(final(0.92),),
        bars_of={"paper": (final(0.85, at_most=True),)},
    ),
    "targeted": Case(
        words=f"class {SEVEN} called {ONE}, up to {IN_A_ROW} in a row",
        liars=1,
        poison=TARGETED,
        wrap=frog,
        in_a_row=IN_A_ROW,
        exam=of_class(SEVEN),
        harm=RECALL,
        bars_of={"strict": (Bar(figure="harm", value=0.70),)},
    ),
    "skewed": Case(
        words="honest, Dirichlet 0.5, steps searched on the own hold-out",
        skewed=True,
        search="own",
    ),
    "skewed-plain": Case(words="honest, Dirichlet 0.5, no step search", skewed=True, search="none"),
    "skewed-on-global": Case(
        words="honest, Dirichlet 0.5, steps searched on G",
        skewed=True,
        search="global",
        bars=(Bar(figure="honest_rejected", value=0.1, at_most=True),),
    ),
    "backdoor": Case(
        words="backdoor",
        liars=1,
        poison=TRIGGER,
        wrap=lambda _: Poisoned,
        counted=True,
        exam=TRIGGER.exam,
        harm=SUCCESS,
    ),
    "backdoor-adaptive": Case(
        words="backdoor, largest accepted step",
        liars=1,
        poison=TRIGGER,
        wrap=LargestStep.against,
        counted=True,
        exam=TRIGGER.exam,
        harm=SUCCESS,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """What came out of one case under one rule with one seed.

    Attributes:
        final: accuracy of the last model on the records kept.
        curve: accuracy on G of each block.
        honest: increments offered by honest members and tested.
        honest_rejected: share of these that was rejected.
        liars: increments offered by the others.
        liars_accepted: how many of these became blocks.
        harm: accuracy on the exam, of each block; empty without an exam.
        seconds: that the run took.
    """

    final: float
    curve: Sequence[float]
    honest: int
    honest_rejected: float
    liars: int
    liars_accepted: int
    harm: Sequence[float]
    seconds: float


@dataclass
class Witness(Honest):
    """Remembers the models that it was shown."""

    seen: dict[bytes, Parameters]

    def train(self, start: Parameters, work: Work) -> Contribution | None:
        contribution = self.trainer.train(start, work)
        self.seen[start.digest] = start
        return contribution

    def measure(self, reference: Parameters, candidate: Parameters, used: Container[DataId]) -> Evidence:
        self.seen[candidate.digest] = candidate
        return self.trainer.measure(reference, candidate, used)


def run(scene: Scene, case: Case, rule: str, seed: int) -> Run:
    """One coalition, and what became of it."""
    began = time.monotonic()
    parts, global_test, kept = divided(scene, seed, skewed=case.skewed)
    members = {f"partner-{number}": part for number, part in enumerate(parts, 1)}
    liars = list(members)[MEMBERS - case.liars :] if case.liars else []
    if case.poison:
        members |= {name: case.poison(members[name]) for name in liars}
    charter = charter_of(scene, case, rule, seed)
    wrap = case.wrap(charter) if case.wrap else Honest
    seen: dict[bytes, Parameters] = {}

    def witness(inner: Wrap) -> Wrap:
        return lambda trainer: Witness(inner(trainer), seen)

    recipe = TorchTrainer(epochs=scene.epochs, batch_size=scene.batch_size)
    result = simulate(
        charter,
        members=members,
        global_test=global_test,
        trainer=recipe,
        seed=seed,
        adversaries={name: witness(wrap if name in liars else Honest) for name in members},
        contributions=scene.contributions,
    )
    harm: list[float] = []
    if case.exam:
        exam = case.exam(kept)
        some = exam.take(order(seed, "robustness exam", len(exam))[:EXAMINED])
        chain = [seen[chained.block.parameters] for chained in result.state.blocks() if chained.block.index]
        harm = accuracy(recipe, charter, some, chain)
    return Run(
        final=accuracy(recipe, charter, kept, [result.parameters])[0],
        curve=[round(value, 4) for value in result.performance],
        **_counts(result, liars),
        harm=[round(value, 4) for value in harm],
        seconds=round(time.monotonic() - began, 1),
    )


def charter_of(scene: Scene, case: Case, rule: str, seed: int) -> Charter:
    """A charter that ends when every honest contribution is in the chain, and those of liars that are waited for."""
    counted = MEMBERS if case.counted else MEMBERS - case.liars
    return Charter(
        name="robustness",
        model=paper_cnn,
        arguments=scene.network,
        metric="accuracy",
        acceptance=rule,
        lambda_=LAMBDA,
        step_search=case.search,
        blocks=counted * scene.contributions + case.in_a_row,
        minimum_batch=1,
        seed=seed,
    )


def divided(scene: Scene, seed: int, *, skewed: bool) -> tuple[list[Records], Records, Records]:
    """Equally many records for each member, G, and those that are kept; which, the seed decides.

    Args:
        scene: how many.
        seed: of the division.
        skewed: the members' mixtures of classes are drawn from a Dirichlet distribution, instead of being all alike.
    """
    data = load(scene.dataset)
    train = data.train.take(order(seed, "robustness train", len(data.train)))
    taken = _mixtures(train, scene, seed) if skewed else np.repeat(np.arange(MEMBERS), scene.records)
    taken = np.concatenate([taken, np.full(len(train) - len(taken), MEMBERS)])
    parts = [train.take(np.flatnonzero(taken == number)) for number in range(MEMBERS + 1)]
    if scene.dataset == "digits":  # its test set is too small for both
        return parts[:MEMBERS], data.test.take(range(scene.tested)), parts[MEMBERS].take(range(scene.kept))
    places = order(seed, "robustness test", len(data.test))
    global_test, kept = data.test.take(places[: scene.tested]), data.test.take(places[scene.tested :][: scene.kept])
    return parts[:MEMBERS], global_test, kept


def _mixtures(records: Records, scene: Scene, seed: int) -> NDArray[np.intp]:
    """Whose each record is; ``MEMBERS``: nobody's. A class that runs out is made up for by the others."""
    random = np.random.Generator(np.random.Philox(derived(seed, "robustness skew")))
    owner = np.full(len(records), MEMBERS)
    for member in range(MEMBERS):
        free = owner == MEMBERS
        wanted = random.dirichlet(np.full(10, 0.5)) / np.maximum(np.bincount(records.targets[free], minlength=10), 1)
        # The records with the smallest of these are a sample without replacement, weighted by class.
        keys = random.exponential(size=len(records)) / (wanted[records.targets] + 1e-12)
        owner[np.argsort(np.where(free, keys, np.inf), kind="stable")[: scene.records]] = member
    return owner


def accuracy(recipe: TorchTrainer, charter: Charter, records: Records, models: Sequence[Parameters]) -> list[float]:
    """Accuracy of models on records, measured as validators measure."""
    task = Task(model=paper_cnn, arguments=charter.arguments, metric="accuracy", global_test=records)
    trainer = recipe.bind(task, LocalData(None))
    scores = (trainer.measure(model, model, frozenset()).on_global for model in models)
    return [float(score.reference_performance) for score in scores]


def _counts(result: Result, liars: Container[str]) -> dict[str, Any]:
    honest = [step for step in result.steps if step.member not in liars]
    others = [step for step in result.steps if step.member in liars]
    rejected = sum(step.block is None for step in honest)
    return {
        "honest": len(honest),
        "honest_rejected": rejected / len(honest),
        "liars": len(others),
        "liars_accepted": sum(step.block is not None for step in others),
    }


@dataclass
class Kept:
    """The runs that are done, in a file."""

    file: Path | None
    scene: Scene
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path | None, scene: Scene) -> Kept:
        if file is None or not file.exists():
            return cls(file, scene)
        content = json.loads(file.read_text())
        if content["scene"] != json.loads(json.dumps(asdict(scene))):
            raise SystemExit(f"{file} holds runs of another scene: name another file")
        return cls(file, scene, content["runs"])

    def get(self, case: str, rule: str, seed: int) -> Run | None:
        found = self.runs.get(f"{case} {rule} {seed}")
        return Run(**found) if found else None

    def put(self, case: str, rule: str, seed: int, done: Run) -> None:
        self.runs[f"{case} {rule} {seed}"] = asdict(done)
        if self.file is not None:
            lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in self.runs.items())
            text = f'{{"scene": {json.dumps(asdict(self.scene))},\n"runs": {{\n{lines}\n}}}}\n'
            write_whole(self.file, text.encode())

    def of(self, case: str, rule: str) -> dict[int, Run]:
        """The runs of one case under one rule, by seed."""
        found = {int(key.rpartition(" ")[2]): key for key in self.runs if key.startswith(f"{case} {rule} ")}
        return {seed: Run(**self.runs[found[seed]]) for seed in sorted(found)}


def figures(kept: Kept, rules: Sequence[str]) -> list[Figure]:
    """All that was measured, as figures."""
    made = []
    for name, case in CASES.items():
        for rule in rules:
            runs = kept.of(name, rule)
            if runs:
                made += _of_case(case, rule, runs, kept.scene)
    return made


def _of_case(case: Case, rule: str, runs: Mapping[int, Run], scene: Scene) -> list[Figure]:
    set_for_all = (NONE_ACCEPTED.figure,)
    asked = case.bars_of.get(rule, case.bars)
    bars = {bar.figure: bar for bar in asked if scene.dataset == "mnist" or bar.figure in set_for_all}
    measured = {
        "final": ("final accuracy", "", [run.final for run in runs.values()]),
        "honest_rejected": ("honest increments rejected", "", [run.honest_rejected for run in runs.values()]),
    }
    if case.liars:
        measured["liars_accepted"] = ("poisoned blocks", "blocks", [run.liars_accepted for run in runs.values()])
    if case.exam:
        measured["harm"] = (case.harm, "", [run.harm[-1] for run in runs.values() if run.harm])
    made = []
    for name, (words, unit, values) in measured.items():
        bar = bars.get(name)
        worst = max if bar and bar.at_most else min
        value = worst(values) if bar else statistics.fmean(values)
        peer = "seeds " + ", ".join(f"{seed}: {each:.3g}" for seed, each in zip(runs, values, strict=True))
        bound = bar.value if bar else None
        made.append(Figure(f"{case.words}, {rule}: {words}", value, unit, bound, peer, bool(bar and bar.at_most)))
    return made


def measure(kept: Kept, seeds: Sequence[int], cases: Sequence[str], rules: Sequence[str]) -> None:
    """Run what is missing, seed after seed."""
    wanted = [(case, rule, seed) for seed in seeds for case in cases for rule in rules]
    for number, (case, rule, seed) in enumerate(wanted, 1):
        if kept.get(case, rule, seed):
            continue
        done = run(kept.scene, CASES[case], rule, seed)
        kept.put(case, rule, seed, done)
        harm = f", {CASES[case].harm} {done.harm[-1]:.3f}" if done.harm else ""
        print(
            f"[{number}/{len(wanted)}] {case} · {rule} · seed {seed}: final {done.final:.4f} after "
            f"{len(done.curve)} blocks, honest rejected {done.honest_rejected:.2f} of {done.honest}, "
            f"liars accepted {done.liars_accepted} of {done.liars}{harm}, {done.seconds:.0f} s",
            file=sys.stderr,
            flush=True,
        )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seeds", type=int, nargs="+", default=[1])
    options.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    options.add_argument("--rules", nargs="+", default=list(RULES))
    options.add_argument("--keep", type=Path, help="the file of the runs that are done; without, nothing is kept")
    options.add_argument("--report", action="store_true", help="run nothing: show what is kept")
    options.add_argument("--figure", type=Path, help="draw the accuracies by block, as SVG")
    options.add_argument("--page", type=Path, help="put the table into this page of the documentation")
    options.add_argument("--table", action="store_true", help="print a table instead of JSON lines")
    asked = options.parse_args()
    kept = Kept.read(asked.keep, SCENES["mnist" if os.environ.get("TCLEARN_DATA") else "digits"])
    if not asked.report:
        measure(kept, asked.seeds, asked.cases, asked.rules)
    if asked.figure:
        from benchmarks.robustness_figure import draw

        write_whole(asked.figure, draw(kept, asked.rules).encode())
    if asked.page:
        from benchmarks.robustness_figure import put_table

        put_table(asked.page, kept, asked.rules)
    show(figures(kept, asked.rules))


if __name__ == "__main__":
    main()
