"""The half of ``TorchTrainer`` that computes: one network, how to fit it, and its outputs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.parameter import is_lazy

from tclearn.coalition.privacy import PrivacyEvent
from tclearn.coalition.terms import PrivacyTerms
from tclearn.encoding import Digest
from tclearn.errors import CharterError, Code, DataError, UsageError
from tclearn.learning.drawing import derived, normal
from tclearn.learning.metrics import check_targets
from tclearn.learning.noise import Noise
from tclearn.learning.parameters import Layout, Parameters
from tclearn.learning.records import Records
from tclearn.learning.trainer import Task
from tclearn.learning.trainers import torch_private
from tclearn.learning.trainers.torch_tensors import (
    agreed,
    drawn,
    exported,
    floating_type,
    forward,
    input_tensor,
    load,
    tensor_of,
)

MILLION: Final = 1_000_000
_BATCH_MAX: Final = 1024
_BATCH_NUMBERS: Final = 1 << 16
_BATCH_NUMBERS_AWAY: Final = 1 << 22
"""Measuring takes batches of at most this many input numbers: what is made of them should fit a processor's cache, and
fill another device."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The recipe's, resolved; see ``TorchTrainer``."""

    optimizer: Callable[..., torch.optim.Optimizer]
    loss: Callable[[Any, Any], Any]
    device: torch.device
    threads: int
    hyperparameters: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Tensors:
    """Records as the network takes them."""

    inputs: torch.Tensor
    targets: torch.Tensor


class TorchLearner:
    """See ``tclearn.learning.measurement.Learner``.

    Args:
        settings: how to train.
        task: names the model factory.
        tried_on: records, of which the network is tried on the first: those of G, or of whoever asks it; ``None``:
            it is not tried.
        what: what they are, for messages.

    Raises:
        CharterError: the factory fails or makes no network, or its tensors have a type that parameters may not have;
            or the network gets its shapes from records, and there are none.
        DataError: the network cannot take the records.
    """

    def __init__(
        self, settings: Settings, task: Task, tried_on: Records | None, what: str = "the global test set"
    ) -> None:
        self._settings = settings
        self._task = task
        self._first = None if tried_on is None else tried_on.take([0])
        self._what = what
        self._loss = settings.loss.to(settings.device) if isinstance(settings.loss, nn.Module) else settings.loss
        self._network = self._built(0)
        self._layout = exported(self._network).layout
        self._loaded: Digest | None = None

    @property
    def layout(self) -> Layout:
        """The model's tensors."""
        return self._layout

    def initial(self, seed: int) -> Parameters:
        """M_0: weights of two and more dimensions normal with standard deviation √(2 / fan-in), biases zero.

        Other tensors (the weights of normalisation, buffers) are as the factory makes them, its random numbers seeded.
        Source: Lugan et al. 2019, §III.A; He et al. 2015, eq. 10.
        """
        network = self._built(derived(seed, "build"))
        tensors = dict(exported(network))
        for name, weight in network.named_parameters(remove_duplicate=False):
            dtype = tensors[name].dtype
            if weight.ndim >= 2 and dtype.kind == "f":
                deviation = float(np.sqrt(2 / max(1, prod(weight.shape[1:]))))
                tensors[name] = normal(seed, name, tuple(weight.shape), deviation, dtype)
            elif "bias" in name.rpartition(".")[2]:
                tensors[name] = np.zeros(weight.shape, dtype)
        return Parameters(tensors)

    def prepare(self, records: Records, what: str) -> Tensors:
        """The records as tensors on the device; see ``Learner.prepare``."""
        inputs = input_tensor(self._network, self._settings.device, records.inputs)
        with self._computing():
            self._network.eval()
            outputs = forward(self._network, inputs[:1], what)
        check_targets(self._task.metric, outputs.numpy(force=True), records.targets, what)
        targets = tensor_of(records.targets).to(self._settings.device)
        if targets.numel() == len(records) * outputs.numel():
            return Tensors(inputs, targets.to(floating_type(self._network)).view(len(records), *outputs.shape[1:]))
        return Tensors(inputs, targets.to(torch.int64).flatten())

    def unlabelled(self, inputs: NDArray[Any]) -> Tensors:
        """Inputs whose targets nobody knows, ``(n, …)``, for ``outputs``."""
        return Tensors(input_tensor(self._network, self._settings.device, inputs), torch.empty(0))

    def targets(self, records: Records) -> NDArray[Any]:
        """The targets as metrics take them."""
        return records.targets

    def fit(self, start: Parameters, prepared: Tensors, seed: int, hyperparameters: Mapping[str, int]) -> Parameters:
        """Train for the ledger's epochs or steps, from ``start`` and a fresh optimizer; see ``Learner.fit``."""
        known = agreed(self._settings.hyperparameters, hyperparameters)
        with self._computing(derived(seed, "train"), gradients=True):
            try:
                network = copy.deepcopy(self._network)
                load(network, start)
                network.train()
                trained = [weight for weight in network.parameters() if weight.requires_grad]
                optimizer = self._settings.optimizer(trained, lr=known["learning_rate"] / MILLION)
                shuffling = torch.Generator().manual_seed(derived(seed, "shuffle"))
                for batch in drawn(len(prepared.inputs), known, shuffling):
                    chosen = batch.to(self._settings.device)
                    outputs = network(prepared.inputs.index_select(0, chosen))
                    optimizer.zero_grad(set_to_none=True)
                    self._loss(outputs, prepared.targets.index_select(0, chosen)).backward()
                    optimizer.step()
            except Exception as error:  # the user's model and loss: whatever they raise, there is no increment
                raise _stopped(error) from error
            result = exported(network)
        return _finite(result, known)

    def check_private(self) -> None:
        """Whether the network can be trained with differential privacy; see ``PrivateLearner.check_private``."""
        with self._computing():
            torch_private.check_network(self._network)

    def fit_private(
        self,
        start: Parameters,
        prepared: Tensors,
        seed: int,
        hyperparameters: Mapping[str, int],
        terms: PrivacyTerms,
        noise: Noise,
    ) -> tuple[Parameters, PrivacyEvent]:
        """Train with clipped gradients and noise; see ``PrivateLearner.fit_private``."""
        known = agreed(self._settings.hyperparameters, hyperparameters)
        data = prepared.inputs, prepared.targets
        with self._computing(derived(seed, "train"), gradients=True):
            try:
                network = copy.deepcopy(self._network)
                load(network, start)
                network.train()
                done = torch_private.train(network, self._settings.optimizer, self._loss, *data, known, terms, noise)
            except UsageError:
                raise
            except Exception as error:  # the user's model and loss
                raise _stopped(error) from error
            result = exported(network)
        return _finite(result, known), done

    def outputs(self, parameters: Parameters, prepared: Tensors) -> Generator[NDArray[Any]]:
        """The network's outputs in evaluation mode; see ``Learner.outputs``. Class scores for AUC are log-softmaxed."""
        numbers = _BATCH_NUMBERS if self._settings.device.type == "cpu" else _BATCH_NUMBERS_AWAY
        size = max(1, min(_BATCH_MAX, numbers // max(1, prepared.inputs[0].numel())))
        with self._computing():
            if self._loaded != parameters.digest:
                self._loaded = None
                load(self._network, parameters)
                self._loaded = parameters.digest
            self._network.eval()
            for batch in torch.split(prepared.inputs, size):
                outputs = forward(self._network, batch, "a batch")
                if self._task.metric == "auc" and outputs.ndim == 2 and outputs.shape[1] > 2:
                    outputs = torch.log_softmax(outputs.double(), 1)
                yield outputs.numpy(force=True)

    def model(self, parameters: Parameters) -> dict[str, torch.Tensor]:
        """A state dict, copied."""
        return {name: torch.from_numpy(tensor.copy()) for name, tensor in parameters.items()}

    def network(self, parameters: Parameters) -> nn.Module:
        """The network with some parameters of its layout, in evaluation mode; a copy."""
        parameters.check(self._layout)
        network = copy.deepcopy(self._network)
        load(network, parameters)
        return network.eval()

    def _built(self, seed: int) -> nn.Module:
        with self._computing(seed):
            try:
                network = self._task.model(**self._task.arguments)
            except Exception as error:  # the user's factory
                raise CharterError(
                    Code.CHARTER_MODEL,
                    f"the model factory raised {type(error).__name__}: {error}",
                    expected=f"a torch.nn.Module from the arguments {dict(self._task.arguments)}",
                ) from error
            if not isinstance(network, nn.Module):
                raise CharterError(
                    Code.CHARTER_MODEL,
                    f"the model factory made a {type(network).__name__}",
                    expected="a torch.nn.Module",
                    remedy="train scikit-learn estimators with SklearnTrainer",
                )
            network.to(self._settings.device).eval()
            if self._first is not None:  # one forward pass gives lazy layers their shapes
                forward(network, input_tensor(network, self._settings.device, self._first.inputs), self._what)
            elif any(map(is_lazy, (*network.parameters(), *network.buffers()))):
                raise CharterError(
                    Code.CHARTER_MODEL,
                    "the model factory made a network whose shapes follow from its first records",
                    expected="layers of given shapes, where there are no records",
                    remedy="ask a member: it has the global test set",
                )
        return network

    @contextmanager
    def _computing(self, seed: int = 0, *, gradients: bool = False) -> Iterator[None]:
        """Threads as set for the member, random numbers of its own, gradients or none; all put back afterwards."""
        before, device = torch.get_num_threads(), self._settings.device
        away = [] if device.type == "cpu" else [device.index or 0]
        with ExitStack() as stack:
            if before != self._settings.threads:
                torch.set_num_threads(self._settings.threads)
                stack.callback(torch.set_num_threads, before)
            # Seeded for measuring too: a model that draws when it predicts gives every validator the same answers.
            stack.enter_context(torch.random.fork_rng(devices=away, device_type=device.type if away else "cuda"))
            (torch.manual_seed if away else torch.default_generator.manual_seed)(seed)
            # Never inference_mode: what a network keeps from a forward pass must still be fit to train with.
            stack.enter_context(torch.set_grad_enabled(gradients))
            yield


def _stopped(error: Exception) -> DataError:
    return DataError(
        Code.TRAINING_FAILED,
        f"training stopped with {type(error).__name__}: {error}",
        expected="a model and a loss that take the training data",
    )


def _finite(result: Parameters, known: Mapping[str, int]) -> Parameters:
    if not result.finite:
        raise DataError(
            Code.TRAINING_FAILED,
            f"training with learning rate {known['learning_rate'] / MILLION:g} ended in NaN or infinite weights",
            expected="finite numbers",
            remedy="scale the inputs to about -1 to 1, or lower the learning rate",
        )
    return result
