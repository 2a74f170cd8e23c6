"""Images rebuilt from increments: from one record nearly all comes back, from many little does."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.privacy.pictures import DIGITS, NETWORK, G, some, task

from tclearn.errors import ParametersError, UsageError
from tclearn.learning.networks import paper_cnn
from tclearn.learning.parameters import Parameters
from tclearn.learning.trainers.torch import TorchTrainer
from tclearn.privacy.images import likeness, psnr, ssim
from tclearn.privacy.increments import Increment, made, noised, shared
from tclearn.privacy.inversion import Rebuilt, Search, Training, class_means, inverted

ONE_STEP = TorchTrainer(optimizer=torch.optim.SGD, epochs=1, batch_size=64, learning_rate=0.1)
QUICK = Search(iterations=150)


def attack(increment: Increment, training: Training | None = None, search: Search = QUICK, **more: object) -> Rebuilt:
    return inverted(
        paper_cnn(**NETWORK),
        increment.before,
        increment.after,
        training or increment.training,
        shape=DIGITS.shape,
        seed=1,
        search=search,
        **more,  # type: ignore[arg-type]
    )


def test_a_single_record_comes_back_from_a_single_step() -> None:
    increment = made(ONE_STEP, task(), some(100, 1), seed=1)
    found = attack(increment)
    assert psnr(increment.records.inputs, found.images)[0] > 20
    assert ssim(increment.records.inputs, found.images)[0] > 0.9
    assert found.distance < 0.01
    assert found.images.dtype == np.float32 and 0 <= found.images.min() <= found.images.max() <= 1


def test_the_same_seed_gives_the_same_images_and_another_one_others() -> None:
    increment = made(ONE_STEP, task(), some(100, 1), seed=1)
    short = Search(iterations=3)
    network = paper_cnn(**NETWORK)
    weights, before = [weight.detach().clone() for weight in network.parameters()], torch.get_rng_state()
    images, again, other = (
        inverted(
            network, increment.before, increment.after, increment.training, shape=DIGITS.shape, seed=seed, search=short
        ).images
        for seed in (1, 1, 2)
    )
    assert np.array_equal(images, again) and not np.array_equal(images, other)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(*each) for each in zip(weights, network.parameters(), strict=True))


def test_more_restarts_never_find_less() -> None:
    increment = made(ONE_STEP, task(), some(101, 2), seed=1)
    plain = replace(QUICK, iterations=20, variation=0.0)
    one, four = (attack(increment, search=replace(plain, restarts=count)).distance for count in (1, 4))
    assert four <= one


@pytest.mark.parametrize("recipe", [TorchTrainer(epochs=2, batch_size=2), replace(ONE_STEP, epochs=3, batch_size=2)])
def test_the_supposed_training_is_the_products_own(recipe: TorchTrainer) -> None:
    """The true images explain the increment fully: same steps, same batches, same optimizer."""
    increment = made(recipe, task(), some(100, 5), seed=3)
    still = Search(iterations=1, rate=1e-9, variation=0.0)
    assert len(increment.training.batches) == recipe.epochs * 2
    found = attack(increment, search=still, first=increment.records.inputs)
    at_random = attack(increment, search=still)
    assert found.distance < 0.05 < at_random.distance


def test_one_step_stands_in_for_many() -> None:
    training = made(TorchTrainer(epochs=3, batch_size=2), task(), some(100, 5), seed=3).training
    assert training.at_once().batches == ((0, 1, 2, 3, 4),)
    assert training.at_once().labels == training.labels


@pytest.mark.slow
def test_little_comes_back_from_the_smallest_contribution_that_is_recommended() -> None:
    """64 records, a tenth put aside: no nearer than a grey image, and the mean image of the class is nearer."""
    start = made(TorchTrainer(), task(), some(0, 300), seed=7).after
    increment = made(TorchTrainer(), task(), some(300, 58), seed=1, start=start)
    true, means = increment.records.inputs, class_means(G, increment.training.labels)
    once, search = increment.training.at_once(), replace(QUICK, iterations=300)
    blind = likeness(true, attack(increment, once, search).images, np.full_like(true, G.inputs.mean()))
    informed = likeness(true, attack(increment, once, replace(search, rate=0.02), first=means).images, means)
    assert blind.gain < 2 and informed.gain < 2


def test_sharing_keeps_the_largest_changes() -> None:
    increment = made(ONE_STEP, task(), some(100, 1), seed=1)
    sizes = np.concatenate(
        [np.abs(tensor - increment.before[name]).ravel() for name, tensor in increment.after.items()]
    )
    part = shared(increment, 0.1)
    kept = np.concatenate([(tensor != part.before[name]).ravel() for name, tensor in part.after.items()])
    assert kept.sum() == pytest.approx(0.1 * len(sizes), abs=2)
    assert sizes[kept].min() >= sizes[~kept].max() - 1e-7
    whole = shared(increment, 1.0)
    assert all(np.array_equal(whole.after[name], tensor) for name, tensor in increment.after.items())
    still = Search(iterations=1, rate=1e-9, variation=0.0)
    among_shared, among_all = (
        attack(part, search=replace(still, shared_only=only), first=part.records.inputs).distance
        for only in (True, False)
    )
    assert among_shared < 0.02 < among_all


def test_noise_has_its_size_and_the_increment_its_norm() -> None:
    increment = made(ONE_STEP, task(), some(100, 1), seed=1)

    def norm(each: Increment) -> float:
        return float(np.sqrt(sum(((tensor - each.before[name]) ** 2).sum() for name, tensor in each.after.items())))

    assert norm(noised(increment, 0.01, 0.0, seed=1)) == pytest.approx(0.01, rel=1e-3)
    assert norm(noised(increment, 1e6, 0.0, seed=1)) == pytest.approx(norm(increment), rel=1e-3)
    count = sum(tensor.size for tensor in increment.after.values())
    assert norm(noised(increment, 0.5, 2.0, seed=1)) == pytest.approx(np.sqrt(count), rel=0.05)
    one, same, other = (noised(increment, 0.5, 2.0, seed=seed).after for seed in (1, 1, 2))
    assert one == same != other


def test_means_of_the_classes() -> None:
    means = class_means(G, (3, 3, 0))
    assert means.shape == (3, 1, 8, 8) and np.array_equal(means[0], means[1])
    assert np.allclose(means[2], G.inputs[G.targets == 0].mean(axis=0))
    with pytest.raises(UsageError, match=r"no public image of the classes \[11\]"):
        class_means(G, (3, 11))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"labels": ()}, "without records"),
        ({"batches": ()}, "without records"),
        ({"batches": ((0,), ())}, "without records"),
        ({"batches": ((0, 2),)}, "names a record that has no label"),
        ({"batches": ((-1,),)}, "names a record that has no label"),
        ({"optimizer": "adam"}, "expected sgd or adadelta"),
        ({"learning_rate": 0.0}, "expected above 0"),
    ],
)
def test_trainings_that_cannot_be(given: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Training(**{"labels": (1, 2), "batches": ((0, 1),), **given})  # type: ignore[arg-type]


def test_searches_that_cannot_be() -> None:
    for name in ("iterations", "rate", "restarts"):
        with pytest.raises(UsageError, match=f"{name} is 0"):
            replace(QUICK, **{name: 0})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="variation is -1"):
        Search(variation=-1)


def test_increments_that_cannot_be_attacked_or_made() -> None:
    increment = made(ONE_STEP, task(), some(100, 1), seed=1)
    with pytest.raises(UsageError, match="the increment is zero"):
        attack(replace(increment, after=increment.before))
    with pytest.raises(ParametersError):
        attack(replace(increment, after=Parameters({"weight": np.zeros(3, np.float32)})))
    with pytest.raises(UsageError, match=r"first images of shape \(2, 1, 8, 8\)"):
        attack(increment, first=np.zeros((2, 1, 8, 8), np.float32))
    with pytest.raises(UsageError, match=r"expected torch\.optim\.SGD or torch\.optim\.Adadelta"):
        made(TorchTrainer(optimizer=torch.optim.Adam), task(), some(100, 1), seed=1)
    with pytest.raises(UsageError, match="expected new and different records"):
        made(ONE_STEP, task(), DIGITS.train.take([100, 100]), seed=1)
    for share in (0, 1.1):
        with pytest.raises(UsageError, match=f"a share of {share}"):
            shared(increment, share)
    with pytest.raises(UsageError, match="a norm of 0 and a deviation of 1"):
        noised(increment, 0, 1, seed=1)


def test_no_framework_is_loaded_unasked() -> None:
    code = "import sys, tclearn.privacy, tclearn.privacy.images, tclearn.privacy.membership, tclearn.privacy.roc; "
    code += "print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
