"""Membership inference: figures against hand-made ones, members of an overfit model found, the control at one half."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.learning.tables import FEATURES, network, table
from tests.privacy.pictures import some, task

from tclearn.coalition.terms import PrivacyTerms
from tclearn.errors import UsageError
from tclearn.learning.records import Records
from tclearn.learning.trainer import Task
from tclearn.learning.trainers.torch import TorchTrainer
from tclearn.privacy.increments import made
from tclearn.privacy.membership import confidence, likelihood_ratios
from tclearn.privacy.roc import auc, curve, true_positives
from tclearn.privacy.shadows import Attacked, attacked


def test_confidence_is_the_log_odds_of_the_right_class() -> None:
    logits, targets = np.log([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]), np.array([0, 1])
    assert confidence(logits, targets) == pytest.approx([0, math.log(0.1 / 0.9)])
    assert confidence(logits + 700, targets) == pytest.approx([0, math.log(0.1 / 0.9)])
    assert confidence(np.array([[1000.0, 0.0]]), np.array([0])) == pytest.approx([1000])
    for wrong in (np.zeros((2, 1)), np.zeros(2), np.zeros((3, 2))):
        with pytest.raises(UsageError, match="two classes at least"):
            confidence(wrong, np.zeros(2, np.int64))


def test_likelihood_ratios_are_those_of_two_normal_distributions() -> None:
    shadows = np.array([[2.0, 5.0], [4.0, 1.0], [0.0, 1.0], [-2.0, 3.0]])
    trained_on = np.array([[1, 1], [1, 0], [0, 0], [0, 0]], dtype=np.bool_)
    # Deviations from each record's own mean: with it ±1 (one degree of freedom); without ±1, and -2/3 -2/3 4/3 (three).
    mean, variance = (np.array([3, 5]), np.array([-1, 5 / 3])), (2 / 1, (2 + 24 / 9) / 3)
    target = np.array([1.5, 2.0])

    def log_density(which: int) -> NDArray[np.float64]:
        density: NDArray[np.float64] = -0.5 * ((target - mean[which]) ** 2 / variance[which] + np.log(variance[which]))
        return density

    assert likelihood_ratios(shadows, trained_on, target) == pytest.approx(log_density(0) - log_density(1))


def test_a_record_that_no_shadow_model_has_is_undecided() -> None:
    random = np.random.default_rng(1)
    trained_on = np.array([[0, 1], [0, 1], [0, 0], [0, 0]], dtype=np.bool_)
    scores = likelihood_ratios(random.random((4, 2)), trained_on, random.random(2))
    assert scores[0] == 0 != scores[1]
    with pytest.raises(UsageError, match="enough for two of them to share records"):
        likelihood_ratios(random.random((2, 3)), np.array([[1, 1, 1], [0, 0, 0]], dtype=np.bool_), random.random(3))
    with pytest.raises(UsageError, match="memberships of shape"):
        likelihood_ratios(random.random((4, 2)), trained_on, random.random(3))


def test_area_and_true_positives_are_counted() -> None:
    scores = np.array([[3.0, 2.0, 2.0, 1.0, 0.0]])
    members = np.array([[1, 1, 0, 0, 0]], dtype=np.bool_)
    pairs = [(a > b) + (a == b) / 2 for a in scores[members] for b in scores[~members]]
    assert auc(scores, members) == pytest.approx(np.mean(pairs))
    assert true_positives(scores, members, 0.01) == 0.5  # above the highest of the others
    assert true_positives(scores, members, 0.4) == 1
    assert auc(np.zeros((1, 5)), members) == 0.5
    with pytest.raises(UsageError, match="0 members of 5"):
        auc(scores, np.zeros((1, 5), np.bool_))
    with pytest.raises(UsageError, match="a score is NaN"):
        curve(scores * np.nan, members)
    with pytest.raises(UsageError, match="expected two arrays"):
        curve(scores, members[:, :3])


def test_intervals_hold_the_truth_and_shrink_with_more_records() -> None:
    def drawn(records: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        random = np.random.default_rng(4)
        members = random.random((2, records)) < 0.5
        return random.standard_normal((2, records)) + members, members

    truth = 0.5 * (1 + math.erf(0.5))  # of two normal distributions, one deviation apart
    few, many = curve(*drawn(100)), curve(*drawn(2000))
    for each in (few, many):
        assert each.auc.low < truth < each.auc.high
        assert each.auc.low < each.auc.value < each.auc.high and each.tpr.low <= each.tpr.value <= each.tpr.high
    assert many.auc.high - many.auc.low < (few.auc.high - few.auc.low) / 3
    assert curve(*drawn(100)) == few != curve(*drawn(100), seed=1)


def noisy(count: int, seed: int) -> Records:
    """Labels that have nothing to do with the inputs can only be learned by heart."""
    inputs = table(count, seed).inputs
    return Records(inputs, np.random.default_rng(seed).integers(0, 2, count))


LEARNS_BY_HEART = {"features": FEATURES, "hidden": 128, "classes": 2}


def overfit(*, epochs: int = 40, privacy: PrivacyTerms | None = None, **changes: Any) -> Attacked:
    tiny = Task(
        model=network,
        arguments=LEARNS_BY_HEART,
        metric="accuracy",
        global_test=table(40, seed=99),
        privacy=privacy,
        seeded_noise=True,
    )
    recipe = TorchTrainer(optimizer=torch.optim.Adam, learning_rate=0.02, epochs=epochs)
    given = {"pool": noisy(80, 1), "others": noisy(80, 2), "shadows": 12, "controls": 20, **changes}
    return attacked(recipe, tiny, **given, seed=1)


def test_members_of_a_model_that_learned_by_heart_are_found_and_the_control_finds_nothing() -> None:
    found = overfit()
    assert found.accuracy_in > found.accuracy_out + 0.2
    assert found.members.auc.low > 0.6
    # The standard error is 1 / √(3 · 80 · 20) = .014.
    assert abs(found.control.auc.value - 0.5) < 0.045
    assert found.threshold_auc < found.members.auc.value


def test_the_same_seed_gives_the_same_figures() -> None:
    one, two = (overfit(epochs=2, shadows=2, controls=1) for _ in range(2))
    assert one == two


def test_an_increment_of_a_model_at_hand_is_what_is_attacked() -> None:
    given = task()
    start = made(TorchTrainer(epochs=2), given, some(0, 100), seed=1).after
    pool, others = some(100, 20), some(200, 20)
    found = [
        attacked(TorchTrainer(epochs=1), given, pool, others, seed=1, start=each, shadows=3, controls=1)
        for each in (start, None)
    ]
    assert found[0].accuracy_out > found[1].accuracy_out + 0.2


def test_noise_hides_members() -> None:
    pytest.importorskip("opacus")
    terms = PrivacyTerms("example", clip_ppm=1_000_000, noise_ppm=5_000_000, delta_ppt=10_000_000)
    found = overfit(privacy=terms, epochs=5, controls=1)
    # 13 scores of each of 80 records: the standard error is below .02 were they independent.
    assert abs(found.members.auc.value - 0.5) < 0.08


def test_attacks_that_cannot_be() -> None:
    for changes in ({"shadows": 1}, {"controls": 0}, {"pool": noisy(1, 1)}, {"others": noisy(39, 2)}):
        with pytest.raises(UsageError, match="expected 2 shadow models, 1 control, 2 records"):
            overfit(**changes)
    twice = noisy(40, 1)
    with pytest.raises(UsageError, match="expected new and different records"):
        overfit(pool=Records(np.tile(twice.inputs, (2, 1)), np.tile(twice.targets, 2)), epochs=1)
