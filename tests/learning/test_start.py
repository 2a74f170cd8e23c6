"""The model that training starts with, drawn without data, is the one that members draw with theirs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from torch import nn

from tclearn.coalition.arguments import argument_text
from tclearn.coalition.terms import ModelTerms
from tclearn.errors import CharterError, Code, ParametersError, TCLearnError, UsageError
from tclearn.learning.datasets import load
from tclearn.learning.networks import perceptron
from tclearn.learning.records import Records
from tclearn.learning.source import source_digest
from tclearn.learning.start import start
from tclearn.learning.trainer import LocalData, Recipe, Task
from tclearn.learning.trainers.sklearn import SklearnTrainer
from tclearn.learning.trainers.torch import TorchTrainer


def lazy() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(2))


def terms(recipe: Recipe, reference: str, factory: Callable[..., Any], data: str, **arguments: Any) -> ModelTerms:
    """What a charter says whose founder has the data."""
    test = load(data).test
    flat = Records(test.inputs.reshape(len(test), -1), test.targets)
    task = Task(model=factory, metric="accuracy", global_test=flat, arguments=arguments, step_search="none")
    initial = recipe.bind(task, LocalData(None)).initial(7)
    texts = {name: argument_text(value) for name, value in arguments.items()}
    return ModelTerms(reference, texts, 7, source_digest(factory), initial.layout, initial.digest)


LAYERS = (2,) * 11  # more than ten: their names are not in the order of their numbers
NETWORK = terms(TorchTrainer(), "tclearn.learning.networks:perceptron", perceptron, "breast-cancer", features=30)


@pytest.mark.parametrize(
    ("recipe", "asked", "model"),
    [
        (TorchTrainer(), TorchTrainer(), NETWORK),
        (
            SklearnTrainer(10),
            SklearnTrainer(),
            terms(
                SklearnTrainer(10),
                "sklearn.neural_network:MLPClassifier",
                MLPClassifier,
                "digits",
                hidden_layer_sizes=LAYERS,
            ),
        ),
        *(
            (
                SklearnTrainer(classes),
                SklearnTrainer(),
                terms(SklearnTrainer(classes), "sklearn.linear_model:LogisticRegression", LogisticRegression, data),
            )
            for classes, data in ((2, "breast-cancer"), (10, "digits"))
        ),
    ],
)
def test_it_is_drawn_without_data(recipe: Recipe, asked: Recipe, model: ModelTerms):
    assert start(asked, model, "accuracy").digest == model.initial


@pytest.mark.parametrize(
    ("changed", "kind", "code"),
    [
        ({"factory": "nowhere:net"}, CharterError, Code.CHARTER_MODEL),
        ({"source": source_digest(MLPClassifier)}, CharterError, Code.CHARTER_MISMATCH),
        ({"seed": 8}, ParametersError, Code.PARAMETERS_DIGEST),
        ({"arguments": {"features": "31"}}, ParametersError, Code.PARAMETERS_SHAPE),
        ({"arguments": {"nonsense": "1"}}, CharterError, Code.CHARTER_MODEL),
    ],
)
def test_another_model_is_refused(changed: dict[str, Any], kind: type[TCLearnError], code: Code):
    with pytest.raises(kind) as raised:
        start(TorchTrainer(), replace(NETWORK, **changed), "accuracy")
    assert raised.value.code is code


def test_a_network_without_shapes_needs_a_member():
    model = terms(TorchTrainer(), f"{__name__}:lazy", lazy, "breast-cancer")
    with pytest.raises(CharterError, match="whose shapes follow from its first records"):
        TorchTrainer().drawn(Task(model=lazy, metric="accuracy", global_test=None), model.layout, 7)


def test_a_recipe_that_draws_nothing_is_named():
    class Own:
        hyperparameters = bind = None

    with pytest.raises(UsageError, match="the trainer Own draws no model without data"):
        start(Own(), NETWORK, "accuracy")  # type: ignore[arg-type]
