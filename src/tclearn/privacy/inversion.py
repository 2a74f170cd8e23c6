"""Rebuilding training images from an increment: gradient inversion, for one step or for a whole local training.

The attacker has what every validator has, the model before and the increment, and is given more than it would know: the
labels, and which record was in which batch. It looks for images whose simulated training moves the model in the
direction of the increment, by gradient descent through that training.

Source: Zhu, Liu, Han 2019, "Deep Leakage from Gradients"; Geiping et al. 2020, "Inverting Gradients", eq. 4: cosine
distance and total variation, signed Adam, the rate a tenth after 3/8, 5/8 and 7/8 of the iterations.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from tclearn.errors import Code, UsageError
from tclearn.learning.drawing import derived
from tclearn.learning.parameters import Parameters
from tclearn.learning.records import Records
from tclearn.learning.trainers.torch_tensors import load

OPTIMIZERS: Final = ("sgd", "adadelta")
_DECAYS: Final = (3 / 8, 5 / 8, 7 / 8)
_RHO: Final = 0.9
_EPS: Final = 1e-6
_STIR: Final = 0.02

Shape = tuple[int, ...]
"""Channels, height and width of an image."""
Weights = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Training:
    """What the attacker takes the training to have been.

    Attributes:
        labels: class number of each record.
        batches: for each step the positions of its records in ``labels``.
        optimizer: ``"sgd"`` without momentum, or ``"adadelta"`` with PyTorch's defaults; both from a fresh state.
        learning_rate: above 0.

    Raises:
        UsageError: there is no record, no step or no such optimizer, or a batch names a record that is not there.
    """

    labels: tuple[int, ...]
    batches: tuple[tuple[int, ...], ...]
    optimizer: str = "sgd"
    learning_rate: float = 1.0

    def __post_init__(self) -> None:
        if not self.labels or not self.batches or not all(self.batches):
            raise UsageError(Code.USAGE, "a training without records", expected="a record in every step")
        if not all(0 <= position < len(self.labels) for batch in self.batches for position in batch):
            raise UsageError(Code.USAGE, "a batch names a record that has no label", expected="positions in the labels")
        if self.optimizer not in OPTIMIZERS:
            raise UsageError(Code.USAGE, f"the optimizer {self.optimizer!r}", expected=" or ".join(OPTIMIZERS))
        if not self.learning_rate > 0:
            raise UsageError(Code.USAGE, f"the learning rate {self.learning_rate}", expected="above 0")

    def at_once(self) -> Training:
        """One step over all records: the mean gradient, as a stand-in for a training of many steps."""
        return Training(self.labels, (tuple(range(len(self.labels))),), self.optimizer, self.learning_rate)


@dataclass(frozen=True, slots=True)
class Search:
    """How the attacker searches.

    Attributes:
        iterations: of the descent.
        rate: of the first iterations, in units of the images' range.
        variation: weight of the total variation, beside the cosine distance.
        restarts: from other random images; the one with the least objective is kept.
        shared_only: compare only weights that have changed: the others were not shared.
    """

    iterations: int = 300
    rate: float = 0.1
    variation: float = 1e-2
    restarts: int = 1
    shared_only: bool = False

    def __post_init__(self) -> None:
        for name in ("iterations", "rate", "restarts"):
            if not getattr(self, name) > 0:
                raise UsageError(Code.USAGE, f"{name} is {getattr(self, name)}", expected="above 0")
        if self.variation < 0:
            raise UsageError(Code.USAGE, f"variation is {self.variation}", expected="at least 0")


@dataclass(frozen=True, slots=True, eq=False)
class Rebuilt:
    """What came out.

    Attributes:
        images: ``(n, channels, height, width) float32``, 0 to 1, in the order of the labels.
        distance: 1 less the cosine of the increment and that of these images, 0 to 2.
    """

    images: NDArray[np.float32]
    distance: float


def inverted(
    network: nn.Module,
    before: Parameters,
    after: Parameters,
    training: Training,
    *,
    shape: Shape,
    seed: int,
    search: Search | None = None,
    first: NDArray[np.float32] | None = None,
) -> Rebuilt:
    """Images that would have made this increment, or one in its direction.

    Only tensors that are trained are looked at; the loss is cross entropy.

    Args:
        network: the model; its parameters are not changed.
        before: M_i.
        after: M_{i+1}, or M_i and what is known of the increment.
        training: what is known or supposed of it.
        shape: channels, height and width of an image; values are searched in 0 to 1.
        seed: of the first images.
        search: how long and how.
        first: images to begin with, such as ``class_means``, instead of noise; a little noise is added.

    Raises:
        UsageError: the increment is zero.
        ParametersError: the layouts differ.
    """
    after.check(before.layout)
    how = search or Search()
    attack = _Attack(network, before, after, training, how.shared_only)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derived(seed, "inversion"))
        found = [attack.descend(shape, how, first) for _ in range(how.restarts)]
    return min(found, key=lambda each: each[0])[1]


def class_means(public: Records, labels: Sequence[int]) -> NDArray[np.float32]:
    """For each label the mean of the public images of its class: what is known without any increment.

    Args:
        public: images and class numbers, such as G.
        labels: class numbers.

    Returns:
        ``(labels, channels, height, width)``.

    Raises:
        UsageError: a class has no public image.
    """
    missing = set(labels) - set(public.targets.tolist())
    if missing:
        raise UsageError(Code.USAGE, f"no public image of the classes {sorted(missing)}", expected="one at least")
    means = {label: public.inputs[public.targets == label].mean(axis=0) for label in set(labels)}
    return np.stack([means[label] for label in labels]).astype(np.float32)


@dataclass
class _Attack:
    network: nn.Module
    before: Parameters
    after: Parameters
    training: Training
    shared_only: bool
    start: Weights = field(init=False)
    target: Weights = field(init=False)

    def __post_init__(self) -> None:
        self.network = copy.deepcopy(self.network).cpu()
        load(self.network, self.before)
        self.network.train()
        trained = {name: weight for name, weight in self.network.named_parameters() if weight.requires_grad}
        self.start = {name: weight.detach().clone() for name, weight in trained.items()}
        self.target = {
            name: torch.from_numpy(self.after[name].astype(np.float64) - self.before[name]).float() for name in trained
        }
        if not any(bool(part.any()) for part in self.target.values()):
            raise UsageError(Code.USAGE, "the increment is zero", expected="a model that was trained")

    def descend(self, shape: Shape, how: Search, first: NDArray[np.float32] | None) -> tuple[float, Rebuilt]:
        """One search from random images: the objective reached, and the images."""
        wanted = (len(self.training.labels), *shape)
        if first is None:
            images = torch.rand(wanted)
        elif first.shape == wanted:
            # Records of one class begin alike, and would stay so.
            images = (torch.from_numpy(first.copy()) + _STIR * torch.randn(wanted)).clamp(0, 1)
        else:
            raise UsageError(Code.USAGE, f"first images of shape {first.shape}", expected=f"{wanted}")
        images.requires_grad_()
        optimizer = torch.optim.Adam([images], lr=how.rate)
        at = [int(part * how.iterations) for part in _DECAYS]
        schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, at, gamma=0.1)
        best, objective, distance = images.detach().clone(), np.inf, np.inf
        for _ in range(how.iterations):
            apart = self.distance(images)
            whole = apart + how.variation * _variation(images)
            reached = whole.item()
            if reached < objective:
                best, objective, distance = images.detach().clone(), reached, apart.item()
            (images.grad,) = (part.sign() for part in torch.autograd.grad(whole, [images]))
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                images.clamp_(0, 1)
        return objective, Rebuilt(best.numpy(), distance)

    def distance(self, images: torch.Tensor) -> torch.Tensor:
        """1 less the cosine of the increment and the simulated one."""
        moved = self.increment(images)
        if self.shared_only:
            moved = {name: part * (self.target[name] != 0) for name, part in moved.items()}
        dot = sum((moved[name] * part).sum() for name, part in self.target.items())
        square = sum((part**2).sum() for part in moved.values())
        wanted = sum((part**2).sum() for part in self.target.values())
        return 1 - dot / (torch.as_tensor(square * wanted).sqrt() + 1e-20)

    def increment(self, images: torch.Tensor) -> Weights:
        """What the supposed training makes of these images; gradients flow through all of its steps."""
        weights = {name: part.clone().requires_grad_() for name, part in self.start.items()}
        labels = torch.tensor(self.training.labels)
        squares: Mapping[str, torch.Tensor] = {name: torch.zeros_like(part) for name, part in weights.items()}
        steps = dict(squares)
        for batch in self.training.batches:
            chosen = torch.tensor(batch)
            outputs = functional_call(self.network, weights, (images[chosen],))
            slopes = torch.autograd.grad(
                functional.cross_entropy(outputs, labels[chosen]),
                list(weights.values()),
                create_graph=True,
                materialize_grads=True,
            )
            by_name = dict(zip(weights, slopes, strict=True))
            if self.training.optimizer == "adadelta":
                squares = {name: _RHO * squares[name] + (1 - _RHO) * slope**2 for name, slope in by_name.items()}
                by_name = {
                    name: slope * (steps[name] + _EPS).sqrt() / (squares[name] + _EPS).sqrt()
                    for name, slope in by_name.items()
                }
                steps = {name: _RHO * steps[name] + (1 - _RHO) * step**2 for name, step in by_name.items()}
            weights = {name: part - self.training.learning_rate * by_name[name] for name, part in weights.items()}
        return {name: part - self.start[name] for name, part in weights.items()}


def _variation(images: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of neighbouring pixels."""
    across = (images[..., 1:] - images[..., :-1]).abs().mean()
    return across + (images[..., 1:, :] - images[..., :-1, :]).abs().mean()
