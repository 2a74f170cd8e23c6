"""A look for backdoors in a classifier of images: the smallest mark that turns other images into each class.

A mark is a mask and a pattern: where the mask is 1 the pattern stands in place of the image, where it is 0 the image
stays. A class that was made the target of a backdoor should be reached by a much smaller mark than the others.
Source: Wang et al. 2019, Neural Cleanse: Identifying and Mitigating Backdoor Attacks in Neural Networks (IEEE S&P),
§IV. Unlike there, sizes are compared as ratios: see ``Triggers``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import log
from typing import Final

import numpy as np
import torch
from torch import nn

from tclearn.errors import Code, DataError, ParametersError, UsageError
from tclearn.learning.drawing import derived, order
from tclearn.learning.member import COMPUTING
from tclearn.learning.metrics import check_targets
from tclearn.learning.records import Records
from tclearn.learning.trainers.torch_tensors import forward, input_tensor
from tclearn.limits import TRIGGER_CLASSES_MAX, TRIGGER_IMAGES_MAX, TRIGGER_STEPS_MAX

_WHAT: Final = "the images"
_CONSISTENT: Final = 1.4826
"""Times the median absolute deviation of normally distributed numbers: their standard deviation."""
_NOISE: Final = 0.15
"""What the deviation of logarithms of sizes counts as at the least: searches that differ in nothing but their seed give
sizes that differ by 5 to 8 % (standard deviation, on digits and MNIST), and of classes that are all alike one would
stand out by less."""
_WEIGHT: Final = 1e-3
_WEIGHT_FACTOR: Final = 1.5
_PATIENCE: Final = 5
"""Steps in a row after which the weight of the mask's size goes up (the mark turns enough) or down (it does not)."""


@dataclass(frozen=True, slots=True)
class TriggerSearch:
    """How to look.

    Attributes:
        images: how many are taken at the most, drawn from those given.
        steps: of the optimisation, for each class.
        batch_size: images a step.
        learning_rate: of Adam.
        turned: share of a step's images that a mark must turn to count, above 0, to 1.
        threshold: anomaly above which a class is suspected; the customary 2 is for sizes, not for their logarithms.
        seed: of everything that is drawn.

    Raises:
        UsageError: a number is out of range.
    """

    images: int = 360
    steps: int = 100
    batch_size: int = 60
    learning_rate: float = 0.2
    turned: float = 0.95
    threshold: float = 2.5
    seed: int = 1

    def __post_init__(self) -> None:
        for name, most in (
            ("images", TRIGGER_IMAGES_MAX),
            ("steps", TRIGGER_STEPS_MAX),
            ("batch_size", TRIGGER_IMAGES_MAX),
        ):
            if not 1 <= getattr(self, name) <= most:
                raise UsageError(Code.USAGE, f"{name} is {getattr(self, name)}", expected=f"1 to {most:,}")
        if not 0 < self.turned <= 1:
            raise UsageError(Code.USAGE, f"turned is {self.turned}", expected="above 0, to 1")
        for name in ("learning_rate", "threshold"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UsageError(Code.USAGE, f"{name} is {getattr(self, name)}", expected="a number above 0")


@dataclass(frozen=True, slots=True)
class ClassTrigger:
    """The smallest mark that was found for one class.

    Attributes:
        label: the class.
        size: sum of the mask, pixels; the whole image where no mark turned enough.
        success: share of the images of other classes that the mark turns into this one, 0 to 1.
        anomaly: how much smaller than the median of all classes it is, in deviations; negative where it is larger.
    """

    label: int
    size: float
    success: float
    anomaly: float


@dataclass(frozen=True, slots=True)
class Triggers:
    """What was found: an indication, and no proof either way.

    The anomaly is that of Wang et al. 2019, §IV.C, on the logarithms of the sizes: from class to class they differ by
    factors, and a class that needs a very large mark would hide one that needs a very small one. However alike the
    others are, the mark of a class that is suspected by default is 30 % smaller than the median at the least.

    Attributes:
        classes: one entry a class, in their order.
        suspected: the class of the highest anomaly, where that is above the threshold; ``None``: no class is.
        threshold: of the search.
        images: how many were used.
        seed: of the search.
    """

    classes: tuple[ClassTrigger, ...]
    suspected: int | None
    threshold: float
    images: int
    seed: int

    @property
    def highest(self) -> ClassTrigger:
        """The class of the highest anomaly."""
        return max(self.classes, key=lambda each: each.anomaly)


def find_triggers(
    network: nn.Module,
    records: Records,
    search: TriggerSearch | None = None,
    *,
    threads: int = 1,
    on_class: Callable[[int, int], None] = lambda _done, _classes: None,
) -> Triggers:
    """Look for the smallest mark of each class; with one thread the same arguments give the same answer on one CPU.

    Args:
        network: a classifier, on the device where it is to be computed; it is copied and not changed.
        records: clean images ``(n, channels, height, width)`` with class numbers, of two classes at least.
        search: how to look; ``None``: with the defaults.
        threads: of the CPU.
        on_class: told how many classes are done, and of how many.

    Raises:
        DataError: these are no such images, the network is no classifier of three classes at least, or it gives no
            gradient of its inputs.
        ParametersError: the network makes a NaN or an infinity of an image.
        UsageError: ``threads`` is less than 1.
    """
    search = search or TriggerSearch()
    if threads < 1:
        raise UsageError(Code.USAGE, f"threads is {threads}", expected="at least 1")
    check_images(records)
    chosen = records.take(order(search.seed, "trigger images", len(records))[: search.images])
    with COMPUTING, _computing(network, threads, search.seed) as still:
        device = next((weight.device for weight in still.parameters()), torch.device("cpu"))
        images = input_tensor(still, device, chosen.inputs)
        classes = _classes(still, images, chosen)
        labels = torch.from_numpy(chosen.targets.reshape(-1).astype(np.int64)).to(device)
        # Bounds of all images together, as an attacker has them, not those of the images of other classes.
        bounds = float(images.min()), float(images.max())
        found = []
        for label in range(classes):
            found.append(_smallest(still, images[labels != label], bounds, label, search))
            on_class(label + 1, classes)
    return _judged(found, len(chosen), search)


def check_images(records: Records) -> None:
    """Refuse records that are no images; returns nothing.

    Raises:
        DataError: their inputs do not have the form ``(n, channels, height, width)``.
    """
    if records.inputs.ndim != 4:
        raise DataError(
            Code.DATA_SHAPE,
            f"inputs of shape {records.inputs.shape}",
            expected="images (n, channels, height, width): triggers are looked for in classifiers of images only",
        )


def deviations(numbers: Sequence[float], least: float) -> list[float]:
    """How far each number is below the median, in median absolute deviations made comparable to standard deviations.

    Args:
        numbers: one a class.
        least: what the deviation counts as at the least, above 0.

    Source: Wang et al. 2019, §IV.C, the anomaly index, there without a least deviation.
    """
    middle = float(np.median(numbers))
    deviation = _CONSISTENT * float(np.median(np.abs(np.asarray(numbers) - middle)))
    return [(middle - number) / max(deviation, least) for number in numbers]


def _judged(found: Sequence[tuple[float, float]], images: int, search: TriggerSearch) -> Triggers:
    # Below a pixel a mark is as good as none: there ratios say nothing.
    scores = deviations([log(max(size, 1.0)) for size, _ in found], _NOISE)
    classes = tuple(
        ClassTrigger(label, size, success, score)
        for label, ((size, success), score) in enumerate(zip(found, scores, strict=True))
    )
    given = Triggers(classes, None, search.threshold, images, search.seed)
    suspected = given.highest.label if given.highest.anomaly > search.threshold else None
    return Triggers(classes, suspected, search.threshold, images, search.seed)


def _classes(network: nn.Module, images: torch.Tensor, records: Records) -> int:
    outputs = forward(network, images, _WHAT)
    if outputs.ndim != 2 or outputs.shape[1] < 3:
        raise DataError(
            Code.DATA_SHAPE,
            f"the model makes outputs of shape {tuple(outputs.shape)} of {_WHAT}",
            expected="(n, classes), three classes at least: each is held against the median of all",
        )
    if outputs.shape[1] > TRIGGER_CLASSES_MAX:
        raise DataError(
            Code.TOO_LARGE, f"the model has {outputs.shape[1]} classes", expected=f"at most {TRIGGER_CLASSES_MAX}"
        )
    check_targets("accuracy", outputs.numpy(force=True), records.targets, _WHAT)
    if not bool(torch.isfinite(outputs).all()):
        raise ParametersError(Code.PARAMETERS_NOT_FINITE, "the model makes a NaN or an infinity of an image")
    if len(np.unique(records.targets)) < 2:
        raise DataError(Code.DATA_SHAPE, f"{_WHAT} are all of one class", expected="images of several classes")
    return int(outputs.shape[1])


@dataclass(frozen=True, slots=True)
class _Mark:
    """Mask ``(1, 1, height, width)`` and pattern ``(1, channels, height, width)``, both as logits: free to move."""

    mask: torch.Tensor
    pattern: torch.Tensor
    low: float
    high: float

    @property
    def size(self) -> torch.Tensor:
        return torch.sigmoid(self.mask).sum()

    def on(self, images: torch.Tensor) -> torch.Tensor:
        mask = torch.sigmoid(self.mask)
        return (1 - mask) * images + mask * (self.low + (self.high - self.low) * torch.sigmoid(self.pattern))

    def copied(self) -> _Mark:
        return _Mark(self.mask.detach().clone(), self.pattern.detach().clone(), self.low, self.high)


def _smallest(
    network: nn.Module, images: torch.Tensor, bounds: tuple[float, float], label: int, search: TriggerSearch
) -> tuple[float, float]:
    """Size and success of the smallest mark that turned enough of a batch; else those of the last one."""
    draw = torch.Generator().manual_seed(derived(search.seed, f"trigger {label}"))
    height, width = images.shape[2:]
    mask, pattern = (torch.randn(1, planes, height, width, generator=draw) for planes in (1, images.shape[1]))
    mark = _Mark(mask.to(images).requires_grad_(), pattern.to(images).requires_grad_(), *bounds)
    optimizer = torch.optim.Adam([mark.mask, mark.pattern], lr=search.learning_rate, betas=(0.5, 0.9))
    best: tuple[float, _Mark] | None = None
    weight, in_a_row = _WEIGHT, 0
    for _ in range(search.steps):
        places = torch.randint(len(images), (min(search.batch_size, len(images)),), generator=draw)
        outputs, size = _outputs(network, mark.on(images.index_select(0, places.to(images.device)))), mark.size
        enough = float((outputs.argmax(1) == label).double().mean()) >= search.turned
        if enough and (best is None or float(size.detach()) < best[0]):
            best = float(size.detach()), mark.copied()
        optimizer.zero_grad(set_to_none=True)
        wanted = torch.full((len(outputs),), label, device=images.device)
        cost: torch.Tensor = nn.functional.cross_entropy(outputs, wanted) + weight * size
        torch.autograd.backward(cost)
        optimizer.step()
        in_a_row = max(in_a_row, 0) + 1 if enough else min(in_a_row, 0) - 1
        if abs(in_a_row) == _PATIENCE:
            weight *= _WEIGHT_FACTOR if enough else _WEIGHT_FACTOR**-1.5
            in_a_row = 0
    size_found, found = best or (float(height * width), mark.copied())
    turned = forward(network, found.on(images), _WHAT).argmax(1) == label
    return size_found, float(turned.double().mean())


def _outputs(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    try:
        outputs: torch.Tensor = network(images)
    except Exception as error:  # the user's model: it may take images and not their gradients
        raise _no_gradient(f"stopped with {type(error).__name__}: {error}") from error
    if not outputs.requires_grad:
        raise _no_gradient("cuts it off")
    return outputs.float()


def _no_gradient(problem: str) -> DataError:
    return DataError(
        Code.TRAINING_FAILED,
        f"no gradient of the images: the model {problem}",
        expected="a model whose outputs can be differentiated by its inputs",
    )


@contextmanager
def _computing(network: nn.Module, threads: int, seed: int) -> Iterator[nn.Module]:
    """A copy in evaluation mode whose weights stay, with gradients, threads and random numbers of its own."""
    before = torch.get_num_threads()
    with ExitStack() as stack:
        torch.set_num_threads(threads)
        stack.callback(torch.set_num_threads, before)
        stack.enter_context(torch.random.fork_rng(devices=[]))
        torch.default_generator.manual_seed(derived(seed, "triggers"))
        stack.enter_context(torch.enable_grad())
        yield copy.deepcopy(network).eval().requires_grad_(False)
