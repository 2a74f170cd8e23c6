"""Increments to attack: made by the product's own trainer, with all that an attacker could at best know of them.

A member's batches are drawn with a secret of its own. Here the attacker is given them, and the labels: what cannot be
rebuilt with these cannot be rebuilt by the same search without.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from tclearn.errors import Code, UsageError
from tclearn.learning.data_ids import data_ids
from tclearn.learning.drawing import derived
from tclearn.learning.parameters import Parameters
from tclearn.learning.records import Records
from tclearn.learning.trainer import LocalData, Task, Work
from tclearn.learning.trainers.torch import TorchTrainer
from tclearn.learning.trainers.torch_learner import MILLION
from tclearn.learning.trainers.torch_tensors import drawn
from tclearn.privacy.inversion import Training

_NAMES = {torch.optim.SGD: "sgd", torch.optim.Adadelta: "adadelta"}


@dataclass(frozen=True, slots=True, eq=False)
class Increment:
    """One contribution, from both sides.

    Attributes:
        before: M_i.
        after: M_{i+1}.
        records: those that were trained on, in the order in which ``training`` numbers them; the attacker's aim.
        training: what was done with them.
    """

    before: Parameters
    after: Parameters
    records: Records
    training: Training


def made(recipe: TorchTrainer, task: Task, records: Records, seed: int, start: Parameters | None = None) -> Increment:
    """What a member with these records would offer, if all of them were in its next contribution.

    Args:
        recipe: with ``torch.optim.SGD`` (no momentum) or ``torch.optim.Adadelta``.
        task: its share that is put aside and its step search are left out. With a mechanism of differential privacy
            the batches that are told are not those that were drawn.
        records: images and class numbers, all different and none of them in G.
        seed: of M_0 and of the member's training.
        start: M_i; ``None``: M_0, untrained.

    Raises:
        UsageError: the optimizer is another one.
        DataError: the records cannot be trained on.
    """
    if recipe.optimizer not in _NAMES:
        raise UsageError(
            Code.USAGE, f"the optimizer {recipe.optimizer!r}", expected="torch.optim.SGD or torch.optim.Adadelta"
        )
    trainer = recipe.bind(replace(task, local_share=0, step_search="none"), LocalData(records))
    before = trainer.initial(seed) if start is None else start
    contribution = trainer.train(before, Work(seed, {}, frozenset()))
    if contribution is None or len(contribution.data_ids) != len(records):
        raise UsageError(Code.USAGE, "records that are tested on, or twice there", expected="new and different records")
    ids = data_ids(records, task.data_key)
    ordered = records.take(sorted(range(len(records)), key=ids.__getitem__))
    known = recipe.hyperparameters()
    shuffling = torch.Generator().manual_seed(derived(seed, "shuffle"))
    taken = tuple(tuple(batch.tolist()) for batch in drawn(len(records), known, shuffling))
    labels = tuple(int(label) for label in ordered.targets)
    training = Training(labels, taken, _NAMES[recipe.optimizer], known["learning_rate"] / MILLION)
    return Increment(before, contribution.parameters, ordered, training)


def shared(increment: Increment, share: float) -> Increment:
    """Only the largest changes, the others set back to M_i: selective sharing.

    Source: Shokri and Shmatikov 2015, "Privacy-Preserving Deep Learning", §5, without its noise.

    Args:
        increment: with floating-point tensors.
        share: of the weights of all tensors together that is shared, above 0 to 1.
    """
    if not 0 < share <= 1:
        raise UsageError(Code.USAGE, f"a share of {share}", expected="above 0, up to 1")
    changes = _changes(increment)
    sizes = np.concatenate([np.abs(change).ravel() for change in changes.values()])
    count = max(1, round(share * len(sizes)))
    least = np.partition(sizes, len(sizes) - count)[len(sizes) - count]
    return _with(increment, {name: np.where(np.abs(change) >= least, change, 0) for name, change in changes.items()})


def noised(increment: Increment, clip_norm: float, deviation: float, seed: int) -> Increment:
    """The increment scaled down to a norm, and Gaussian noise on every weight.

    Args:
        increment: with floating-point tensors.
        clip_norm: Euclidean norm of all its tensors together that it may have at most.
        deviation: standard deviation of the noise, in units of ``clip_norm``.
        seed: of the noise: this is an experiment, and protects nobody.
    """
    if not (clip_norm > 0 and deviation >= 0):
        raise UsageError(
            Code.USAGE, f"a norm of {clip_norm} and a deviation of {deviation}", expected="above 0, and 0 at least"
        )
    changes = _changes(increment)
    norm = float(np.sqrt(sum(float((change**2).sum()) for change in changes.values())))
    scale = min(1.0, clip_norm / norm) if norm else 1.0
    random = np.random.Generator(np.random.Philox(derived(seed, "privacy noise")))
    return _with(
        increment,
        {
            name: scale * change + clip_norm * deviation * random.standard_normal(change.shape)
            for name, change in changes.items()
        },
    )


def _changes(increment: Increment) -> dict[str, NDArray[np.float64]]:
    return {
        name: tensor.astype(np.float64) - increment.before[name]
        for name, tensor in increment.after.items()
        if tensor.dtype.kind == "f"
    }


def _with(increment: Increment, changes: dict[str, NDArray[np.float64]]) -> Increment:
    before = increment.before
    moved = {name: (before[name] + change).astype(before[name].dtype) for name, change in changes.items()}
    return replace(increment, after=Parameters({**increment.after, **moved}))
