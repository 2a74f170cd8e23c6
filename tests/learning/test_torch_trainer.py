"""TorchTrainer: deterministic, leaves the process as it was, says what is wrong."""

from __future__ import annotations

import functools
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from tests.learning.tables import FEATURES, masks, network, table, task, with_everything, work
from torch import nn
from torch.nn import functional

from tclearn.errors import CharterError, Code, DataError, UsageError
from tclearn.learning.member import MemberTrainer
from tclearn.learning.networks import paper_cnn, perceptron
from tclearn.learning.parameters import Parameters
from tclearn.learning.records import Records
from tclearn.learning.trainer import LocalData
from tclearn.learning.trainers.torch import TorchTrainer, dice_loss


def bound(recipe: TorchTrainer, training: Any, **changes: Any) -> MemberTrainer:
    trainer = recipe.bind(task(**{"local_share": 0, **changes}), LocalData(training))
    assert isinstance(trainer, MemberTrainer)
    return trainer


def trained(recipe: TorchTrainer, training: Any, seed: int = 1, **changes: Any) -> Parameters:
    trainer = bound(recipe, training, **changes)
    contribution = trainer.train(trainer.initial(7), work(seed))
    assert contribution is not None
    return contribution.parameters


SCRIPT = """
import torch
torch.set_num_threads(2)
from tclearn.learning.trainer import LocalData
from tclearn.learning.trainers.torch import TorchTrainer
from tests.learning.tables import table, task, with_everything, work
trainer = TorchTrainer(epochs=3).bind(task(local_share=0, model=with_everything), LocalData(table(50)))
print(trainer.train(trainer.initial(7), work(1)).parameters.digest.hex())
"""


def test_same_seed_same_bytes_in_two_processes() -> None:
    here = trained(TorchTrainer(epochs=3), table(50), model=with_everything).digest.hex()
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == here


def test_seed_start_and_hyperparameters_matter() -> None:
    recipe = TorchTrainer(epochs=2)
    trainer = bound(recipe, table(30))
    start = trainer.initial(7)

    def digest(start: Parameters = start, **changes: int) -> bytes:
        contribution = trainer.train(start, work(**changes))
        assert contribution is not None
        return contribution.parameters.digest

    plain = digest()
    assert digest() == plain
    others = [
        digest(seed=2),
        digest(start=trainer.initial(8)),
        digest(epochs=3),
        digest(batch_size=4),
        digest(learning_rate=500_000),
    ]
    assert len({plain, *others}) == 6
    assert digest(epochs=2, batch_size=16, learning_rate=1_000_000) == plain


def test_as_a_plain_loop() -> None:
    """What a user would write: the same batches in the same order give the same weights."""
    records = table(40)
    trainer = bound(TorchTrainer(epochs=3, batch_size=16), records)
    start = trainer.initial(7)
    contribution = trainer.train(start, work())
    assert contribution is not None
    assert contribution.parameters != start

    order: list[Any] = []
    original = torch.randperm

    def watched(*arguments: Any, **options: Any) -> Any:
        order.append(original(*arguments, **options))
        return order[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "randperm", watched)
        trainer.train(start, work())
    portion = trainer._holding.next_portion(frozenset(), 1)
    assert portion is not None
    x, y = (
        torch.tensor(part) for part in (records.inputs[list(portion.trained)], records.targets[list(portion.trained)])
    )
    plain = network()
    plain.load_state_dict(trainer.model(start))
    optimizer = torch.optim.Adadelta(plain.parameters())
    torch.set_num_threads(1)
    for permutation in order:
        for batch in permutation.split(16):
            optimizer.zero_grad()
            functional.cross_entropy(plain(x[batch]), y[batch]).backward()
            optimizer.step()
    ours = trainer.model(contribution.parameters)
    assert all(torch.equal(ours[name], tensor) for name, tensor in plain.state_dict().items())


def test_the_process_is_left_as_it_was() -> None:
    threads, torch_state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(2)
    trainer = bound(TorchTrainer(epochs=1), table(30), model=with_everything)
    start = trainer.initial(7)
    trainer.train(start, work())
    trainer.measure(start, start, frozenset())
    assert torch.get_num_threads() == 2
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    torch.set_num_threads(threads)


def test_global_random_state_does_not_matter() -> None:
    recipe = TorchTrainer(epochs=1)
    torch.manual_seed(1)
    first = trained(recipe, table(30), model=with_everything)
    torch.manual_seed(2)
    with torch.no_grad():
        assert trained(TorchTrainer(epochs=1), table(30), model=with_everything) == first


def test_initial_is_normal_and_the_same_everywhere() -> None:
    wide = functools.partial(network, features=FEATURES, hidden=400, classes=100)
    trainer = bound(TorchTrainer(), table(5), model=wide)
    start = trainer.initial(7)
    assert start == bound(TorchTrainer(), table(5), model=wide).initial(7)
    assert start != trainer.initial(8)
    weight = start["2.weight"]
    assert weight.std() == pytest.approx(np.sqrt(2 / 400), rel=0.02)
    assert abs(weight.mean()) < 0.001
    assert not start["2.bias"].any()
    # Another width elsewhere does not move a tensor's own stream.
    assert np.array_equal(
        bound(TorchTrainer(), table(5), model=network).initial(7)["0.weight"].ravel()[:8],
        start["0.weight"].ravel()[:8],
    )


def test_initial_is_pinned() -> None:
    """M_0 must not change between versions: its digest is in charters."""
    start = bound(TorchTrainer(), table(5)).initial(7)
    assert start.digest.hex() == "3e2dada7f03dcb1096cb901259a2cb91adcb1dba7cc6d466c45f3c6527aa7253"


def test_initial_of_normalisation_and_buffers() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = with_everything()
            self.register_buffer("frequencies", torch.randn(3))
            self.lazy = nn.LazyLinear(2)
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, x: torch.Tensor) -> Any:
            return self.lazy(self.inner(x)) * self.scale

    trainer = bound(TorchTrainer(), table(5), model=Odd)
    start = trainer.initial(7)
    assert start["inner.1.weight"].tolist() == [1.0] * 8
    assert start["inner.1.running_var"].tolist() == [1.0] * 8
    assert start["inner.2.weight"].tolist() == [0.25]
    assert start["lazy.weight"].shape == (2, 2)
    assert start["scale"] == 1
    assert start["inner.1.num_batches_tracked"].dtype == np.int64
    assert start == bound(TorchTrainer(), table(5), model=Odd).initial(7)
    assert not np.array_equal(start["frequencies"], trainer.initial(8)["frequencies"])
    contribution = trainer.train(start, work())
    assert contribution is not None
    assert contribution.parameters["inner.1.num_batches_tracked"] > 0


def test_a_last_batch_of_one_joins_the_one_before() -> None:
    sizes: list[int] = []

    class Watching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = with_everything()

        def forward(self, x: torch.Tensor) -> Any:
            if self.training:
                sizes.append(len(x))
            return self.inner(x)

    for count, expected in ((7, [7]), (8, [8]), (9, [9]), (10, [8, 2]), (16, [8, 8]), (17, [8, 9]), (18, [8, 8, 2])):
        sizes.clear()
        trained(TorchTrainer(epochs=1, batch_size=8), table(count), model=Watching)
        assert sizes == expected


def test_hyperparameters() -> None:
    assert TorchTrainer().hyperparameters() == {"epochs": 5, "batch_size": 16, "learning_rate": 1_000_000}
    sgd = functools.partial(torch.optim.SGD, lr=0.05, momentum=0.9)
    assert TorchTrainer(optimizer=sgd).hyperparameters()["learning_rate"] == 50_000
    assert TorchTrainer(optimizer=torch.optim.Adam, learning_rate=3e-4).hyperparameters()["learning_rate"] == 300
    assert trained(TorchTrainer(optimizer=sgd), table(20)).finite
    for wrong in ({"epochs": 0}, {"batch_size": 0}, {"threads": 0}, {"learning_rate": 0.0}, {"optimizer": lambda p: p}):
        with pytest.raises(UsageError):
            TorchTrainer(**wrong)


def test_divergence_says_what_to_do() -> None:
    records = table(40)
    huge = Records(records.inputs * np.float32(1e18), records.targets)
    recipe = TorchTrainer(optimizer=torch.optim.SGD, learning_rate=1e6)
    with pytest.raises(DataError, match=r"training with learning rate 1e\+06 ended in NaN") as caught:
        trained(recipe, huge)
    assert caught.value.code is Code.TRAINING_FAILED
    assert "learning rate" in caught.value.remedy


def _fails() -> nn.Module:
    raise RuntimeError("no weights file")


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (_fails, "the model factory raised RuntimeError: no weights file"),
        (lambda: 5, "the model factory made a int"),
        (lambda: network().to(torch.bfloat16), "has the type torch.bfloat16"),
    ],
)
def test_factories_that_do_not_do(model: Any, says: str) -> None:
    with pytest.raises(CharterError) as caught:
        bound(TorchTrainer(), table(5), model=model)
    assert caught.value.code is Code.CHARTER_MODEL
    assert says in str(caught.value)


def test_data_that_the_model_cannot_take() -> None:
    with pytest.raises(DataError, match="the model cannot take the training data, inputs of shape"):
        bound(TorchTrainer(), (np.zeros((5, 3), np.float32), np.zeros(5, int)))
    with pytest.raises(DataError, match="the model cannot take the global test set"):
        bound(TorchTrainer(), table(5), global_test=(np.zeros((5, 3), np.float32), np.zeros(5, int)))
    with pytest.raises(DataError, match="the model makes tuple"):
        bound(TorchTrainer(), table(5), model=lambda: nn.LSTM(FEATURES, 2))
    with pytest.raises(DataError, match="training stopped with TypeError: no such loss"):
        trained(TorchTrainer(loss=_no_loss), table(5))


def _no_loss(outputs: Any, targets: Any) -> Any:
    raise TypeError("no such loss")


def test_bytes_and_doubles_reach_the_model_in_its_type() -> None:
    records = table(30)
    pixels = Records((records.inputs * 20 + 128).clip(0, 255).astype(np.uint8), records.targets)
    floats = Records(pixels.inputs.astype(np.float64), records.targets)
    learner = bound(TorchTrainer(), table(5))._learner
    first, second = (learner.prepare(each, "a set") for each in (pixels, floats))
    assert first.inputs.dtype == torch.float32
    assert torch.equal(first.inputs, second.inputs)
    double = trained(TorchTrainer(), floats, model=lambda: network().double())
    assert double["0.weight"].dtype == np.float64


def test_whole_numbers_reach_an_embedding() -> None:
    words, others = ((np.random.default_rng(seed).integers(0, 20, (30, 5)), np.arange(30) % 2) for seed in (0, 1))

    def model() -> nn.Module:
        return nn.Sequential(nn.Embedding(20, 4), nn.Flatten(), nn.Linear(20, 2))

    assert trained(TorchTrainer(), words, global_test=others, model=model).finite


def test_one_logit() -> None:
    model = functools.partial(network, classes=1)
    recipe = TorchTrainer(loss=nn.BCEWithLogitsLoss(), epochs=20)
    trainer = bound(recipe, table(80), model=model, metric="auc")
    start = trainer.initial(7)
    contribution = trainer.train(start, work())
    assert contribution is not None
    paired = trainer.measure(start, contribution.parameters, frozenset()).on_global
    assert paired.candidate > 850_000


@pytest.mark.parametrize("loss", [nn.BCEWithLogitsLoss(), dice_loss])
def test_segmentation(loss: Any) -> None:
    recipe = TorchTrainer(torch.optim.Adam, loss, epochs=20, batch_size=8, learning_rate=0.05)
    model = functools.partial(nn.Conv2d, 1, 1, 3, padding=1)
    trainer = bound(recipe, masks(40), model=model, metric="dice", global_test=masks(20, seed=1))
    start = trainer.initial(7)
    contribution = trainer.train(start, work())
    assert contribution is not None
    paired = trainer.measure(start, contribution.parameters, frozenset()).on_global
    assert paired.fault("dice") is None
    assert paired.candidate > 800_000
    assert paired.candidate > paired.reference


def test_dice_loss() -> None:
    mask = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
    assert dice_loss(mask * 200 - 100, mask).item() == pytest.approx(0, abs=1e-6)
    assert dice_loss(100 - mask * 200, mask).item() == pytest.approx(1 - 1 / 5)


def test_auc_of_many_classes_uses_probabilities() -> None:
    records = table(60, seed=3, classes=3)
    three = functools.partial(network, classes=3)
    trainer = bound(TorchTrainer(), table(5), model=three, metric="auc", global_test=records)
    start = trainer.initial(7)
    measured = trainer.measure(start, start, frozenset()).on_global
    net = network(classes=3)
    net.load_state_dict(trainer.model(start))
    from sklearn.metrics import roc_auc_score

    probabilities = torch.softmax(net(torch.tensor(records.inputs)).double(), 1).detach().numpy()
    expected = roc_auc_score(records.targets, probabilities, multi_class="ovr")
    assert abs(measured.reference - expected * 1e6) <= 1


def test_measuring_in_batches_is_measuring_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    start = bound(TorchTrainer(), table(5)).initial(7)
    whole = bound(TorchTrainer(), table(5), global_test=table(100, seed=3)).measure(start, start, frozenset())
    monkeypatch.setattr("tclearn.learning.trainers.torch_learner._BATCH_MAX", 7)
    assert bound(TorchTrainer(), table(5), global_test=table(100, seed=3)).measure(start, start, frozenset()) == whole


def test_model_is_a_copy_that_loads() -> None:
    trainer = bound(TorchTrainer(), table(5))
    start = trainer.initial(7)
    state = trainer.model(start)
    net = network()
    net.load_state_dict(state)
    with torch.no_grad():
        for tensor in state.values():
            tensor.add_(1)
    assert trainer.model(start)["0.bias"].tolist() == [0.0] * 6


def test_networks() -> None:
    assert paper_cnn()(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert paper_cnn(channels=3, side=8, filters=4, hidden=5, classes=3, kernel=5)(torch.zeros(1, 3, 8, 8)).shape == (
        1,
        3,
    )
    assert perceptron(30)(torch.zeros(2, 30)).shape == (2, 2)


def test_read_only_arrays_are_taken_without_a_warning() -> None:
    records = table(20)
    for array in (records.inputs, records.targets):
        array.flags.writeable = False
    assert trained(TorchTrainer(epochs=1), records, global_test=table(5, seed=9)).finite


def test_what_a_network_keeps_from_measuring_does_not_stop_training() -> None:
    class Remembering(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network()
            self.scale: torch.Tensor | None = None

        def forward(self, x: torch.Tensor) -> Any:
            if self.scale is None:
                self.scale = torch.ones(1) * 2
            return self.inner(x * self.scale)

    trainer = bound(TorchTrainer(epochs=1), table(20), model=Remembering)
    start = trainer.initial(7)
    trainer.measure(start, start, frozenset())
    assert trainer.train(start, work()) is not None


def test_a_model_that_draws_when_it_predicts_gives_everybody_the_same() -> None:
    class Drawing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network()

        def forward(self, x: torch.Tensor) -> Any:
            return self.inner(functional.dropout(x, 0.5))

    measured = set()
    for seed in range(5):
        torch.manual_seed(seed)
        trainer = bound(TorchTrainer(), table(5), model=Drawing)
        start = trainer.initial(7)
        measured.add(trainer.measure(start, start, frozenset()).on_global)
    assert len(measured) == 1
