"""M_0 (W_0 in DeepChain), drawn by whoever has the model's code and no data at all."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from tclearn.coalition.terms import ModelTerms
from tclearn.errors import Code, ParametersError, UsageError
from tclearn.learning.member import COMPUTING
from tclearn.learning.parameters import Layout, Parameters
from tclearn.learning.source import check_source, load_factory
from tclearn.learning.trainer import Recipe, Task


@runtime_checkable
class Drawing(Protocol):
    """What a recipe has besides where M_0 does not take records; see ``tclearn.learning.Recipe``."""

    def drawn(self, task: Task, layout: Layout, seed: int) -> Parameters:
        """What ``Trainer.initial`` gives to members.

        Args:
            task: names the model factory; its data are not looked at.
            layout: the tensors that the charter lists.
            seed: the charter's.

        Raises:
            CharterError: the model factory fails, or makes something that the recipe cannot use without records.
            ParametersError: it does not make tensors of this layout.
        """


def start(recipe: Recipe, model: ModelTerms, metric: str) -> Parameters:
    """The model that training starts with, which is called for with the charter's arguments: its code runs here.

    Args:
        recipe: how the coalition trains; nothing is trained.
        model: the charter's part on the model.
        metric: the charter's.

    Raises:
        CharterError: the model code is not here, is another version, or fails.
        ParametersError: it is not the model that the charter says.
        UsageError: this recipe starts with nothing but records.
    """
    factory = load_factory(model.factory)
    check_source(factory, model.source)
    if not isinstance(recipe, Drawing):
        raise UsageError(
            Code.USAGE,
            f"the trainer {type(recipe).__name__} draws no model without data",
            expected="a trainer with a method `drawn`",
            remedy="ask a member: it has the data",
        )
    task = Task(model=factory, arguments=model.keyword_arguments(), metric=metric, global_test=None)
    with COMPUTING:
        drawn = recipe.drawn(task, model.layout, model.seed)
    check_start(drawn, model)
    return drawn


def check_start(drawn: Parameters, model: ModelTerms) -> None:
    """Compare a model with the one that the charter says training starts with; returns nothing.

    Raises:
        ParametersError: it is another one.
    """
    drawn.check(model.layout)
    if drawn.digest != model.initial:
        raise ParametersError(
            Code.PARAMETERS_DIGEST,
            f"a W_0 with digest {drawn.digest.hex()[:16]}…",
            expected=f"{model.initial.hex()[:16]}… as the terms say",
            remedy="the model code here is another version",
        )
