"""A test set with a model's network beside it: what a model reaches on it, measured once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator, Mapping
from contextlib import closing
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from tclearn.coalition.evidence import ClassCounts
from tclearn.encoding import Digest
from tclearn.learning import metrics
from tclearn.learning.metrics import Score
from tclearn.learning.parameters import Layout, Parameters
from tclearn.learning.records import Records

_SCORES_KEPT: Final = 64


class Learner(Protocol):
    """The half of a trainer that knows a framework: one model factory, and how to fit what it makes."""

    @property
    def layout(self) -> Layout:
        """The model's tensors."""

    def initial(self, seed: int) -> Parameters:
        """M_0."""

    def prepare(self, records: Records, what: str) -> Any:
        """The records in the framework's form, checked against the model.

        Raises:
            DataError: the model cannot take them; ``what`` names them in the message.
        """

    def targets(self, records: Records) -> NDArray[Any]:
        """The targets as metrics take them."""

    def fit(self, start: Parameters, prepared: Any, seed: int, hyperparameters: Mapping[str, int]) -> Parameters:
        """Train from ``start``; the same arguments give the same parameters.

        Raises:
            DataError: training fails.
        """

    def outputs(self, parameters: Parameters, prepared: Any) -> Generator[NDArray[Any]]:
        """The model's outputs, in consecutive batches; closed by who asks."""

    def model(self, parameters: Parameters) -> Any:
        """The parameters in the framework's form."""


class TestSet:
    """Records to test on. The scores of models measured lately are kept, by their digests.

    Args:
        learner: the model.
        records: the records.
        metric: one of ``metrics.METRICS``.
        what: what the set is, for messages.

    Raises:
        DataError: the model cannot take the records.
    """

    __test__ = False  # for pytest, which would collect it by its name

    def __init__(self, learner: Learner, records: Records, metric: str, what: str) -> None:
        self.records = records
        self._learner = learner
        self._metric = metric
        self._prepared = learner.prepare(records, what)
        self._targets = learner.targets(records)
        self._scores: OrderedDict[Digest, Score | None] = OrderedDict()

    def score(self, parameters: Parameters) -> Score | None:
        """What a model reaches; 0 when its parameters or outputs are not finite.

        Returns:
            The score; ``None`` where the metric is not defined on these records (AUC, a single class).

        Raises:
            ParametersError: the parameters are not those of this model.
            DataError: the model's outputs do not fit the targets.
        """
        digest = parameters.digest
        if digest not in self._scores:
            self._scores[digest] = self._measured(parameters)
            if len(self._scores) > _SCORES_KEPT:
                self._scores.popitem(last=False)
        self._scores.move_to_end(digest)
        return self._scores[digest]

    def by_class(self, reference: Score, candidate: Score) -> tuple[ClassCounts, ...] | None:
        """Two scores on these records, class by class; ``None`` where the metric has no classes."""
        return metrics.by_class(reference, candidate, self._targets)

    def _measured(self, parameters: Parameters) -> Score | None:
        parameters.check(self._learner.layout)
        if not parameters.finite:
            return metrics.nothing_right(self._metric, self._targets)
        given, position = [], 0
        with closing(self._learner.outputs(parameters, self._prepared)) as batches:
            for batch in batches:
                given.append(metrics.answers(self._metric, batch, self._targets[position : position + len(batch)]))
                position += len(batch)
        return metrics.score(self._metric, np.concatenate(given), self._targets)
