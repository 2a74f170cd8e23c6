"""How to merge the results on G and on L: record by record, as the product does, or with equal weight.

Four hospitals with some 110 records each train a small network on breast cancer for eight blocks, with 12 seeds. The
inputs are scaled by column to at most 1 and no better, which makes increments unsteady; local test sets have about ten
records. Every verdict on the ledgers is judged again under both ways. What counts is how
many candidates a quorum would accept although they are below λ × the reference on the global test set itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

from benchmarks.common import Figure, show
from tclearn import Charter, TorchTrainer, simulate
from tclearn.coalition.acceptance import merged
from tclearn.coalition.evidence import Evidence
from tclearn.coalition.quorum import quorum
from tclearn.learning.datasets import partition
from tclearn.learning.records import Records

SEEDS = range(1, 13)
LAMBDA = Fraction(98, 100)

Merge = Callable[[Evidence], tuple[Fraction, Fraction]]


def network() -> torch.nn.Module:
    """A small network."""
    return torch.nn.Sequential(torch.nn.Linear(30, 16), torch.nn.ReLU(), torch.nn.Linear(16, 2))


def equal(evidence: Evidence) -> tuple[Fraction, Fraction]:
    """G and L with equal weight."""
    sets = [paired for paired in (evidence.on_global, evidence.on_local) if paired]
    reference = sum((paired.reference_performance for paired in sets), Fraction(0)) / len(sets)
    candidate = sum((paired.candidate_performance for paired in sets), Fraction(0)) / len(sets)
    return reference, candidate


def accepted(verdicts: list[Evidence], committee: int, merge: Merge) -> bool:
    """Whether a quorum of the committee says yes."""
    yes = sum(LAMBDA * reference <= candidate for reference, candidate in map(merge, verdicts))
    return yes >= quorum(committee)


def main() -> None:
    """Measure and print."""
    x, y = load_breast_cancer(return_X_y=True)
    x, global_x, y, global_y = train_test_split(x / x.max(0), y, test_size=120, stratify=y, random_state=0)
    records = Records(x.astype(np.float32), y)
    charter = Charter(
        name="merging", model=network, metric="accuracy", acceptance="anchored", blocks=8, minimum_batch=1
    )
    trainer = TorchTrainer(optimizer=torch.optim.Adadelta, epochs=20, batch_size=16)
    counts = {"equal weight": [0, 0], "record by record": [0, 0]}
    ways: dict[str, Merge] = {"equal weight": equal, "record by record": merged}
    sizes = []
    for seed in SEEDS:
        result = simulate(
            charter,
            members=partition(records, [f"hospital-{number}" for number in range(1, 5)], seed),
            global_test=(global_x.astype(np.float32), global_y),
            trainer=trainer,
            seed=seed,
        )
        for number in range(result.state.candidates):
            candidate = result.state.candidate(number)
            verdicts = [verdict.evidence for verdict in candidate.reveals.values() if verdict.evidence]
            sizes += [evidence.on_local.n for evidence in verdicts if evidence.on_local]
            for name, merge in ways.items():
                if verdicts and accepted(verdicts, len(candidate.committee), merge):
                    on_global = verdicts[0].on_global
                    counts[name][0] += 1
                    counts[name][1] += on_global.candidate < LAMBDA * on_global.reference
    show(
        [
            Figure(
                f"accepted below λ × reference on G, {name}",
                below,
                "candidates",
                peer=f"of {total} accepted; median local test set {np.median(sizes):.0f} records",
            )
            for name, (total, below) in counts.items()
        ]
    )


if __name__ == "__main__":
    main()
