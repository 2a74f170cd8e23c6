"""What the look for triggers finds: models of coalitions with and without a backdoor, on MNIST or, smaller, on digits.

The coalitions are those of ``robustness.py``, on MNIST with half the records: seven partners, the paper's network, the
product's own ``simulate``, agents and adversaries; the last partner lies. Each model is looked at with
``find_triggers``, its settings as they are by default, on images that no member has. Every run (a case, a seed) is kept
in a file as soon as it is done.

    python benchmarks/triggers.py --table
    TCLEARN_DATA=… python benchmarks/triggers.py --seeds 8 9 10 --keep benchmarks/results/triggers-mnist.json
    python benchmarks/triggers.py --report --keep … --page docs/robustness.md

The settings were chosen on models of other seeds: digits up to 14, MNIST up to 7. Bars are for MNIST.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from anywhere

from benchmarks.common import Figure, show
from benchmarks.robustness import EXAMINED, LAMBDA, MEMBERS, Scene, accuracy, divided
from benchmarks.robustness import SCENES as LARGER
from tclearn import Charter, Parameters, TorchTrainer, simulate
from tclearn.files import write_whole
from tclearn.learning.networks import paper_cnn
from tclearn.learning.records import Records
from tclearn.learning.trainer import Task, Trainer
from tclearn.learning.trainers.torch_triggers import Triggers, deviations, find_triggers
from tclearn.protocols.tclearn.adversaries import LargestStep, Poisoned, Trigger

SCENES = {"mnist": replace(LARGER["mnist"], records=1000, contributions=2), "digits": LARGER["digits"]}
TARGET = 0
LARGE = {"mnist": 12, "digits": 5}
"""Side of a large mark, pixels."""
BEGIN, END = "<!-- made by benchmarks/triggers.py -->\n", "<!-- end of triggers -->"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A coalition.

    Attributes:
        mark: side of the last member's mark by data set, pixels; ``None``: it is honest.
        careful: it goes as far as the rule lets it, and the rule is ``anchored``; else there is no validation.
        bar: of the share in which the right class is found, or for honest members any; ``None``: for information.
    """

    words: str
    mark: Mapping[str, int] | None = None
    careful: bool = False
    bar: float | None = None


SMALL = {"mnist": 3, "digits": 3}
CASES = {
    "clean": Case(words="no backdoor", careful=True, bar=0.2),
    "naive": Case(words="backdoor, no validation", mark=SMALL, bar=0.8),
    "adaptive": Case(words="backdoor, largest accepted step", mark=SMALL, careful=True, bar=0.8),
    "large": Case(words="large mark, no validation", mark=LARGE),
    "large-adaptive": Case(words="large mark, largest accepted step", mark=LARGE, careful=True),
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """What came out of one case with one seed.

    Attributes:
        accuracy: of the model, on the records kept.
        success: of the trigger; 0 without one.
        sizes: of the smallest marks by class, pixels.
        turned: share of images that each turns.
        anomaly: the highest.
        suspected: the class, or ``None``.
        trained_s: what training took.
        looked_s: what the look took.
    """

    accuracy: float
    success: float
    sizes: Sequence[float]
    turned: Sequence[float]
    anomaly: float
    suspected: int | None
    trained_s: float
    looked_s: float

    @property
    def of_sizes(self) -> float:
        """The highest anomaly of sizes instead of their logarithms, as Wang et al. 2019 have it."""
        return max(deviations(self.sizes, 1e-6))

    @property
    def by_sizes(self) -> int | None:
        """The class that is suspected by it, above their 2."""
        return self.sizes.index(min(self.sizes)) if self.of_sizes > 2 else None


def run(scene: Scene, case: Case, seed: int) -> Run:
    """One coalition, and what is seen in its last model."""
    began = time.monotonic()
    parts, global_test, kept = divided(scene, seed, skewed=False)
    charter = Charter(
        name="triggers",
        model=paper_cnn,
        arguments=scene.network,
        metric="accuracy",
        acceptance="anchored" if case.careful else "paper",
        lambda_=LAMBDA if case.careful else 0.0,
        blocks=MEMBERS * scene.contributions,
        minimum_batch=1,
        seed=seed,
    )
    members = {f"partner-{number}": part for number, part in enumerate(parts, 1)}
    liar = f"partner-{MEMBERS}"
    trigger = Trigger(TARGET, size=case.mark[scene.dataset]) if case.mark else None
    adversaries: dict[str, Callable[[Trainer], Trainer]] = {}
    if trigger:
        members[liar] = trigger(members[liar])
        adversaries[liar] = LargestStep.against(charter) if case.careful else Poisoned
    recipe = TorchTrainer(epochs=scene.epochs, batch_size=scene.batch_size)
    model = simulate(
        charter,
        members=members,
        global_test=global_test,
        trainer=recipe,
        seed=seed,
        adversaries=adversaries,
        contributions=scene.contributions,
        progress=False,
    ).parameters
    exam = trigger.exam(kept) if trigger else None
    trained = time.monotonic()
    found = look(recipe, charter, model, kept)
    return Run(
        accuracy=accuracy(recipe, charter, kept, [model])[0],
        success=accuracy(recipe, charter, exam.take(range(min(EXAMINED, len(exam)))), [model])[0] if exam else 0.0,
        sizes=[round(each.size, 2) for each in found.classes],
        turned=[round(each.success, 3) for each in found.classes],
        anomaly=round(found.highest.anomaly, 3),
        suspected=found.suspected,
        trained_s=round(trained - began, 1),
        looked_s=round(time.monotonic() - trained, 1),
    )


def look(recipe: TorchTrainer, charter: Charter, model: Parameters, images: Records) -> Triggers:
    task = Task(model=paper_cnn, arguments=charter.arguments, metric="accuracy", global_test=images)
    return find_triggers(recipe.network(task, model, images), images)


@dataclass
class Kept:
    """The runs that are done, in a file."""

    file: Path | None
    dataset: str
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path | None, dataset: str) -> Kept:
        if file is None or not file.exists():
            return cls(file, dataset)
        content = json.loads(file.read_text())
        return cls(file, content["dataset"], content["runs"])

    def put(self, case: str, seed: int, done: Run) -> None:
        self.runs[f"{case} {seed}"] = asdict(done)
        if self.file is not None:
            lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in self.runs.items())
            text = f'{{"dataset": {json.dumps(self.dataset)},\n"runs": {{\n{lines}\n}}}}\n'
            write_whole(self.file, text.encode())

    def of(self, case: str) -> dict[int, Run]:
        """The runs of one case, by seed."""
        seeds = sorted(int(key.split(" ")[1]) for key in self.runs if key.startswith(f"{case} "))
        return {seed: Run(**self.runs[f"{case} {seed}"]) for seed in seeds}


def measure(kept: Kept, seeds: Sequence[int], cases: Sequence[str]) -> None:
    """Run what is missing, seed after seed."""
    for seed in seeds:
        for case in cases:
            if f"{case} {seed}" in kept.runs:
                continue
            done = run(SCENES[kept.dataset], CASES[case], seed)
            kept.put(case, seed, done)
            print(
                f"{case} · seed {seed}: accuracy {done.accuracy:.3f}, trigger {done.success:.2f}, anomaly "
                f"{done.anomaly:.2f} (of sizes {done.of_sizes:.2f}), suspected {done.suspected}, trained in "
                f"{done.trained_s:.0f} s, looked at in {done.looked_s:.0f} s",
                file=sys.stderr,
                flush=True,
            )


def figures(kept: Kept) -> list[Figure]:
    """All that was measured, as figures."""
    made = []
    for name, case in CASES.items():
        runs = kept.of(name)
        if not runs:
            continue
        bar = case.bar if kept.dataset == "mnist" else None
        peer = "seeds " + ", ".join(f"{seed}: {each.anomaly:.2f}" for seed, each in runs.items())
        anomaly = statistics.fmean(each.anomaly for each in runs.values())
        made.append(Figure(f"{case.words}: anomaly", anomaly, "", None, peer))
        if case.mark:
            found = [each.suspected == TARGET for each in runs.values()]
            made.append(Figure(f"{case.words}: found", statistics.fmean(found), "", bar))
            success = statistics.fmean(each.success for each in runs.values())
            made.append(Figure(f"{case.words}: success of the trigger", success, ""))
        wrong = [each.suspected not in {None, *([TARGET] if case.mark else [])} for each in runs.values()]
        limit = None if case.mark else bar
        made.append(Figure(f"{case.words}: wrongly suspected", statistics.fmean(wrong), "", limit, at_most=True))
        seconds = statistics.median(each.looked_s for each in runs.values())
        made.append(Figure(f"{case.words}: time of a look", seconds, "s"))
    return made


def markdown(kept: Sequence[Kept]) -> str:
    """A table: how many were found, and means with the lowest and highest."""
    head = [
        *(
            "data",
            "coalition",
            "models",
            "success of the trigger",
            "smallest mark of the target",
            "of the median class",
        ),
        *("anomaly", "target found", "other class suspected", "both counts by sizes"),
    ]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for each in kept:
        for name, case in CASES.items():
            runs = list(each.of(name).values())
            if not runs:
                continue
            wanted = TARGET if case.mark else None
            side = f" ({case.mark[each.dataset]} × {case.mark[each.dataset]} pixels)" if case.mark else ""
            cells = [
                each.dataset,
                case.words + side,
                str(len(runs)),
                _spread([run.success for run in runs], "{:.2f}") if case.mark else "–",
                _spread([run.sizes[TARGET] for run in runs], "{:.0f}") if case.mark else "–",
                _spread([statistics.median(run.sizes) for run in runs], "{:.0f}"),
                _spread([run.anomaly for run in runs], "{:.1f}"),
                *_counted([run.suspected for run in runs], wanted),
                ", ".join(_counted([run.by_sizes for run in runs], wanted)),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _counted(suspected: Sequence[int | None], wanted: int | None) -> tuple[str, str]:
    """How often the target was suspected, where there is one; and how often another class."""
    right = sum(wanted is not None and each == wanted for each in suspected)
    return "–" if wanted is None else str(right), str(sum(each is not None for each in suspected) - right)


def _spread(values: Sequence[float], form: str) -> str:
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{form.format(statistics.fmean(values))} ({low}–{high})"


def put_table(page: Path, kept: Sequence[Kept]) -> None:
    """Replace the table between the two marks of a page."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{page} lacks {BEGIN.strip()} and {END}")
    write_whole(page, f"{before}{begin}\n{markdown(kept)}\n\n{end}{after}".encode())


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seeds", type=int, nargs="+", default=[20])
    options.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    options.add_argument("--keep", type=Path, nargs="+", help="files of the runs that are done; the first is added to")
    options.add_argument("--report", action="store_true", help="run nothing: show what is kept")
    options.add_argument("--page", type=Path, help="put the table of all --keep into this page of the documentation")
    options.add_argument("--table", action="store_true", help="print a table instead of JSON lines")
    asked = options.parse_args()
    dataset = "mnist" if os.environ.get("TCLEARN_DATA") else "digits"
    kept = [Kept.read(file, dataset) for file in asked.keep or [None]]
    if not asked.report:
        measure(kept[0], asked.seeds, asked.cases)
    if asked.page:
        put_table(asked.page, kept)
    show([figure for each in kept for figure in figures(each)])


if __name__ == "__main__":
    main()
