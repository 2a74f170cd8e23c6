"""``TorchTrainer(steps=...)``: so many mini-batches a contribution, in place of epochs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from tests.learning.tables import table, task, work
from tests.learning.test_torch_trainer import bound, trained

from tclearn.coalition.checks import check_hyperparameters
from tclearn.coalition.faults import Faults
from tclearn.coalition.terms import PrivacyTerms
from tclearn.errors import CharterError, Code, UsageError
from tclearn.learning.padded_cnn import padded_cnn
from tclearn.learning.trainer import LocalData
from tclearn.learning.trainers.torch import TorchTrainer

SGD = partial(TorchTrainer, optimizer=torch.optim.SGD, learning_rate=0.1, batch_size=16)


class Counting(torch.optim.SGD):
    """Notes how often it steps."""

    steps = 0

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        Counting.steps += 1
        return super().step(closure)


@pytest.mark.parametrize("records", [20, 40, 200])
def test_there_are_as_many_steps_whatever_a_member_has(records: int) -> None:
    Counting.steps = 0
    trained(SGD(optimizer=Counting, steps=7), table(records))
    assert Counting.steps == 7


def test_whole_passes_are_epochs() -> None:
    """Forty records are three batches of at most 16, so six steps are two epochs, to the bit."""
    assert trained(SGD(steps=6), table(40)) == trained(SGD(epochs=2), table(40))
    assert trained(SGD(steps=5), table(40)) != trained(SGD(epochs=2), table(40))


def test_what_the_charter_records() -> None:
    assert dict(SGD(steps=15).hyperparameters()) == {"steps": 15, "batch_size": 16, "learning_rate": 100_000}
    assert dict(SGD().hyperparameters()) == {"epochs": 5, "batch_size": 16, "learning_rate": 100_000}


def test_the_ledger_says_how_long_a_training_is_not_the_members_own_trainer() -> None:
    """A member whose trainer counts otherwise trains as the others do."""
    found = []
    for recipe in (SGD(steps=2), SGD(epochs=3)):
        trainer = bound(recipe, table(40))
        start = trainer.initial(7)
        pair = [trainer.train(start, work(**asked)) for asked in ({"steps": 4}, {"epochs": 1})]
        found.append([each.parameters for each in pair if each is not None])
    assert found[0] == found[1] and len(found[0]) == 2 and found[0][0] != found[0][1]


def test_no_steps_are_refused() -> None:
    with pytest.raises(UsageError, match="steps is 0") as caught:
        TorchTrainer(steps=0)
    assert caught.value.code is Code.USAGE


def test_a_charter_without_a_step_is_refused() -> None:
    faults = Faults()
    check_hyperparameters({"steps": 0, "batch_size": 16, "learning_rate": 100_000}, None, faults)
    with pytest.raises(CharterError, match="steps is 0"):
        faults.check()


def test_with_privacy_by_example_there_are_as_many_noisy_steps() -> None:
    pytest.importorskip("opacus")
    terms = PrivacyTerms(mechanism="example", clip_ppm=1_000_000, noise_ppm=1_000_000, delta_ppt=10_000_000)
    asked = task(local_share=0, privacy=terms, seeded_noise=True, step_search="none")
    trainer = SGD(steps=7).bind(asked, LocalData(table(40)))
    contribution = trainer.train(trainer.initial(7), work())
    assert contribution is not None and contribution.privacy is not None and contribution.privacy.steps == 7


def test_the_network_of_deepchain_has_as_many_numbers_as_the_paper_counts() -> None:
    network = padded_cnn()
    shapes = [tuple(weight.shape) for weight in network.parameters()]
    assert shapes == [(10, 1, 3, 3), (10,), (128, 1960), (128,), (10, 128), (10,)]
    assert sum(weight.numel() for weight in network.parameters()) == 252_398
    assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
