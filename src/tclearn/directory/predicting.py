"""Predictions with a model of a coalition's chain: what a member computes for itself; nothing is sent."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from tclearn.coalition.resolved import ResolvedCharter
from tclearn.directory.founding import recipe_of
from tclearn.directory.site import SiteFile
from tclearn.learning.parameters import Parameters
from tclearn.learning.prediction import Predictions, predict
from tclearn.learning.source import check_source, load_factory
from tclearn.learning.trainer import Task


def predict_with(
    charter: ResolvedCharter, parameters: Parameters, inputs: NDArray[Any], site: SiteFile | None = None
) -> Predictions:
    """Ask a model of a coalition.

    Args:
        charter: names the model, the metric and the trainer.
        parameters: of the model (``tclearn.directory.models.stored_model``).
        inputs: ``(n, …)`` (``tclearn.learning.inputs``).
        site: on what to compute; ``None``: as the trainer does by itself.

    Raises:
        CharterError: the model code here is not what the charter says.
        UsageError: ``site`` has an option that the trainer does not take, or the trainer cannot predict.
        DataError: the model cannot take the inputs.
        ParametersError: the parameters are not of this model.
    """
    factory = load_factory(charter.model.factory)
    check_source(factory, charter.model.source)
    task = Task(
        model=factory,
        arguments=charter.model.keyword_arguments(),
        metric=charter.task.metric,
        global_test=None,
    )
    return predict(recipe_of(charter.trainer, SiteFile() if site is None else site), task, parameters, inputs)
