"""An acceptance rule that looks at the middle of all test sets, and a trainer that needs nothing but numpy."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tclearn import Parameters, Trainer
from tclearn.coalition.acceptance import Judgement, Terms
from tclearn.coalition.evidence import Evidence
from tclearn.learning.bench import Bench
from tclearn.learning.parameters import Layout
from tclearn.learning.records import Records
from tclearn.learning.trainer import LocalData, Task

MILLION = 1_000_000


@dataclass(frozen=True)
class MedianGain:
    """Accept if the median over the test sets of perf(candidate) - λ·perf(reference) is not negative.

    And if the candidate reaches the charter's ``floor`` on G, which no reference can lower.
    """

    name: str = "median-gain"

    def reference(self, previous: int, best: int) -> int:
        """The block before."""
        return previous

    def judge(self, evidence: Evidence, terms: Terms) -> Judgement:
        """See ``AcceptanceRule.judge``."""
        sets = [evidence.on_global] + ([evidence.on_local] if evidence.on_local else [])
        kept = Fraction(terms.lambda_ppm, MILLION)
        gain = median(one.candidate_performance - kept * one.reference_performance for one in sets)
        floor = Fraction(terms.arguments.get("floor_ppm", 0), MILLION)
        reached = evidence.on_global.candidate_performance
        if reached < floor:
            return Judgement(False, f"{float(reached):.4f} on G is below the floor {float(floor):g}")
        return Judgement(gain >= 0, f"median gain {float(gain):+.4f}")


MEDIAN_GAIN = MedianGain()


def centroids(classes: int, features: int) -> tuple[int, int]:
    """The model factory: a nearest-centroid classifier is fixed by its size."""
    return classes, features


class CentroidLearner:
    """Sums and counts by class; an increment adds its records to them."""

    def __init__(self, task: Task) -> None:
        self._classes, self._features = task.model(**task.arguments)

    @property
    def layout(self) -> Layout:
        """See ``Learner.layout``."""
        return self.initial(0).layout

    def initial(self, seed: int) -> Parameters:
        """No records yet."""
        return Parameters({"sums": np.zeros((self._classes, self._features)), "counts": np.zeros(self._classes)})

    def prepare(self, records: Records, what: str) -> Records:
        """See ``Learner.prepare``."""
        return Records(records.inputs.reshape(len(records), -1).astype(np.float64), records.targets)

    def targets(self, records: Records) -> NDArray[Any]:
        """See ``Learner.targets``."""
        return records.targets

    def fit(self, start: Parameters, prepared: Records, seed: int, hyperparameters: Mapping[str, int]) -> Parameters:
        """See ``Learner.fit``."""
        sums, counts = start["sums"].copy(), start["counts"].copy()
        np.add.at(sums, prepared.targets, prepared.inputs)
        np.add.at(counts, prepared.targets, 1)
        return Parameters({"sums": sums, "counts": counts})

    def outputs(self, parameters: Parameters, prepared: Records) -> Generator[NDArray[Any]]:
        """Minus the squared distances from the class means, ``(n, classes)``."""
        means = parameters["sums"] / np.maximum(parameters["counts"], 1)[:, None]
        yield -((prepared.inputs[:, None, :] - means[None]) ** 2).sum(-1)

    def model(self, parameters: Parameters) -> NDArray[np.float64]:
        """The class means."""
        return np.asarray(parameters["sums"] / np.maximum(parameters["counts"], 1)[:, None])


@dataclass(frozen=True)
class CentroidTrainer:
    """The recipe; a site's ``device`` and ``threads`` are taken and not needed."""

    device: str = "cpu"
    threads: int = 1
    _bench: Bench = field(default_factory=Bench, init=False, repr=False, compare=False)

    def hyperparameters(self) -> Mapping[str, int]:
        """See ``Recipe.hyperparameters``."""
        return {}

    def bind(self, task: Task, data: LocalData) -> Trainer:
        """See ``Recipe.bind``."""
        return self._bench.bind(task, data, lambda task, _: CentroidLearner(task))
