"""Predictions: a model's answers to inputs whose targets nobody knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tclearn.errors import Code, UsageError
from tclearn.learning import metrics
from tclearn.learning.member import COMPUTING
from tclearn.learning.parameters import Parameters
from tclearn.learning.trainer import Recipe, Task


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """What a model makes of some inputs.

    Attributes:
        values: ``(n, …)``, as ``tclearn.learning.metrics`` takes them: logits or probabilities.
        labels: of the classes, in the order of the outputs; ``None``: 0, 1, 2 …
    """

    values: NDArray[Any]
    labels: Sequence[int] | None = None


@runtime_checkable
class Predicting(Protocol):
    """What a recipe has besides where its models can be asked without targets; see ``tclearn.learning.Recipe``."""

    def outputs(self, task: Task, parameters: Parameters, inputs: NDArray[Any]) -> Outputs:
        """A model's outputs.

        Args:
            task: names the model factory and the metric; its data are not looked at.
            parameters: of the model.
            inputs: ``(n, …)``, one record after the other.

        Raises:
            CharterError: the model factory fails.
            DataError: the model cannot take the inputs.
            ParametersError: the parameters are not of this model.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """A model's answers; classes with scores, or masks where the metric is Dice.

    Attributes:
        classes: ``(n,) int64``, the class of each record; ``None`` for masks. What it says of a record that is not
            ``answered`` means nothing.
        scores: ``(n,) float64``, the model's own output for that class, a logit or a probability as the model gives
            it (log-probabilities for AUC with more than two classes; of one with a single output, that output, above
            zero for class 1); ``None`` for masks.
        masks: ``(n, …) uint8`` of 0 and 1, inside where the logit is above zero; else ``None``.
        answered: ``(n,) bool``, whether all of the model's outputs for a record are finite numbers.
    """

    classes: NDArray[np.int64] | None
    scores: NDArray[np.float64] | None
    masks: NDArray[np.uint8] | None
    answered: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.answered)


def predict(recipe: Recipe, task: Task, parameters: Parameters, inputs: NDArray[Any]) -> Predictions:
    """Ask a model.

    Args:
        recipe: how the coalition trains (``TorchTrainer()``, ``SklearnTrainer()``); nothing is trained.
        task: names the model factory and the metric.
        parameters: of the model.
        inputs: ``(n, …)``, at least one record, of the shape that the model takes.

    Raises:
        UsageError: this recipe's models can only be measured.
        CharterError: the model factory fails.
        DataError: the model cannot take the inputs, or what it makes of them is no answer.
        ParametersError: the parameters are not of this model.
    """
    if not isinstance(recipe, Predicting):
        raise UsageError(
            Code.USAGE,
            f"the trainer {type(recipe).__name__} cannot predict",
            expected="a trainer with a method `outputs`",
            remedy="load the model's file with its own framework: `tclearn model get`",
        )
    with COMPUTING:
        outputs = recipe.outputs(task, parameters, inputs)
    values = outputs.values
    answered = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    if task.metric == "dice":
        return Predictions(None, None, (values > 0).astype(np.uint8), answered)
    positions = metrics.answers("accuracy", values, np.zeros(len(values), np.int64))
    if values.ndim == 1 or values.shape[1:] == (1,):
        scores = values.reshape(-1)
    else:
        scores = np.take_along_axis(values, np.maximum(positions, 0)[:, None], axis=1)[:, 0]
    classes = positions if outputs.labels is None else np.asarray(outputs.labels, np.int64)[positions]
    return Predictions(classes.astype(np.int64), scores.astype(np.float64), None, answered)
