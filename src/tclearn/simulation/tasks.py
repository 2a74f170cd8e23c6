"""What the demo trains on each data set: network, trainer, and the charter's numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from tclearn.coalition.charter import Charter
from tclearn.learning.networks import paper_cnn, perceptron
from tclearn.learning.trainer import Recipe


@dataclass(frozen=True)
class DemoTask:
    """One data set's demonstration.

    Attributes:
        dataset: name of the data set, as ``tclearn.learning.datasets.load`` takes it.
        factory: makes the model.
        arguments: keyword arguments of the factory.
        metric: what is measured.
        blocks: how many blocks to make by default.
        local_test: share of each contribution that is put aside for L.
        options: of ``TorchTrainer``.
    """

    dataset: str
    factory: Callable[..., Any]
    arguments: Mapping[str, Any]
    blocks: int
    local_test: Decimal
    metric: str = "accuracy"
    options: Mapping[str, Any] = field(default_factory=dict)

    def recipe(self) -> Recipe:
        """The trainer; torch is imported here and not before."""
        from tclearn.learning.trainers.torch import TorchTrainer

        return TorchTrainer(**self.options)

    def charter(self, rule: str, lambda_: Decimal, blocks: int, level: str = "A") -> Charter:
        """The charter of the demonstration."""
        return Charter(
            name=f"demo-{self.dataset}",
            model=self.factory,
            arguments=dict(self.arguments),
            metric=self.metric,
            acceptance=rule,
            lambda_=lambda_,
            level=level,
            blocks=blocks,
            local_test=self.local_test,
            minimum_batch=1,  # public data, divided among as many as you like
            may_change=("epochs", "batch_size", "learning_rate"),
        )


TASKS: Final[Mapping[str, DemoTask]] = {
    "digits": DemoTask(
        dataset="digits",
        factory=paper_cnn,
        arguments={"channels": 1, "side": 8, "filters": 32, "hidden": 128, "classes": 10},
        blocks=10,
        local_test=Decimal("0.1"),
        options={"epochs": 10, "batch_size": 16},
    ),
    "breast-cancer": DemoTask(
        dataset="breast-cancer",
        factory=perceptron,
        arguments={"features": 30, "hidden": 16, "classes": 2},
        blocks=10,
        local_test=Decimal("0.1"),
        options={"epochs": 10, "batch_size": 16},
    ),
    "mnist": DemoTask(
        dataset="mnist",
        factory=paper_cnn,
        arguments={"channels": 1, "side": 28, "filters": 32, "hidden": 128, "classes": 10},
        blocks=10,
        local_test=Decimal("0.1"),
        options={"epochs": 2, "batch_size": 64},
    ),
}
