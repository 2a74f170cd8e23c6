"""Figure 4: a U-Net trained by partners in turn, beside the same on all data in one place (Lugan et al. 2019, §IV.A.1).

The paper's data, bladders in computed tomography, are not public; here nuclei under the microscope are segmented.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Final

import torch

from tclearn.coalition.charter import Charter
from tclearn.learning.data_ids import data_set_digest, digest_text
from tclearn.learning.datasets import by_sizes
from tclearn.learning.datasets.nuclei import load
from tclearn.learning.networks import unet
from tclearn.learning.records import Records
from tclearn.learning.trainers.torch import TorchTrainer, dice_loss
from tclearn.reproduce.outcome import Outcome
from tclearn.reproduce.plan import Finding, Options, Outcomes, Plan, Run
from tclearn.reproduce.plots import draw_training
from tclearn.reproduce.training import CoalitionRun, Data, PooledRun
from tclearn.reproduce.versions import versions
from tclearn.reproduce.words import of, signed, spread

POOLED: Final = "centralised"
FORWARD: Final = "distributed"
REVERSED: Final = "reversed"
LAMBDA: Final = Decimal("0.98")
BATCH: Final = 8
RATE: Final = 0.002
POINTS: Final = 2.0
"""Dice points, hundredths, within which all three ways of training are expected to be."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Sizes of the experiment.

    Attributes:
        side: of the images, pixels.
        partners: how many.
        tested: images of G; each partner's L has a seventh of that.
        width: features of the U-Net's first level.
        levels: how often it halves the image.
        epochs: over each partner's images, and over all of them in one place.
        quick_epochs: the same for a first look.
    """

    side: int = 128
    partners: int = 5
    tested: int = 70
    width: int = 8
    levels: int = 3
    epochs: int = 15
    quick_epochs: int = 4

    @property
    def names(self) -> list[str]:
        """The partners."""
        return [f"partner-{number}" for number in range(1, self.partners + 1)]


def plan(name: str, options: Options) -> Plan:
    """See ``Experiment.plan``."""
    figure = Figure()
    return plan_of(name, figure, options, load(figure.side))


def plan_of(name: str, figure: Figure, options: Options, images: Records) -> Plan:
    """The plan of the figure.

    Args:
        name: of the experiment.
        figure: its sizes.
        options: how much of it.
        images: with their masks.
    """
    epochs = figure.quick_epochs if options.quick else figure.epochs
    recipe = TorchTrainer(
        optimizer=torch.optim.Adam, loss=dice_loss, epochs=epochs, batch_size=BATCH, learning_rate=RATE
    )
    trained = sum(len(part) for part in divided(images, figure, options.seed).members.values())
    network = {"channels": 1, "width": figure.width, "levels": figure.levels}
    settings = {
        "experiment": name,
        "quick": options.quick,
        "seeds": list(options.every_seed),
        "side": figure.side,
        "partners": figure.partners,
        "tested": figure.tested,
        "trained": trained,
        "epochs": epochs,
        "batch_size": BATCH,
        "learning_rate": RATE,
        "optimizer": "Adam",
        "rule": "paper",
        "lambda": float(LAMBDA),
        "network": {"factory": "tclearn.learning.networks:unet", **network},
        "data": digest_text(data_set_digest(images)),
        "versions": versions(),
    }
    runs: list[Run] = []
    for seed in options.every_seed:
        charter = Charter(
            name=name,
            model=unet,
            arguments=network,
            metric="dice",
            acceptance="paper",
            lambda_=LAMBDA,
            blocks=figure.partners,
            minimum_batch=1,
            seed=seed,
        )
        for way, kind, turned in (
            (POOLED, PooledRun, False),
            (FORWARD, CoalitionRun, False),
            (REVERSED, CoalitionRun, True),
        ):
            runs.append(
                kind(
                    name=f"{way}-{seed}",
                    seed=seed,
                    charter=charter,
                    recipe=recipe,
                    data=partial(divided, images, figure, seed, turned=turned),
                    work=epochs * trained,
                )
            )
    return Plan(
        settings=settings,
        words=(
            f"{figure.partners} partners · nuclei, {figure.side} × {figure.side} · {trained} images to train on, "
            f"{figure.tested} in G · {epochs} epochs{f' instead of {figure.epochs}' if options.quick else ''} · "
            f"rule paper, λ {LAMBDA}"
        ),
        runs=runs,
        find=partial(find, quick=options.quick),
        draw=lambda outcomes, file: draw_training(
            {
                "centralised": _ways(outcomes, POOLED),
                "distributed": _ways(outcomes, FORWARD),
                "distributed, partners reversed": _ways(outcomes, REVERSED),
            },
            file,
            shift=-1.0,  # the trainer's loss is 1 − Dice, the paper's −Dice: the same gradients
        ),
    )


def divided(images: Records, figure: Figure, seed: int, *, turned: bool = False) -> Data:
    """The records of one seed: G, an L for each partner, and the rest in equal parts.

    Args:
        images: with their masks.
        figure: how many go where.
        seed: decides which.
        turned: the last partner has what the first would have, and so on: they train in the order of their names.
    """
    partners, local = figure.partners, max(1, figure.tested // 7)
    left = len(images) - figure.tested - partners * local
    each = [left // partners + (number < left % partners) for number in range(partners)]
    parts = by_sizes(images, [figure.tested, *[local] * partners, *each], seed)
    tests, training = parts[1 : 1 + partners], parts[1 + partners :]
    if turned:
        tests, training = tests[::-1], training[::-1]
    return Data(
        members=dict(zip(figure.names, training, strict=True)),
        global_test=parts[0],
        local_tests=dict(zip(figure.names, tests, strict=True)),
    )


def _ways(outcomes: Outcomes, way: str) -> list[Outcome]:
    return [outcome for name, outcome in outcomes.items() if name.startswith(f"{way}-")]


def find(outcomes: Outcomes, *, quick: bool) -> list[Finding]:
    """What the paper says about the figure, beside the runs; Dice in hundredths."""
    pooled, forward, turned = (
        [100 * outcome.final() for outcome in _ways(outcomes, way)] for way in (POOLED, FORWARD, REVERSED)
    )
    apart = [one - other for one, other in zip(forward, pooled, strict=True)]
    order = [one - other for one, other in zip(turned, forward, strict=True)]
    within = f"within {POINTS:g} Dice points with each seed"
    coalitions = [*_ways(outcomes, FORWARD), *_ways(outcomes, REVERSED)]
    accepted = sum(len(outcome.accepted) for outcome in coalitions)
    offered = sum(len(outcome.increments) for outcome in coalitions)
    return [
        Finding(
            claim="Dice on G, centralised",
            paper="88.7 % (bladder, CT)",
            here=f"{spread(pooled, 1)} % (nuclei)",
        ),
        Finding(
            claim="Dice on G, distributed",
            paper="88.4 %: “not significantly different”",
            here=f"{spread(forward, 1)} %, by seed {signed(apart)}",
            expected="" if quick else within,
            met=None if quick else max(map(abs, apart)) <= POINTS,
        ),
        Finding(
            claim="Dice on G, partners in the other order",
            paper="“the same even if we switch the order”",
            here=f"{spread(turned, 1)} %, by seed {signed(order)}",
            expected="" if quick else within,
            met=None if quick else max(map(abs, order)) <= POINTS,
        ),
        Finding(
            claim="increments that become blocks",
            paper="not said",
            here=f"{of(accepted, offered)} offered",
        ),
    ]
