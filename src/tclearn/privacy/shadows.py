"""Membership inference against increments: shadow models by the product's own trainer, and a control.

Every model is one increment from the same start over a random half of a pool of records. Each is the target once, with
all others as its shadows: the attacker knows the start, the recipe, and records of the same kind as the member's. The
halves are drawn one by one and not balanced over the models: else the others would betray the target's half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tclearn.errors import Code, UsageError
from tclearn.learning.drawing import derived
from tclearn.learning.parameters import Parameters
from tclearn.learning.records import Records
from tclearn.learning.trainer import LocalData, Recipe, Task, Work
from tclearn.learning.trainers.torch_tensors import forward, input_tensor, load
from tclearn.privacy.membership import confidence, likelihood_ratios
from tclearn.privacy.roc import Curve, auc, curve

SHADOWS = 12
CONTROLS = 4


@dataclass(frozen=True, slots=True)
class Attacked:
    """What membership inference found.

    Attributes:
        members: the likelihood-ratio attack on models that have half of the pool.
        control: the same attack on models that have none of it, with halves that mean nothing: .5 if all is well.
        threshold_auc: of simply calling confident records members.
        accuracy_in: mean over the models, on the records that they were trained on.
        accuracy_out: on the other half of the pool.
    """

    members: Curve
    control: Curve
    threshold_auc: float
    accuracy_in: float
    accuracy_out: float


def attacked(
    recipe: Recipe,
    task: Task,
    pool: Records,
    others: Records,
    *,
    seed: int,
    start: Parameters | None = None,
    shadows: int = SHADOWS,
    controls: int = CONTROLS,
) -> Attacked:
    """Train models and attack them.

    Args:
        recipe: a ``TorchTrainer``.
        task: its share that is put aside and its step search are left out.
        pool: images or rows with class numbers, all different and none of them in G; half of them for each model.
        others: for the control models: at least half as many as the pool, none of them in it.
        seed: decides everything.
        start: M_i, from which the increments are made; ``None``: M_0, untrained.
        shadows: models that the attacker compares with.
        controls: models without records of the pool. With r records in the pool the control's standard error is about
            1 / √(3 · r · controls).

    Raises:
        UsageError: too few shadow models or records.
        DataError: the records cannot be trained on.
    """
    half = len(pool) // 2
    if shadows < 2 or controls < 1 or half < 1 or len(others) < half:
        raise UsageError(
            Code.USAGE,
            f"{shadows} shadow models, {controls} controls, {len(pool)} records and {len(others)} others",
            expected=f"2 shadow models, 1 control, 2 records, and {half} others",
        )
    alone = replace(task, local_share=0, step_search="none")
    random = np.random.Generator(np.random.Philox(derived(seed, "halves")))
    halves = np.zeros((shadows + 1 + controls, len(pool)), dtype=np.bool_)
    for row in halves:
        row[random.permutation(len(pool))[:half]] = True
    trained_on, meaningless = halves[: shadows + 1], halves[shadows + 1 :]
    parts = [pool.take(np.flatnonzero(row)) for row in trained_on]
    parts += [others.take(random.permutation(len(others))[:half]) for _ in range(controls)]
    logits = _logits(recipe, alone, parts, pool, seed, start)
    sure = np.array([confidence(each, pool.targets) for each in logits])
    shadow, unrelated = sure[: shadows + 1], sure[shadows + 1 :]
    scores = []
    for number, target in enumerate(shadow):
        rest = np.arange(len(shadow)) != number
        scores.append(likelihood_ratios(shadow[rest], trained_on[rest], target))
    controlled = [likelihood_ratios(shadow[:-1], trained_on[:-1], target) for target in unrelated]
    right = np.array([each.argmax(axis=1) == pool.targets for each in logits[: shadows + 1]])
    return Attacked(
        members=curve(np.array(scores), trained_on, seed=seed),
        control=curve(np.array(controlled), meaningless, seed=seed),
        threshold_auc=auc(shadow, trained_on),
        accuracy_in=float(right[trained_on].mean()),
        accuracy_out=float(right[~trained_on].mean()),
    )


def _logits(
    recipe: Recipe, task: Task, parts: Sequence[Records], pool: Records, seed: int, start: Parameters | None
) -> list[NDArray[Any]]:
    network = task.model(**task.arguments)
    inputs = input_tensor(network, torch.device("cpu"), pool.inputs)
    made = []
    for number, part in enumerate(parts):
        trainer = recipe.bind(task, LocalData(part))
        before = trainer.initial(seed) if start is None else start
        contribution = trainer.train(before, Work(derived(seed, f"model {number}"), {}, frozenset()))
        if contribution is None or len(contribution.data_ids) != len(part):
            raise UsageError(
                Code.USAGE, "records that are tested on, or twice there", expected="new and different records"
            )
        load(network, contribution.parameters)
        network.eval()
        made.append(forward(network, inputs, "the pool").numpy())
    return made
