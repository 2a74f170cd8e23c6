"""Training PyTorch models: ``TorchTrainer``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tclearn.errors import Code, UsageError
from tclearn.learning.bench import Bench
from tclearn.learning.parameters import Layout, Parameters
from tclearn.learning.prediction import Outputs
from tclearn.learning.records import Records
from tclearn.learning.trainer import LocalData, Task, Trainer
from tclearn.learning.trainers.torch_learner import Settings, TorchLearner

MILLION = 1_000_000


def dice_loss(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """1 less the soft Dice coefficient of logits and masks of the same shape, averaged over the records.

    Source: Milletari et al. 2016, V-Net, §3; the squares of the denominator left out as is usual.
    """
    inside, wanted = torch.sigmoid(logits).flatten(1), masks.flatten(1)
    both = (inside * wanted).sum(1)
    return 1 - ((2 * both + 1) / (inside.sum(1) + wanted.sum(1) + 1)).mean()


@dataclass(frozen=True)
class TorchTrainer:
    """How to train a PyTorch model, for all members alike.

    Inputs that are real numbers, bytes or truth values reach the model in its own floating type, other integers as
    int64. Targets are class numbers (int64), unless the model has one output for each: then the loss has them in the
    model's floating type and in the shape of its outputs, as ``BCEWithLogitsLoss`` and ``dice_loss`` take them.

    Training repeats bit for bit on one kind of CPU with one thread; on a GPU it need not.

    Attributes:
        optimizer: its class, or a ``functools.partial`` of it; made anew, with fresh state, for each contribution.
        loss: from outputs and targets to a scalar, lower is better.
        epochs: over each contribution.
        batch_size: records a step; a last one alone joins the batch before it.
        learning_rate: ``None``: the optimizer's own default.
        device: where to compute, as ``torch.device`` takes it.
        threads: threads of the CPU, for as long as this trainer computes.
        steps: of a contribution, in place of ``epochs``: so many mini-batches, however many records a member has;
            records are shuffled again when all have been in one.

    Raises:
        UsageError: a number is out of range, or the optimizer has no default learning rate and none is given.
    """

    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adadelta
    loss: Callable[[Any, Any], Any] = field(default_factory=nn.CrossEntropyLoss)
    epochs: int = 5
    batch_size: int = 16
    learning_rate: float | None = None
    device: str = "cpu"
    threads: int = 1
    steps: int | None = None
    _bench: Bench = field(default_factory=Bench, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "threads", "steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(Code.USAGE, f"{name} is {value}", expected="at least 1")
        if isinstance(self.loss, type) or not callable(self.loss):
            raise UsageError(Code.USAGE, f"the loss {self.loss!r}", expected="an instance, such as CrossEntropyLoss()")
        if not callable(self.optimizer):
            raise UsageError(Code.USAGE, f"the optimizer {self.optimizer!r}", expected="a class, such as Adadelta")
        try:
            torch.device(self.device)
        except RuntimeError as error:
            raise UsageError(Code.USAGE, f"the device {self.device!r}", expected="cpu, cuda, cuda:0 …") from error
        self.hyperparameters()

    def hyperparameters(self) -> Mapping[str, int]:
        """The starting values that the charter records: counts, and ``learning_rate`` in millionths."""
        rate = _default_rate(self.optimizer) if self.learning_rate is None else self.learning_rate
        millionths = round(rate * MILLION)
        if millionths < 1:
            raise UsageError(Code.USAGE, f"the learning rate {rate}", expected="at least 0.000001")
        length = {"epochs": self.epochs} if self.steps is None else {"steps": self.steps}
        return {**length, "batch_size": self.batch_size, "learning_rate": millionths}

    def bind(self, task: Task, data: LocalData) -> Trainer:
        """A trainer for one member.

        Raises:
            CharterError: the model factory fails, or makes something other than a ``torch.nn.Module``.
            DataError: the data cannot be read, or the model cannot take them.
        """
        return self._bench.bind(task, data, self._learner)

    def network(self, task: Task, parameters: Parameters, records: Records) -> nn.Module:
        """The network of a task with given parameters, on this trainer's device, in evaluation mode.

        Args:
            task: names the model factory.
            parameters: of the model.
            records: some that it takes; it is tried on the first.

        Raises:
            CharterError: the model factory fails, or makes something other than a ``torch.nn.Module``.
            DataError: the model cannot take the records.
            ParametersError: the parameters are not of this model.
        """
        return self._learner(task, records).network(parameters)

    def outputs(self, task: Task, parameters: Parameters, inputs: NDArray[Any]) -> Outputs:
        """A model's outputs for inputs without targets; see ``tclearn.learning.prediction.Predicting``.

        Raises:
            CharterError: the model factory fails, or makes something other than a ``torch.nn.Module``.
            DataError: the model cannot take the inputs.
            ParametersError: the parameters are not of this model.
        """
        learner = self._learner(task, Records(inputs[:1], np.zeros(1, np.int64)), "the inputs")
        parameters.check(learner.layout)
        return Outputs(np.concatenate(list(learner.outputs(parameters, learner.unlabelled(inputs)))))

    def drawn(self, task: Task, layout: Layout, seed: int) -> Parameters:
        """M_0 without any data; see ``tclearn.learning.start.Drawing``. The layout is not needed.

        Raises:
            CharterError: the model factory fails, makes something other than a ``torch.nn.Module``, or lazy layers.
        """
        return self._learner(task, None).initial(seed)

    def _learner(self, task: Task, tried_on: Records | None, what: str = "the global test set") -> TorchLearner:
        settings = Settings(self.optimizer, self.loss, torch.device(self.device), self.threads, self.hyperparameters())
        return TorchLearner(settings, task, tried_on, what)


def _default_rate(optimizer: Callable[..., torch.optim.Optimizer]) -> float:
    parameter = inspect.signature(optimizer).parameters.get("lr")
    default = parameter.default if parameter else None
    if isinstance(default, torch.Tensor):
        default = default.item()
    if not isinstance(default, int | float):
        raise UsageError(
            Code.USAGE,
            f"the optimizer {getattr(optimizer, '__name__', optimizer)} has no default learning rate",
            expected="a learning rate",
            remedy="give TorchTrainer(learning_rate=...)",
        )
    return default
