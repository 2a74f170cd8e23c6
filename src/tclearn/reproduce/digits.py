"""Figures 5 and 6: seven partners train on MNIST, each with one batch, the batches growing (Lugan et al. 2019, §V)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import Any, Final

from tclearn.coalition.charter import Charter
from tclearn.coalition.quorum import quorum
from tclearn.learning.data_ids import data_set_digest, digest_text
from tclearn.learning.datasets import Dataset, by_sizes, load, partition
from tclearn.learning.networks import paper_cnn
from tclearn.learning.trainers.torch import TorchTrainer
from tclearn.reproduce.outcome import GLOBAL, Outcome
from tclearn.reproduce.plan import Finding, Options, Plan
from tclearn.reproduce.plots import draw_increments
from tclearn.reproduce.training import CoalitionRun, Data
from tclearn.reproduce.versions import versions
from tclearn.reproduce.words import of, spread

PARTNERS: Final = tuple(f"partner-{number}" for number in range(1, 8))
LAMBDA: Final = Decimal("0.98")
BATCH: Final = 64
RATE: Final = 1.0
NETWORK: Final = {"channels": 1, "side": 28, "filters": 32, "hidden": 128, "classes": 10}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One of the two figures.

    Attributes:
        sizes: records of each partner's batch, in the order in which they train.
        final: accuracy on G that is expected of the last model.
        epochs: over each batch.
        quick_epochs: the same for a first look.
    """

    sizes: Sequence[int]
    final: float
    epochs: int = 20
    quick_epochs: int = 3


FIGURES: Final = {
    "tclearn-fig5": Figure(sizes=(204, 1080, 1080, 3000, 4800, 4800, 9600), final=0.96),
    "tclearn-fig6": Figure(sizes=(2400, 4800, 4800, 6000, 10800, 10800, 20400), final=0.98),
}


def plan(name: str, options: Options) -> Plan:
    """See ``Experiment.plan``."""
    return plan_of(name, FIGURES[name], options, load("mnist"))


def plan_of(name: str, figure: Figure, options: Options, dataset: Dataset) -> Plan:
    """The plan of one of the figures.

    Args:
        name: of the experiment.
        figure: what is to be seen.
        options: how much of it.
        dataset: MNIST, or what takes its place in tests.
    """
    epochs = figure.quick_epochs if options.quick else figure.epochs
    recipe = TorchTrainer(epochs=epochs, batch_size=BATCH, learning_rate=RATE)
    divided(dataset, figure.sizes, options.seed)  # it can be divided so, or nothing is begun
    settings = {**common(name, options, dataset), "sizes": list(figure.sizes), "epochs": epochs}
    runs = [
        CoalitionRun(
            name=f"seed-{seed}",
            seed=seed,
            charter=charter(name, seed),
            recipe=recipe,
            data=partial(divided, dataset, figure.sizes, seed),
            work=epochs * sum(figure.sizes),
        )
        for seed in options.every_seed
    ]
    bar = None if options.quick else figure.final
    return Plan(
        settings=settings,
        words=(
            f"{len(PARTNERS)} partners · mnist · {', '.join(f'{size:,}' for size in figure.sizes)} images · "
            f"{epochs} epochs{f' instead of {figure.epochs}' if options.quick else ''} · rule paper, λ {LAMBDA}"
        ),
        runs=runs,
        find=lambda outcomes: find(name, list(outcomes.values()), bar),
        draw=lambda outcomes, file: draw_increments(outcomes, file, metric="accuracy"),
    )


def common(name: str, options: Options, dataset: Dataset) -> dict[str, Any]:
    """Settings that all experiments on MNIST share."""
    return {
        "experiment": name,
        "quick": options.quick,
        "seeds": list(options.every_seed),
        "batch_size": BATCH,
        "learning_rate": RATE,
        "optimizer": "Adadelta",
        "rule": "paper",
        "lambda": float(LAMBDA),
        "network": {"factory": "tclearn.learning.networks:paper_cnn", **NETWORK},
        "data": {part: digest_text(data_set_digest(getattr(dataset, part))) for part in ("train", "test")},
        "versions": versions(),
    }


def charter(name: str, seed: int, *, contributions: int = 1, **others: Any) -> Charter:
    """What the partners agree on.

    Args:
        name: the coalition's.
        seed: draws M_0.
        contributions: increments of each partner, with which training ends.
        others: further fields of the charter.
    """
    return Charter(
        name=name,
        model=paper_cnn,
        arguments=dict(NETWORK),
        metric="accuracy",
        acceptance="paper",
        lambda_=LAMBDA,
        blocks=len(PARTNERS) * contributions,
        minimum_batch=1,
        seed=seed,
        **others,
    )


def divided(dataset: Dataset, sizes: Sequence[int], seed: int) -> Data:
    """The records of one seed: half of the test images is G, the other half is the partners' L, in equal parts.

    Raises:
        UsageError: there are fewer training records than asked for.
    """
    half = len(dataset.test) // 2
    tests = by_sizes(dataset.test, (half, len(dataset.test) - half), seed)
    return Data(
        members=dict(zip(PARTNERS, by_sizes(dataset, sizes, seed), strict=True)),
        global_test=tests[0],
        local_tests=partition(tests[1], PARTNERS, seed),
    )


def find(name: str, outcomes: Sequence[Outcome], bar: float | None) -> list[Finding]:
    """What the paper says about the figure, beside the runs."""
    finals = [outcome.final() for outcome in outcomes]
    accepted = sum(len(outcome.accepted) for outcome in outcomes)
    offered = sum(len(outcome.increments) for outcome in outcomes)
    common = [
        Finding(
            claim="accuracy on G after the last increment",
            paper="drawn, no number in the text",
            here=spread(finals),
            expected="" if bar is None else f"at least {bar} with each seed",
            met=None if bar is None else min(finals) >= bar,
        ),
        Finding(
            claim="increments that become blocks",
            paper="one per partner, all seven drawn",
            here=f"{of(accepted, offered)} offered",
            expected="" if bar is None else f"{len(PARTNERS)} with each seed",
            met=None if bar is None else all(len(outcome.accepted) == len(PARTNERS) for outcome in outcomes),
        ),
    ]
    return [*common, *(_small(outcomes) if name == "tclearn-fig5" else _large(outcomes))]


def _small(outcomes: Sequence[Outcome]) -> list[Finding]:
    first = [outcome.curve()[1] for outcome in outcomes]
    on_global, on_local = _falls(outcomes)
    best = sum(each.final() >= max(each.final(name) for name in PARTNERS) for each in outcomes)
    return [
        Finding(
            claim="accuracy begins low and rises with each iteration, on the various test sets",
            paper="“slowly increases … quite steadily”",
            here=f"{spread(first)} on G after the first; rises in {of(on_global[1] - on_global[0], on_global[1])} "
            f"later steps on G, {of(on_local[1] - on_local[0], on_local[1])} on L",
        ),
        Finding(
            claim="G has the highest accuracy of all test sets",
            paper="“as expected”",
            here=f"after the last increment with {of(best, len(outcomes))} seeds",
        ),
    ]


def _large(outcomes: Sequence[Outcome]) -> list[Finding]:
    first = [outcome.curve()[1] for outcome in outcomes]
    _, on_local = _falls(outcomes)
    increments = [each for outcome in outcomes for each in outcome.accepted]
    stopped = sum(each.strictly < quorum(each.votes) for each in increments)
    return [
        Finding(
            claim="accuracy is high from the first iterations",
            paper="“reaches a high level from the firsts iterations”",
            here=f"{spread(first)} on G after the first",
        ),
        Finding(
            claim="accuracy sometimes falls on a local test set",
            paper="“a few occurrences”",
            here=f"in {of(*on_local)} steps on L",
        ),
        Finding(
            claim="λ below 1 tolerates it",
            paper="“shows the importance of the λ threshold”",
            here=f"λ = 1 would have stopped {of(stopped, len(increments))} increments",
        ),
    ]


def _falls(outcomes: Sequence[Outcome]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Steps after the first increment in which accuracy falls, and all such steps; on G, on all L."""
    found = []
    for sets in ((GLOBAL,), PARTNERS):
        steps = [pair for outcome in outcomes for name in sets for pair in pairwise(outcome.curve(name)[1:])]
        found.append((sum(after < before for before, after in steps), len(steps)))
    return found[0], found[1]
