"""A test set with a model's network beside it: what a model reaches on it, measured once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator, Mapping
from contextlib import closing
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tclearn.coalition.evidence import ClassCounts
from tclearn.coalition.privacy import PrivacyEvent
from tclearn.coalition.terms import PrivacyTerms
from tclearn.encoding import Digest
from tclearn.errors import Code, DataError
from tclearn.learning import metrics
from tclearn.learning.data_ids import data_set_digest
from tclearn.learning.metrics import Score
from tclearn.learning.noise import Noise
from tclearn.learning.parameters import Layout, Parameters
from tclearn.learning.records import Records

_SCORES_KEPT: Final = 64
_SETS_KEPT: Final = 2


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


@runtime_checkable
class PrivateLearner(Learner, Protocol):
    """A learner that can train with differential privacy by example."""

    def check_private(self) -> None:
        """Whether the model can be trained so.

        Raises:
            CharterError: it cannot; the message says why.
            UsageError: a package is missing.
        """

    def fit_private(
        self,
        start: Parameters,
        prepared: Any,
        seed: int,
        hyperparameters: Mapping[str, int],
        terms: PrivacyTerms,
        noise: Noise,
    ) -> tuple[Parameters, PrivacyEvent]:
        """Train from ``start`` with clipped gradients and noise.

        Args:
            start: as for ``fit``.
            prepared: as for ``fit``.
            seed: fixes what needs no secrecy.
            hyperparameters: as for ``fit``.
            terms: the charter's.
            noise: which records a step takes, and what is added.

        Returns:
            The parameters, and what was done.

        Raises:
            DataError: training fails.
        """


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
        self._beside: OrderedDict[Digest, TestSet] = OrderedDict()

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

    def beside(self, records: Records, what: str) -> TestSet:
        """A test set of other records for the same model and metric; the last few are kept, by their digests.

        Raises:
            DataError: they have another form than these, or the model cannot take them.
        """
        for name, own, other in (
            ("inputs", self.records.inputs, records.inputs),
            ("targets", self.records.targets, records.targets),
        ):
            if own.shape[1:] != other.shape[1:]:
                raise DataError(
                    Code.DATA_SHAPE,
                    f"{what} has {name} of shape {other.shape[1:]}",
                    expected=f"{own.shape[1:]}, as the global test set",
                )
        digest = data_set_digest(records)
        if digest not in self._beside:
            self._beside[digest] = TestSet(self._learner, records, self._metric, what)
            if len(self._beside) > _SETS_KEPT:
                self._beside.popitem(last=False)
        self._beside.move_to_end(digest)
        return self._beside[digest]

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
