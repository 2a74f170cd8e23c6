"""What four hospitals gain from one model: UCI's heart disease data, logistic regression and a perceptron.

For each seed a quarter of each hospital's patients is put away to measure with (stratified), a fifth of the rest makes
the global test set G, and what remains is trained on: by the coalition, by each hospital alone, and in one place. All
three use the same recipe, epochs and M_0. The recipes, the number of contributions and the step search were chosen on
divisions with other seeds, by the coalition's AUC on a quarter of what those do not put away.

    TCLEARN_DATA=… python benchmarks/heart_disease.py --keep benchmarks/results/heart-disease.json --table
    python benchmarks/heart_disease.py --keep benchmarks/results/heart-disease.json --report \\
        --page docs/heart-disease.md

Without ``TCLEARN_DATA`` the data are downloaded. Bars hold for the worst seed.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from anywhere

from benchmarks.common import Figure, show
from tclearn import Charter, Parameters, Recipe, SklearnTrainer, TorchTrainer, simulate
from tclearn.files import write_whole
from tclearn.learning.datasets import heart_disease, joined, stratified_split
from tclearn.learning.networks import perceptron
from tclearn.learning.records import Records
from tclearn.learning.trainer import LocalData, Task, Work

SEEDS = (1, 2, 3, 4, 5)
TESTED, SHARED = 0.25, 0.2
BLOCKS = 60
CONTRIBUTIONS = 16
ALL = "all"
COALITION, POOLED = "coalition", "one place"
BEHIND_POOLED_MAX = 0.03
BEGIN, END = "<!-- made by benchmarks/heart_disease.py -->\n", "<!-- end -->"
WORDS = {COALITION: "**coalition**", POOLED: "all in one place"}


def logistic() -> Any:
    """A logistic regression, trained record by record."""
    from sklearn.linear_model import SGDClassifier

    return SGDClassifier(loss="log_loss", alpha=0.01, learning_rate="constant", eta0=0.01)


@dataclass(frozen=True)
class Model:
    """What is trained, and how."""

    factory: Callable[..., Any]
    arguments: Mapping[str, int]
    recipe: Callable[[], Recipe]


def descent() -> Recipe:
    import torch

    optimizer = functools.partial(torch.optim.SGD, weight_decay=0.01)
    return TorchTrainer(optimizer=optimizer, epochs=30, learning_rate=0.03)


MODELS = {
    "logistic regression": Model(logistic, {}, lambda: SklearnTrainer(epochs=20)),
    "perceptron": Model(perceptron, {"features": len(heart_disease.COLUMNS), "hidden": 16}, descent),
}


@dataclass(frozen=True)
class Parts:
    """One division of the patients.

    Attributes:
        train: by hospital.
        shared: G.
        tested: by hospital, and all together.
    """

    train: Mapping[str, Records]
    shared: Records
    tested: Mapping[str, Records]


def divided(seed: int) -> Parts:
    """Who is trained on, who is in G, who is put away; the seed decides."""
    train, shared, tested = {}, {}, {}
    for name, patients in heart_disease.load().items():
        rest, tested[name] = stratified_split(patients, TESTED, seed)
        train[name], shared[name] = stratified_split(rest, SHARED, seed)
    return Parts(train, joined(shared.values()), {ALL: joined(tested.values()), **tested})


@dataclass(frozen=True)
class Run:
    """One model and one seed.

    Attributes:
        auc: by who trained (coalition, one place, each hospital) and on whose tested patients.
        blocks: in the coalition's chain.
        rejected: increments that did not come in.
    """

    auc: Mapping[str, Mapping[str, float]]
    blocks: int
    rejected: int

    @property
    def ahead(self) -> float:
        """The coalition less the best single hospital, on all tested patients."""
        return self.auc[COALITION][ALL] - max(self.auc[name][ALL] for name in heart_disease.HOSPITALS)

    @property
    def behind(self) -> float:
        """Training in one place less the coalition, on all tested patients."""
        return self.auc[POOLED][ALL] - self.auc[COALITION][ALL]


def run(model: Model, seed: int) -> Run:
    """Train together, alone and in one place, and measure."""
    parts, recipe = divided(seed), model.recipe()
    charter = Charter(
        name="heart",
        model=model.factory,
        arguments=model.arguments,
        metric="auc",
        blocks=BLOCKS,
        minimum_batch=1,
        step_search="global",
        seed=seed,
    )
    result = simulate(
        charter,
        members=parts.train,
        global_test=parts.shared,
        trainer=recipe,
        seed=seed,
        contributions=CONTRIBUTIONS,
        progress=False,
    )
    trained = {COALITION: result.parameters}
    task = Task(
        model=model.factory,
        arguments=model.arguments,
        metric="auc",
        global_test=parts.shared,
        local_share=0,
        step_search="none",
    )
    trained[POOLED] = in_one_place(recipe, task, joined(parts.train.values()), seed)
    trained |= {name: in_one_place(recipe, task, records, seed) for name, records in parts.train.items()}
    scores = {
        who: {whose: measured(recipe, task, parameters, records) for whose, records in parts.tested.items()}
        for who, parameters in trained.items()
    }
    return Run(scores, len(result.blocks), len(result.steps) - len(result.blocks))


def in_one_place(recipe: Recipe, task: Task, records: Records, seed: int) -> Parameters:
    """The same work on records that lie in one place: from M_0, the same epochs, nothing put aside."""
    trainer = recipe.bind(task, LocalData(records))
    contribution = trainer.train(trainer.initial(seed), Work(seed, recipe.hyperparameters(), frozenset()))
    if contribution is None:
        raise SystemExit("there is nothing to train on")
    return contribution.parameters


def measured(recipe: Recipe, task: Task, parameters: Parameters, records: Records) -> float:
    """A model's AUC on some records, measured as validators measure."""
    trainer = recipe.bind(replace(task, global_test=records), LocalData(None))
    return float(trainer.measure(parameters, parameters, frozenset()).on_global.reference_performance)


def figures(runs: Mapping[str, Sequence[Run]]) -> list[Figure]:
    """The worst seed of each model, and means."""
    found = []
    for name, each in runs.items():
        found += [
            Figure(f"{name}: ahead of the best single hospital", min(one.ahead for one in each), "AUC", 0.0),
            Figure(
                f"{name}: behind all data in one place",
                max(one.behind for one in each),
                "AUC",
                BEHIND_POOLED_MAX,
                at_most=True,
            ),
            Figure(f"{name}: coalition, mean", statistics.fmean(one.auc[COALITION][ALL] for one in each), "AUC"),
            Figure(f"{name}: one place, mean", statistics.fmean(one.auc[POOLED][ALL] for one in each), "AUC"),
        ]
    return found


def put_table(page: Path, runs: Mapping[str, Sequence[Run]]) -> None:
    """Replace the table between the two marks of a page."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{page} lacks {BEGIN.strip()} and {END}")
    write_whole(page, f"{before}{begin}\n{markdown(runs)}\n\n{end}{after}".encode())


def markdown(runs: Mapping[str, Sequence[Run]]) -> str:
    """AUC by who has trained (rows) and on whose patients (columns): the mean over the seeds, lowest and highest."""
    tested = (ALL, *heart_disease.HOSPITALS)
    lines = [f"| model | trained | {' | '.join(f'on {whose}' for whose in tested)} |", "|---" * (len(tested) + 2) + "|"]
    for name, each in runs.items():
        for who in (COALITION, POOLED, *heart_disease.HOSPITALS):
            cells = [_spread([one.auc[who][whose] for one in each]) for whose in tested]
            lines.append(f"| {name} | {WORDS.get(who, f'{who} alone')} | {' | '.join(cells)} |")
        gains = [
            _spread([one.auc[COALITION][whose] - one.auc[whose][whose] for one in each], "+.3f")
            for whose in heart_disease.HOSPITALS
        ]
        ahead = _spread([one.ahead for one in each], "+.3f")
        lines.append(f"| {name} | **gain over being alone** | {' | '.join([ahead, *gains])} |")
    return "\n".join(lines)


def _spread(values: Sequence[float], form: str = ".3f") -> str:
    between = " to " if "+" in form else "–"
    return f"{statistics.fmean(values):{form}} ({min(values):{form}}{between}{max(values):{form}})"


def read(file: Path) -> dict[str, list[Run]]:
    """The runs that are kept in a file."""
    kept = json.loads(file.read_text(encoding="utf-8"))
    return {name: [Run(**one) for one in seeds.values()] for name, seeds in kept.items()}


def measure(seeds: Sequence[int]) -> dict[str, dict[str, Any]]:
    """Every model with every seed."""
    done: dict[str, dict[str, Any]] = {}
    for name, model in MODELS.items():
        for seed in seeds:
            one = run(model, seed)
            done.setdefault(name, {})[str(seed)] = asdict(one)
            print(
                f"{name} · seed {seed}: coalition {one.auc[COALITION][ALL]:.4f}, {one.ahead:+.4f} to the best hospital "
                f"alone, {-one.behind:+.4f} to one place, {one.blocks} blocks, {one.rejected} rejected",
                file=sys.stderr,
                flush=True,
            )
    return done


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    options.add_argument("--keep", type=Path, required=True, help="the file of the runs")
    options.add_argument("--report", action="store_true", help="run nothing: show what is kept")
    options.add_argument("--page", type=Path, help="put the table into this page of the documentation")
    options.add_argument("--table", action="store_true", help="print a table instead of JSON lines")
    asked = options.parse_args()
    if not asked.report:
        done = json.dumps(measure(asked.seeds), indent=1, sort_keys=True) + "\n"
        write_whole(asked.keep, done.encode())
    runs = read(asked.keep)
    if asked.page:
        put_table(asked.page, runs)
    show(figures(runs))


if __name__ == "__main__":
    main()
