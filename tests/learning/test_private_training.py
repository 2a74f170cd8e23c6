"""DP-SGD: clipped gradients of single records, noise of the stated size, from where the task says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from tests.learning.tables import network, table, task, with_everything, work
from torch import nn

from tclearn.coalition.privacy import PrivacyEvent
from tclearn.coalition.terms import PrivacyTerms
from tclearn.errors import CharterError, Code, DataError, UsageError
from tclearn.learning.noise import Noise
from tclearn.learning.trainer import Contribution, LocalData
from tclearn.learning.trainers.torch import TorchTrainer

pytest.importorskip("opacus")

TERMS = PrivacyTerms("example", 1_000_000, noise_ppm=1_100_000, delta_ppt=10**7, epsilon_max_ppm=8_000_000)
SHOKRI = PrivacyTerms("shokri", 10_000, share_ppm=100_000, selection="random", threshold_ppm=0, epsilon_ppm=10**6)
SGD = TorchTrainer(optimizer=torch.optim.SGD, epochs=3, batch_size=16, learning_rate=0.1)


def contributed(recipe: TorchTrainer = SGD, *, records: Any = None, seed: int = 1, **changes: Any) -> Contribution:
    records = table(100) if records is None else records
    given = {"local_share": 0, "step_search": "none", "privacy": TERMS, "seeded_noise": True, **changes}
    trainer = recipe.bind(task(**given), LocalData(records))
    contribution = trainer.train(trainer.initial(7), work(seed))
    assert contribution is not None
    return contribution


def moved(contribution: Contribution, recipe: TorchTrainer = SGD, **changes: Any) -> np.ndarray:
    start = recipe.bind(task(**changes), LocalData(None)).initial(7)
    return np.concatenate([(contribution.parameters[name] - start[name]).ravel() for name in start])


def test_the_event_says_what_was_done() -> None:
    assert contributed().privacy == PrivacyEvent(
        "example", 1_000_000, noise_ppm=1_100_000, delta_ppt=10**7, records=100, batch=16, steps=3 * 7
    )
    small = contributed(records=table(10)).privacy
    assert small is not None and (small.records, small.batch, small.steps) == (10, 10, 3)
    assert contributed(privacy=None).privacy is None


def test_put_aside_records_are_not_counted_as_trained() -> None:
    contribution = contributed(local_share=300_000)
    assert contribution.privacy is not None
    assert contribution.privacy.records == len(contribution.data_ids) - contribution.set_aside < 100


def test_seeded_noise_repeats_and_the_systems_does_not() -> None:
    assert contributed().parameters == contributed().parameters
    assert contributed(seed=2).parameters != contributed().parameters
    for terms in (TERMS, SHOKRI):
        first, second = (contributed(privacy=terms, seeded_noise=False) for _ in range(2))
        assert first.parameters != second.parameters


def test_without_gradients_there_is_noise_alone_of_the_stated_size() -> None:
    # Of no records a loss that is always 0: one step moves each weight by rate · σ · C · N(0, 1) / batch.
    recipe = TorchTrainer(
        optimizer=torch.optim.SGD, loss=lambda outputs, _: outputs.sum() * 0.0, epochs=1, batch_size=50, learning_rate=1
    )
    wide: dict[str, Any] = {"model": network, "arguments": {"hidden": 2000}}
    terms = PrivacyTerms("example", 500_000, noise_ppm=3_000_000, delta_ppt=10**7, epsilon_max_ppm=8_000_000)
    change = moved(contributed(recipe, records=table(50), privacy=terms, **wide), recipe, **wide)
    assert np.std(change) == pytest.approx(3.0 * 0.5 / 50, rel=0.02)
    assert abs(np.mean(change)) < 5 * 3.0 * 0.5 / 50 / np.sqrt(len(change))


@contextmanager
def no_noise() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setattr(Noise, "normal", lambda self, count: np.zeros(count))
    patch.setattr(Noise, "chosen", lambda self, count, part, whole: np.arange(count))
    try:
        yield
    finally:
        patch.undo()


def test_a_records_part_in_a_step_is_at_most_the_bound() -> None:
    recipe = TorchTrainer(optimizer=torch.optim.SGD, epochs=1, batch_size=100, learning_rate=1)
    bound = 0.01
    terms = PrivacyTerms("example", int(bound * 1e6), noise_ppm=10**6, delta_ppt=10**7, epsilon_max_ppm=10**6)
    with no_noise():
        records = table(100)
        all_of_them = moved(contributed(recipe, records=records, privacy=terms), recipe)
        without_one = moved(contributed(recipe, records=records.take(np.arange(99)), privacy=terms), recipe)
    # Each record's gradient is longer than the bound, so that one moves the sum by just the bound.
    norm = np.linalg.norm(all_of_them * 100 - without_one * 99)
    assert norm == pytest.approx(bound, rel=0.01)


def test_without_noise_and_a_wide_bound_it_is_plain_gradient_descent() -> None:
    recipe = TorchTrainer(optimizer=torch.optim.SGD, epochs=5, batch_size=100, learning_rate=0.1)
    wide = PrivacyTerms("example", 10**12, noise_ppm=10**6, delta_ppt=10**7, epsilon_max_ppm=10**6)
    with no_noise():
        private = contributed(recipe, privacy=wide).parameters
    plain = contributed(recipe, privacy=None).parameters
    for name in plain:
        assert np.allclose(private[name], plain[name], atol=1e-5)


def test_large_steps_are_divided_without_another_result(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = contributed().parameters
    monkeypatch.setattr("tclearn.learning.trainers.torch_private._GRADIENT_BYTES", 2000)
    divided = contributed().parameters
    for name in whole:
        assert np.allclose(whole[name], divided[name], atol=1e-6)


def test_steps_without_records_add_noise_alone() -> None:
    recipe = TorchTrainer(optimizer=torch.optim.SGD, epochs=1, batch_size=1, learning_rate=0.01)
    contribution = contributed(recipe, records=table(30))
    assert contribution.privacy is not None and contribution.privacy.steps == 30
    assert np.isfinite(moved(contribution, recipe)).all()


def test_networks_whose_records_mix_are_refused_before_training() -> None:
    with pytest.raises(CharterError, match=r"a network that DP-SGD cannot train: .*BatchNorm") as caught:
        TorchTrainer().bind(task(model=with_everything, privacy=TERMS, step_search="none"), LocalData(None))
    assert caught.value.code == Code.CHARTER_MODEL
    assert "GroupNorm" in caught.value.remedy


class Counting(nn.Module):
    """Keeps a number of its own while it trains."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 2))
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs @ self.weight


def test_buffers_beside_weights_are_refused() -> None:
    with pytest.raises(CharterError, match="buffers"):
        TorchTrainer().bind(task(model=Counting, privacy=TERMS, step_search="none"), LocalData(None))


@pytest.mark.parametrize("terms", [TERMS, SHOKRI], ids=["example", "shokri"])
def test_steps_are_not_searched_on_own_records(terms: PrivacyTerms) -> None:
    with pytest.raises(UsageError, match='step_search "own"'):
        TorchTrainer().bind(task(privacy=terms, step_search="own"), LocalData(None))


def test_a_trainer_that_cannot_clip_is_told_so() -> None:
    pytest.importorskip("sklearn")
    from sklearn.linear_model import SGDClassifier

    from tclearn.learning.trainers.sklearn import SklearnTrainer

    recipe = SklearnTrainer(classes=2)
    with pytest.raises(UsageError, match="cannot clip the gradients of single records"):
        recipe.bind(task(model=SGDClassifier, privacy=TERMS, step_search="none"), LocalData(table(20)))
    # Selective sharing needs only the parameters.
    trainer = recipe.bind(
        task(model=SGDClassifier, privacy=SHOKRI, local_share=0, step_search="none"), LocalData(table(50))
    )
    contribution = trainer.train(trainer.initial(7), work(1))
    assert contribution is not None and contribution.privacy is not None
    assert contribution.privacy.mechanism == "shokri"


def test_without_opacus_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "opacus", None)
    with pytest.raises(UsageError, match="Opacus is not installed") as caught:
        TorchTrainer().bind(task(privacy=TERMS, step_search="none"), LocalData(None))
    assert "tclearn[dp]" in caught.value.remedy


def test_a_loss_that_fails_is_the_members_to_mend() -> None:
    def broken(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        raise ValueError("no such thing")

    with pytest.raises(DataError, match="training stopped with ValueError: no such thing"):
        contributed(TorchTrainer(loss=broken, epochs=1))


def test_the_network_is_left_as_it_was() -> None:
    trainer = SGD.bind(task(privacy=TERMS, step_search="none", seeded_noise=True), LocalData(table(60)))
    start = trainer.initial(7)
    first = trainer.train(start, work(1))
    again = trainer.train(start, work(1))
    assert first is not None and again is not None
    assert first.parameters == again.parameters
    assert trainer.initial(7) == start
