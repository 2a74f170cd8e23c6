"""Measures models on test sets as validators do, and their loss besides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch

from tclearn.learning import metrics
from tclearn.learning.parameters import Parameters
from tclearn.learning.records import Records
from tclearn.learning.trainer import Task
from tclearn.learning.trainers.torch_learner import Settings, TorchLearner
from tclearn.reproduce.outcome import Point

if TYPE_CHECKING:
    from tclearn.learning.trainers.torch import TorchTrainer


class Examiner:
    """Measures a model on several sets.

    Args:
        recipe: how the model is trained; its loss is what is measured.
        task: the model and its metric.
        sets: the records of each, by name; the first is G.
    """

    def __init__(self, recipe: TorchTrainer, task: Task, sets: Mapping[str, Records]) -> None:
        self._task, self._loss = task, recipe.loss
        settings = Settings(
            recipe.optimizer, recipe.loss, torch.device(recipe.device), recipe.threads, recipe.hyperparameters()
        )
        self._learner = TorchLearner(settings, task, next(iter(sets.values())))
        self._sets = {name: (records, self._learner.prepare(records, name)) for name, records in sets.items()}

    def points(self, parameters: Parameters) -> dict[str, Point]:
        """The model on every set."""
        return {name: self._point(parameters, name) for name in self._sets}

    def _point(self, parameters: Parameters, name: str) -> Point:
        records, prepared = self._sets[name]
        given, loss, place = [], 0.0, 0
        for outputs in self._learner.outputs(parameters, prepared):
            end = place + len(outputs)
            given.append(metrics.answers(self._task.metric, outputs, records.targets[place:end]))
            batch = self._loss(torch.from_numpy(outputs), prepared.targets[place:end].cpu())
            loss += float(batch) * len(outputs)
            place = end
        score = metrics.score(self._task.metric, np.concatenate(given), records.targets)
        if score is None:
            raise ValueError(f"{self._task.metric} is not defined on {name}")
        return Point(performance=float(score.performance), loss=loss / len(records))
