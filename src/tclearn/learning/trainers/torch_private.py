"""DP-SGD for PyTorch networks (Abadi et al. 2016, Algorithm 1): clipped gradients of single records, Gaussian noise.

Opacus gives the gradient of every record, clips and adds them up, and drives the optimizer. Which records a step takes,
and its noise, are drawn here: Opacus takes them from PyTorch's generators, which are no source of secrets, or from
torchcsprng, which is not maintained.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import ceil, prod
from typing import Any, Final

import torch
from torch import nn

from tclearn.coalition.privacy import PrivacyEvent
from tclearn.coalition.terms import PrivacyTerms
from tclearn.errors import CharterError, Code, UsageError
from tclearn.learning.noise import Noise

_MILLION: Final = 1_000_000
_GRADIENT_BYTES: Final = 256 << 20
"""The gradients of single records that are in memory at once: a step is divided where it needs more."""

Loss = Callable[[Any, Any], Any]


def check_network(network: nn.Module) -> None:
    """Refuse a network in which one record's gradient depends on the others, or cannot be had.

    Raises:
        CharterError: it has such a module; the message names it.
        UsageError: Opacus is not installed.
    """
    with _opacus():
        from opacus import GradSampleModule
        from opacus.validators import ModuleValidator

        training = network.training
        try:
            faults = [*ModuleValidator.validate(network.train()), *GradSampleModule.validate(network)]
        finally:
            network.train(training)
    if not any(weight.requires_grad for weight in network.parameters()):
        raise _unsuited("a network without anything to train")
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise _unsuited(f"a network that DP-SGD cannot train: {' '.join(str(faults[0]).split())}{more}")


def train(
    network: nn.Module,
    optimizer: Callable[..., torch.optim.Optimizer],
    loss: Loss,
    inputs: torch.Tensor,
    targets: torch.Tensor,
    known: Mapping[str, int],
    terms: PrivacyTerms,
    noise: Noise,
) -> PrivacyEvent:
    """Train a network in place, ``steps`` or else ``epochs`` · ⌈n / ``batch_size``⌉ steps.

    Each step takes each record by itself with probability ``batch_size`` / n, so that some take more records than
    others, or none.

    Args:
        network: in training mode.
        optimizer: as ``TorchTrainer`` has it.
        loss: of outputs and targets; called for one record at a time, so that no other record has a part in it.
        inputs: of n records.
        targets: of the same.
        known: ``steps`` or ``epochs``, ``batch_size``, and ``learning_rate`` in millionths.
        terms: the charter's, of the mechanism ``example``.
        noise: where the random numbers come from.

    Returns:
        What was done.
    """
    count = len(inputs)
    batch = min(known["batch_size"], count)
    steps = known["steps"] if "steps" in known else known["epochs"] * ceil(count / batch)
    with _opacus():
        from opacus import GradSampleModule

        watched = GradSampleModule(network, loss_reduction="mean")
        trained = [weight for weight in network.parameters() if weight.requires_grad]
        made = optimizer(trained, lr=known["learning_rate"] / _MILLION)
        noisy = _optimizer(made, terms, batch, noise)
        size = max(1, _GRADIENT_BYTES // max(1, sum(weight.numel() * weight.element_size() for weight in trained)))
        for _ in range(steps):
            taken = torch.from_numpy(noise.chosen(count, batch, count)).to(inputs.device)
            parts = torch.split(taken, size) if len(taken) else (taken,)
            for number, part in enumerate(parts):
                noisy.signal_skip_step(do_skip=number < len(parts) - 1)
                _gradients(watched, trained, loss, inputs.index_select(0, part), targets.index_select(0, part))
                noisy.step()
                noisy.zero_grad()
        watched.remove_hooks()
    return PrivacyEvent(
        mechanism=terms.mechanism,
        clip_ppm=terms.clip_ppm,
        noise_ppm=terms.noise_ppm,
        delta_ppt=terms.delta_ppt,
        records=count,
        batch=batch,
        steps=steps,
    )


def _gradients(
    watched: nn.Module, trained: list[nn.Parameter], loss: Loss, inputs: torch.Tensor, targets: torch.Tensor
) -> None:
    if len(inputs) == 0:
        for weight in trained:
            weight.grad_sample = weight.new_zeros((0, *weight.shape))  # type: ignore[attr-defined]
        return
    outputs = watched(inputs)
    losses = [loss(outputs[at : at + 1], targets[at : at + 1]) for at in range(len(inputs))]
    # Opacus multiplies by the number of records what it takes for the gradient of a mean.
    torch.autograd.backward(torch.stack(losses).mean())
    for weight in trained:
        if getattr(weight, "grad_sample", None) is None:  # not used by this batch's computation
            weight.grad_sample = weight.new_zeros((len(inputs), *weight.shape))  # type: ignore[attr-defined]


def _optimizer(made: torch.optim.Optimizer, terms: PrivacyTerms, batch: int, noise: Noise) -> Any:
    from opacus.optimizers import DPOptimizer

    class Noisy(DPOptimizer):  # type: ignore[misc] # Opacus has no types
        """Opacus' optimizer with noise of ours."""

        def add_noise(self) -> None:
            """Add to each sum of clipped gradients numbers of deviation σ · C."""
            deviation = self.noise_multiplier * self.max_grad_norm
            for weight in self.params:
                drawn = torch.from_numpy(noise.normal(prod(weight.shape)) * deviation)
                weight.grad = (weight.summed_grad + drawn.to(weight).view_as(weight)).view_as(weight)

    return Noisy(
        made,
        noise_multiplier=(terms.noise_ppm or 0) / _MILLION,
        max_grad_norm=terms.clip_ppm / _MILLION,
        expected_batch_size=batch,
        loss_reduction="mean",
    )


@contextmanager
def _opacus() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what Opacus imports and how it hooks into modules
        try:
            import opacus  # noqa: F401
        except ImportError as error:
            raise UsageError(
                Code.USAGE,
                "the charter asks for privacy by example, and Opacus is not installed",
                remedy='pip install "tclearn[dp]"',
            ) from error
        yield


def _unsuited(what: str) -> CharterError:
    return CharterError(
        Code.CHARTER_MODEL,
        what,
        expected="modules that treat each record by itself",
        remedy="replace BatchNorm by GroupNorm or LayerNorm, and write other modules without state of their own",
    )
