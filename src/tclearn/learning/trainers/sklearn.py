"""Training scikit-learn classifiers: ``SklearnTrainer``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tclearn.errors import Code, UsageError
from tclearn.learning.bench import Bench
from tclearn.learning.parameters import Layout, Parameters
from tclearn.learning.prediction import Outputs
from tclearn.learning.records import Records
from tclearn.learning.trainer import LocalData, Task, Trainer
from tclearn.learning.trainers.sklearn_learner import SklearnLearner, features_of

MILLION = 1_000_000


@dataclass(frozen=True)
class SklearnTrainer:
    """How to train a scikit-learn classifier, for all members alike; the model factory returns it unfitted.

    ``SGDClassifier`` and ``MLPClassifier`` take ``epochs`` passes of ``partial_fit``, ``LogisticRegression`` at most
    ``epochs`` iterations of its solver; each starts from the given parameters and with a fresh optimizer. Inputs are
    flattened to ``(n, features) float64``.

    Attributes:
        classes: the number of classes, labelled from 0; or their labels, integers. A member need not have all of them.
        epochs: over each contribution.
        batch_size: records a step of ``MLPClassifier``; ``None``: the estimator's own. No other has batches.
        learning_rate: of ``MLPClassifier``, or of ``SGDClassifier`` with a rate to set; ``None``: the estimator's own.

    Raises:
        UsageError: a number is out of range.
    """

    classes: int | Sequence[int] = 2
    epochs: int = 10
    batch_size: int | None = None
    learning_rate: float | None = None
    _bench: Bench = field(default_factory=Bench, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(Code.USAGE, f"{name} is {value}", expected="at least 1")
        if self.learning_rate is not None and round(self.learning_rate * MILLION) < 1:
            raise UsageError(Code.USAGE, f"the learning rate {self.learning_rate}", expected="at least 0.000001")
        if len(set(self._labels())) < 2:
            raise UsageError(Code.USAGE, f"classes is {self.classes}", expected="two classes at least")

    def hyperparameters(self) -> Mapping[str, int]:
        """The starting values that the charter records: counts, and ``learning_rate`` in millionths, where given."""
        values = {"epochs": self.epochs}
        if self.batch_size is not None:
            values["batch_size"] = self.batch_size
        if self.learning_rate is not None:
            values["learning_rate"] = round(self.learning_rate * MILLION)
        return values

    def bind(self, task: Task, data: LocalData) -> Trainer:
        """A trainer for one member.

        Raises:
            CharterError: the model factory fails, or makes an estimator that cannot go on from given parameters.
            DataError: the data cannot be read, or the model cannot take them.
            UsageError: a batch size or learning rate is set that the estimator does not have.
        """
        return self._bench.bind(task, data, self._learner)

    def outputs(self, task: Task, parameters: Parameters, inputs: NDArray[Any]) -> Outputs:
        """A model's outputs for inputs without targets; see ``tclearn.learning.prediction.Predicting``.

        Raises:
            CharterError: the model factory fails, or makes an estimator that cannot go on from given parameters.
            DataError: the model cannot take the inputs.
            ParametersError: the parameters are not of this model.
        """
        # Made for as many features as the model has: inputs that do not fit are then at fault, and not the model.
        learner = self._learner(task, _blank(parameters.layout))
        parameters.check(learner.layout)
        values = np.concatenate(list(learner.outputs(parameters, learner.unlabelled(inputs))))
        return Outputs(values, sorted(set(self._labels())))

    def drawn(self, task: Task, layout: Layout, seed: int) -> Parameters:
        """M_0 without any data; see ``tclearn.learning.start.Drawing``. The layout says how many classes there are.

        Raises:
            CharterError: the model factory fails, or makes an estimator that cannot go on from given parameters.
            ParametersError: no estimator has tensors of this layout.
        """
        learner = SklearnLearner(task, _blank(layout), range(_classes(layout)), self.hyperparameters())
        return learner.initial(seed)

    def _learner(self, task: Task, global_test: Records) -> SklearnLearner:
        return SklearnLearner(task, global_test, sorted(set(self._labels())), self.hyperparameters())

    def _labels(self) -> Sequence[int]:
        return range(self.classes) if isinstance(self.classes, int) else self.classes


def _classes(layout: Layout) -> int:
    # One output tells two classes apart. Layers are numbered, and not in the order of their names.
    shapes = {tensor.name: tensor.shape for tensor in layout}
    layers = sum(name.startswith("intercepts_.") for name in shapes)
    outputs = shapes.get(f"intercepts_.{layers - 1}" if layers else "intercept_", ())
    return max(2, *outputs)


def _blank(layout: Layout) -> Records:
    return Records(np.zeros((1, features_of(layout))), np.zeros(1, np.int64))
