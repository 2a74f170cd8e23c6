"""Hyper-parameters that change on the way (Lugan et al. 2019, §III.D.2): the same training with and without.

Seven partners have the batches of figure 5, each in two contributions, so that there are fourteen increments and the
later ones find a model that can hardly become better. With: the learning rate is halved by the charter's rule when two
accepted blocks in a row bring no new best, and half-way five of the seven members agree on another number of epochs.
Both are in the ledger. Without: everything stays as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Final

from tclearn.coalition.learning_rate import LearningRate
from tclearn.learning.datasets import Dataset, load
from tclearn.learning.trainers.torch import TorchTrainer
from tclearn.reproduce.digits import BATCH, FIGURES, LAMBDA, PARTNERS, RATE, charter, common, divided
from tclearn.reproduce.outcome import Outcome
from tclearn.reproduce.plan import Finding, Options, Outcomes, Plan, Run
from tclearn.reproduce.plots import draw_rates
from tclearn.reproduce.training import Change, CoalitionRun
from tclearn.reproduce.words import signed, spread

WITH: Final = "changing"
WITHOUT: Final = "constant"
TOLERANCE: Final = 0.2
"""Hundredths of accuracy: ten of the 5,000 images of G."""
RULE: Final = LearningRate(start=RATE, rule="plateau", factor=0.5, patience=1, minimum=0.1)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Sizes of the experiment.

    Attributes:
        sizes: records of each partner.
        contributions: into how many each divides them.
        epochs: over each contribution at first.
        later_epochs: what the members agree on.
        after: block after which they do.
    """

    sizes: Sequence[int] = FIGURES["tclearn-fig5"].sizes
    contributions: int = 2
    epochs: int = 20
    later_epochs: int = 10
    after: int = 7


def plan(name: str, options: Options) -> Plan:
    """See ``Experiment.plan``."""
    scene = Scene(epochs=4, later_epochs=2) if options.quick else Scene()
    return plan_of(name, scene, options, load("mnist"))


def plan_of(name: str, scene: Scene, options: Options, dataset: Dataset) -> Plan:
    """The plan of the experiment.

    Args:
        name: of the experiment.
        scene: its sizes.
        options: how much of it.
        dataset: MNIST, or what takes its place in tests.
    """
    recipe = TorchTrainer(epochs=scene.epochs, batch_size=BATCH, learning_rate=RATE)
    divided(dataset, scene.sizes, options.seed)
    settings = {
        **common(name, options, dataset),
        "sizes": list(scene.sizes),
        "contributions": scene.contributions,
        "epochs": scene.epochs,
        "later_epochs": scene.later_epochs,
        "after_block": scene.after,
        "learning_rate": {"start": RATE, "rule": "plateau", "factor": 0.5, "patience": 1, "minimum": 0.1},
    }
    runs: list[Run] = []
    for seed in options.every_seed:
        for way in (WITHOUT, WITH):
            changes = way == WITH
            agreed = charter(
                name,
                seed,
                contributions=scene.contributions,
                hyperparameters={"learning_rate": RULE} if changes else {},
                may_change=("epochs",),
            )
            runs.append(
                CoalitionRun(
                    name=f"{way}-{seed}",
                    seed=seed,
                    charter=agreed,
                    recipe=recipe,
                    data=partial(divided, dataset, scene.sizes, seed),
                    work=scene.epochs * sum(scene.sizes),
                    contributions=scene.contributions,
                    change=Change(after=scene.after, values={"epochs": scene.later_epochs}) if changes else None,
                )
            )
    return Plan(
        settings=settings,
        words=(
            f"{len(PARTNERS)} partners · mnist, {sum(scene.sizes):,} images, {scene.contributions} contributions each "
            f"· {scene.epochs} epochs, {scene.later_epochs} after block {scene.after} · rule paper, λ {LAMBDA}"
        ),
        runs=runs,
        find=partial(find, quick=options.quick),
        draw=lambda outcomes, file: draw_rates(
            {"nothing changes": _ways(outcomes, WITHOUT), "rate and epochs change": _ways(outcomes, WITH)}, file
        ),
    )


def _ways(outcomes: Outcomes, way: str) -> list[Outcome]:
    return [outcome for name, outcome in outcomes.items() if name.startswith(f"{way}-")]


def find(outcomes: Outcomes, *, quick: bool) -> list[Finding]:
    """What the paper says about hyper-parameters, beside the runs."""
    without, changing = _ways(outcomes, WITHOUT), _ways(outcomes, WITH)
    before, after = [each.final() for each in without], [each.final() for each in changing]
    lowered = [_reductions(each) for each in changing]
    approvals = [len(each.approvals) for each in changing]
    epochs = sorted({each.hyperparameters["epochs"] for run in changing for each in run.accepted}, reverse=True)
    apart = [100 * (one - other) for one, other in zip(after, before, strict=True)]
    return [
        Finding(
            claim="the learning rate is lowered by the accepted performance",
            paper="“could be integrated into our concept”",
            here=f"{', '.join(map(str, lowered))} times, by seed",
            expected="" if quick else "at least once with each seed",
            met=None if quick else min(lowered) > 0,
        ),
        Finding(
            claim="some hyper-parameters can be modified during learning",
            paper="epoch number, batch size",
            here=f"epochs {' → '.join(map(str, epochs))}, {', '.join(map(str, approvals))} approvals on the ledger",
            expected="2/3 of the members",
            met=all(count == 5 for count in approvals) and len(epochs) == 2,
        ),
        Finding(
            claim="accuracy on G after the last increment",
            paper="not said",
            here=f"{spread(after)}; without {spread(before)}; by seed {signed(apart, 2)} points",
            expected="" if quick else f"not lower by more than {TOLERANCE} points with each seed",
            met=None if quick else min(apart) >= -TOLERANCE,
        ),
    ]


def _reductions(outcome: Outcome) -> int:
    rates = [each.hyperparameters["learning_rate"] for each in outcome.accepted]
    return sum(after < before for before, after in pairwise(rates))
