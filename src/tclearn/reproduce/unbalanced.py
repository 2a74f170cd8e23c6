"""Partners with unequal data, whose models TCLearn turns down (Lugan et al. 2019, §IV.A.1).

Beside it, what a search for a shorter step changes, which the charter may ask for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from tclearn.learning.datasets import Dataset, by_sizes, dirichlet, load, partition
from tclearn.learning.trainers.torch import TorchTrainer
from tclearn.reproduce.digits import BATCH, LAMBDA, PARTNERS, RATE, charter, common
from tclearn.reproduce.outcome import Outcome
from tclearn.reproduce.plan import Finding, Options, Outcomes, Plan, Run
from tclearn.reproduce.plots import draw_bars
from tclearn.reproduce.training import CoalitionRun, Data
from tclearn.reproduce.words import spread

KEPT: Final = "kept"
BALANCED: Final = "balanced"
SEARCHES: Final = {"none": "no search", "own": "searched on its own hold-out", "global": "searched on G"}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Sizes of the experiment.

    Attributes:
        records: for training, of all partners together.
        contributions: into how many each partner divides its records.
        epochs: over each contribution.
        alphas: concentrations of the Dirichlet distributions that decide who has how much of which class.
    """

    records: int = 7_000
    contributions: int = 2
    epochs: int = 5
    alphas: Sequence[float] = (0.5, 0.1)

    @property
    def mixtures(self) -> dict[str, float | None]:
        """The kinds of division, with their concentration; ``None``: equal parts of equal mixture."""
        return {BALANCED: None, **{f"dirichlet-{alpha:g}": alpha for alpha in self.alphas}}


def plan(name: str, options: Options) -> Plan:
    """See ``Experiment.plan``."""
    return plan_of(name, Scene(epochs=2) if options.quick else Scene(), options, load("mnist"))


def plan_of(name: str, scene: Scene, options: Options, dataset: Dataset) -> Plan:
    """The plan of the experiment.

    Args:
        name: of the experiment.
        scene: its sizes.
        options: how much of it.
        dataset: MNIST, or what takes its place in tests.
    """
    recipe = TorchTrainer(epochs=scene.epochs, batch_size=BATCH, learning_rate=RATE)
    divided(dataset, scene, options.seed, None)
    settings = {
        **common(name, options, dataset),
        "records": scene.records,
        "contributions": scene.contributions,
        "alphas": list(scene.alphas),
        "epochs": scene.epochs,
        "local_test": 0.1,
    }
    runs: list[Run] = [
        CoalitionRun(
            name=f"{mixture}-{search}-{seed}",
            seed=seed,
            charter=charter(name, seed, contributions=scene.contributions, step_search=search),
            recipe=recipe,
            data=partial(divided, dataset, scene, seed, alpha),
            work=scene.epochs * scene.records,
            contributions=scene.contributions,
        )
        for seed in options.every_seed
        for mixture, alpha in scene.mixtures.items()
        for search in _searches(mixture)
    ]
    return Plan(
        settings=settings,
        words=(
            f"{len(PARTNERS)} partners · mnist, {scene.records:,} images, {scene.contributions} contributions each · "
            f"{scene.epochs} epochs · rule paper, λ {LAMBDA}"
        ),
        runs=runs,
        find=partial(find, scene=scene, quick=options.quick),
        draw=lambda outcomes, file: draw_bars(
            {
                f"{mixture}, {words}": [(_passed(each), each.final(KEPT)) for each in _runs(outcomes, mixture, search)]
                for mixture in scene.mixtures
                for search, words in _searches(mixture).items()
            },
            file,
            names=("share of the increments offered that is accepted", "accuracy on images that nobody has"),
        ),
    )


def divided(dataset: Dataset, scene: Scene, seed: int, alpha: float | None) -> Data:
    """The records of one seed: half of the test images is G, the other half nobody's; L is what partners put aside."""
    half = len(dataset.test) // 2
    tests = by_sizes(dataset.test, (half, len(dataset.test) - half), seed)
    (drawn,) = by_sizes(dataset, (scene.records,), seed)
    parts = partition(drawn, PARTNERS, seed) if alpha is None else dirichlet(drawn, PARTNERS, alpha, seed)
    return Data(members=parts, global_test=tests[0], kept={KEPT: tests[1]})


def _searches(mixture: str) -> dict[str, str]:
    """What is tried with a division; of equal parts nothing is turned down that a search could save."""
    return {"none": SEARCHES["none"]} if mixture == BALANCED else dict(SEARCHES)


def _runs(outcomes: Outcomes, mixture: str, search: str) -> list[Outcome]:
    return [outcome for name, outcome in outcomes.items() if name.startswith(f"{mixture}-{search}-")]


def _passed(outcome: Outcome) -> float:
    return len(outcome.accepted) / max(1, len(outcome.increments))


def find(outcomes: Outcomes, *, scene: Scene, quick: bool) -> list[Finding]:
    """What the paper says about unequal data, beside the runs."""
    balanced = _turned_down(_runs(outcomes, BALANCED, "none"))
    found = []
    for mixture in scene.mixtures:
        for search, words in _searches(mixture).items():
            runs = _runs(outcomes, mixture, search)
            share = _turned_down(runs)
            said = {BALANCED: "balanced: accepted"}.get(mixture, "“impairment … TCLEARN would therefore reject”")
            claims = search == "none" and mixture != BALANCED and not quick
            found.append(
                Finding(
                    claim=f"{mixture}, {words}",
                    paper=said if search == "none" else "no search",
                    here=(
                        f"{100 * share:.0f} % of {sum(len(each.increments) for each in runs)} turned down; "
                        f"accuracy {spread([each.final(KEPT) for each in runs])}"
                    ),
                    expected="more turned down than balanced" if claims else "",
                    met=share > balanced if claims else None,
                )
            )
    return found


def _turned_down(runs: Sequence[Outcome]) -> float:
    offered = sum(len(each.increments) for each in runs)
    return 1 - sum(len(each.accepted) for each in runs) / max(1, offered)
