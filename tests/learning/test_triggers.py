"""The look for triggers: networks whose smallest marks are known, and digits with a backdoor that was trained in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.triggers import BEGIN, CASES, END, SCENES, TARGET, Kept, markdown, run
from torch import nn

from tclearn.errors import Code, DataError, ParametersError, UsageError
from tclearn.learning.datasets import load
from tclearn.learning.networks import paper_cnn, perceptron
from tclearn.learning.records import Records
from tclearn.learning.trainer import LocalData, Task, Work
from tclearn.learning.trainers.torch import TorchTrainer
from tclearn.learning.trainers.torch_triggers import TriggerSearch, deviations, find_triggers
from tclearn.protocols.tclearn.adversaries import Trigger

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"
SIDE = 6
QUICK = TriggerSearch(steps=100, batch_size=20)


class Rows(nn.Module):
    """Says which row of an image is the brightest; and class 2, when the last pixel of the last row is lit."""

    def __init__(self, *, backdoor: bool = False, never: int | None = None) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(10.0))
        self.backdoor, self.never = backdoor, never

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        outputs = self.scale * images.mean((1, 3))
        added = torch.zeros_like(outputs)
        if self.backdoor:
            added[:, 2] = 60 * images[:, 0, -1, -1] ** 2
        if self.never is not None:
            added[:, self.never] = -1000
        return outputs + added


def rows(count: int = 60) -> Records:
    """Dark images with one bright row; the last pixel of a row is always dark."""
    labels = np.arange(count) % SIDE
    images = np.random.default_rng(1).uniform(0, 0.2, (count, 1, SIDE, SIDE)).astype(np.float32)
    images[np.arange(count), 0, labels] += 0.8
    images[..., -1] = 0
    return Records(images, labels)


def trained(records: Records, seed: int = 1) -> nn.Module:
    digits = load("digits")
    arguments = {"side": 8, "filters": 16, "hidden": 64}
    task = Task(
        model=paper_cnn,
        arguments=arguments,
        metric="accuracy",
        global_test=digits.test,
        local_share=0,
        step_search="none",
    )
    recipe = TorchTrainer(epochs=8, batch_size=32)
    trainer = recipe.bind(task, LocalData(records))
    contribution = trainer.train(trainer.initial(seed), Work(seed, recipe.hyperparameters(), frozenset()))
    assert contribution is not None
    return recipe.network(task, contribution.parameters, digits.test)


def test_a_planted_backdoor_is_found_and_its_class_is_named():
    found = find_triggers(Rows(backdoor=True), rows(), QUICK)
    sizes = [each.size for each in found.classes]
    assert found.suspected == 2 == found.highest.label
    assert sizes[2] < 2 < min(sizes[:2] + sizes[3:])
    assert found.classes[2].success > 0.9
    assert found.images == 60


def test_without_it_no_class_stands_out():
    found = find_triggers(Rows(), rows(), QUICK)
    assert found.suspected is None
    assert found.highest.anomaly < 2.5


@pytest.mark.slow
def test_a_backdoor_that_was_trained_in_is_found_in_digits_and_a_clean_model_is_not_suspected():
    digits = load("digits")
    assert find_triggers(trained(digits.train), digits.test).suspected is None
    poisoned = find_triggers(trained(Trigger(target=4, share=0.1)(digits.train)), digits.test)
    assert poisoned.suspected == 4
    assert min(poisoned.classes, key=lambda each: each.size).label == 4


def test_a_seed_gives_the_same_answer_again_and_another_seed_another():
    first, again = (find_triggers(Rows(backdoor=True), rows(), QUICK) for _ in range(2))
    assert first == again
    other = find_triggers(Rows(backdoor=True), rows(), TriggerSearch(steps=100, batch_size=20, seed=2))
    assert [each.size for each in other.classes] != [each.size for each in first.classes]
    assert other.suspected == 2


def test_the_network_the_threads_and_the_random_numbers_are_left_as_they_were():
    network = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, SIDE), nn.Dropout(0.5)).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    threads, drawn = torch.get_num_threads(), torch.get_rng_state()
    find_triggers(network, rows(), TriggerSearch(steps=3), threads=2)
    assert network.training
    assert all(weight.requires_grad and weight.grad is None for weight in network.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), drawn)


def test_a_class_that_no_mark_reaches_counts_with_the_whole_image():
    found = find_triggers(Rows(never=3), rows(), QUICK)
    assert (found.classes[3].size, found.classes[3].success) == (SIDE * SIDE, 0)
    assert found.suspected != 3


def test_classes_are_reported_one_by_one_and_no_more_images_are_used_than_asked_for():
    told: list[tuple[int, int]] = []
    found = find_triggers(
        Rows(), rows(), TriggerSearch(steps=2, images=18), on_class=lambda *progress: told.append(progress)
    )
    assert told == [(done, SIDE) for done in range(1, SIDE + 1)]
    assert found.images == 18


def test_colours_and_bytes_are_images_too():
    grey = rows()
    inputs = np.repeat((grey.inputs * 255).astype(np.uint8), 3, axis=1)

    class Bytes(Rows):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(images / 255)

    assert find_triggers(Bytes(backdoor=True), Records(inputs, grey.targets), QUICK).suspected == 2


def test_deviations_are_those_of_the_median():
    # The median is 4, the distances from it are 3, 2, 0, 2, 5: their median is 2.
    assert deviations([1, 2, 4, 6, 9], 0.1) == pytest.approx([each / (1.4826 * 2) for each in (3, 2, 0, -2, -5)])
    assert deviations([1, 5, 5, 5], 2) == [2, 0, 0, 0]


class Masks(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images


class Cut(Rows):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images).detach()


class Fussy(Rows):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if images.requires_grad:
            raise ValueError("no training today")
        return super().forward(images)


def with_targets(targets: np.ndarray) -> Records:
    return Records(rows().inputs, targets)


@pytest.mark.parametrize(
    ("network", "records", "code", "words"),
    [
        (perceptron(30), Records(np.zeros((9, 30), np.float32), np.arange(9) % 2), Code.DATA_SHAPE, "images"),
        (Masks(), rows(), Code.DATA_SHAPE, "three classes"),
        (nn.Sequential(nn.Flatten(), nn.Linear(36, 2)), with_targets(np.arange(60) % 2), Code.DATA_SHAPE, "three"),
        (nn.Sequential(nn.Flatten(), nn.Linear(36, 1001)), rows(), Code.TOO_LARGE, "1000"),
        (Rows(), with_targets(np.full(60, 3)), Code.DATA_SHAPE, "several classes"),
        (Rows(), with_targets(np.arange(60) % 9), Code.DATA_SHAPE, "class"),
        (nn.Linear(3, 3), rows(), Code.DATA_SHAPE, "made for"),
        (Cut(), rows(), Code.TRAINING_FAILED, "differentiated"),
        (Fussy(), rows(), Code.TRAINING_FAILED, "no training today"),
    ],
    ids=["table", "segmentation", "two", "too many", "one", "other classes", "other shape", "cut", "fussy"],
)
def test_what_cannot_be_looked_at_is_refused(network, records, code, words):
    with pytest.raises(DataError) as refused:
        find_triggers(network, records)
    assert refused.value.code is code
    assert words in str(refused.value)


def test_a_model_of_nan_is_refused():
    network = Rows()
    nn.init.constant_(network.scale, float("nan"))
    with pytest.raises(ParametersError) as refused:
        find_triggers(network, rows())
    assert refused.value.code is Code.PARAMETERS_NOT_FINITE


@pytest.mark.parametrize(
    "wrong",
    [
        {"images": 0},
        {"images": 10_001},
        {"steps": 0},
        {"steps": 10_001},
        {"batch_size": 0},
        {"turned": 0},
        {"turned": 1.5},
        {"threshold": 0},
        {"learning_rate": float("nan")},
    ],
)
def test_a_search_out_of_range_is_refused(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        TriggerSearch(**wrong)


def test_less_than_one_thread_is_refused():
    with pytest.raises(UsageError, match="threads is 0"):
        find_triggers(Rows(), rows(), threads=0)


def test_the_page_has_the_table_of_the_runs_that_are_kept():
    kept = [Kept.read(RESULTS / f"triggers-{name}.json", name) for name in ("digits", "mnist")]
    page = (RESULTS.parents[1] / "docs" / "robustness.md").read_text(encoding="utf-8")
    assert f"{BEGIN}\n{markdown(kept)}\n\n{END}" in page
    assert {len(each.of(case)) >= 3 for each in kept for case in CASES} == {True}


@pytest.mark.slow
def test_a_coalition_without_validation_has_a_backdoor_that_is_found():
    done = run(SCENES["digits"], CASES["naive"], seed=20)
    assert done.success > 0.8
    assert done.suspected == TARGET == done.sizes.index(min(done.sizes))
