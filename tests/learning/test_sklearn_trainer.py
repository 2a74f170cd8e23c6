"""SklearnTrainer: a true warm start, fixed classes, deterministic."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier
from tests.learning.tables import FEATURES, table, task, work
from torch import nn

from tclearn.coalition.terms import TensorRecord
from tclearn.errors import CharterError, Code, DataError, UsageError
from tclearn.learning.member import MemberTrainer
from tclearn.learning.parameters import Parameters
from tclearn.learning.records import Records
from tclearn.learning.trainer import LocalData
from tclearn.learning.trainers.sklearn import SklearnTrainer

FACTORIES = {
    "sgd": functools.partial(SGDClassifier, loss="log_loss"),
    "hinge": SGDClassifier,
    "logistic": LogisticRegression,
    "saga": functools.partial(LogisticRegression, solver="saga"),
    "perceptron": functools.partial(MLPClassifier, (6,), learning_rate_init=0.03),
    "perceptron-sgd": functools.partial(MLPClassifier, (6,), solver="sgd", learning_rate_init=0.1),
}
every_model = pytest.mark.parametrize("model", FACTORIES.values(), ids=FACTORIES)
every_count = pytest.mark.parametrize("classes", [2, 3])


def bound(recipe: SklearnTrainer, training: Any, **changes: Any) -> MemberTrainer:
    given = {"local_share": 0, "model": LogisticRegression, **changes}
    trainer = recipe.bind(task(**given), LocalData(training))
    assert isinstance(trainer, MemberTrainer)
    return trainer


def trained(trainer: MemberTrainer, start: Parameters, **changes: int) -> Parameters:
    contribution = trainer.train(start, work(**changes))
    assert contribution is not None
    return contribution.parameters


@every_model
@every_count
def test_learns_and_repeats(model: Any, classes: int) -> None:
    g = table(60, seed=9, classes=classes)
    trainer = bound(SklearnTrainer(classes, epochs=30), table(120, classes=classes), model=model, global_test=g)
    start = trainer.initial(7)
    assert start == trainer.initial(7)
    assert start != trainer.initial(8)
    first = trained(trainer, start)
    assert trained(trainer, start) == first
    assert first != start
    paired = trainer.measure(start, first, frozenset()).on_global
    assert paired.fault("accuracy") is None
    assert paired.candidate > 0.8 * paired.n
    estimator = trainer.model(first)
    assert (estimator.predict(g.inputs.astype(np.float64)) == g.targets).sum() == paired.candidate


@every_model
@every_count
def test_starts_where_it_is_told_to(model: Any, classes: int) -> None:
    """From a good model one pass stays good; from a bad one it does not get there."""
    g = table(200, seed=9, classes=classes)
    recipe = SklearnTrainer(classes, epochs=60)
    good_trainer = bound(recipe, table(300, classes=classes), model=model, global_test=g)
    good = trained(good_trainer, good_trainer.initial(7))
    hidden = {"coefs_.0", "intercepts_.0"}
    bad = Parameters({name: tensor if name in hidden else -3 * tensor for name, tensor in good.items()})
    few = bound(recipe, table(3, seed=5, classes=classes), model=model, global_test=g)
    results = {}
    for name, start in (("good", good), ("bad", bad)):
        one_pass = trained(few, start, epochs=1)
        results[name] = few.measure(start, one_pass, frozenset()).on_global.candidate
    assert results["good"] > results["bad"] + 30


@every_model
def test_a_member_without_some_class(model: Any) -> None:
    records = table(90, classes=3)
    some = records.take(np.flatnonzero(records.targets != 1))
    trainer = bound(SklearnTrainer(3), some, model=model, global_test=table(30, seed=9, classes=3))
    start = trainer.initial(7)
    assert trained(trainer, start).layout == start.layout


def test_logistic_regression_follows_the_solver() -> None:
    """As scikit-learn itself goes on from coefficients: the records of no weight change nothing."""
    records = table(80)
    trainer = bound(SklearnTrainer(epochs=3), records)
    start = trainer.initial(7)
    ours = trained(trainer, start)
    plain = LogisticRegression(warm_start=True, max_iter=3)
    plain.classes_ = np.array([0, 1])
    plain.coef_, plain.intercept_ = start["coef_"].copy(), start["intercept_"].copy()
    portion = trainer._holding.next_portion(frozenset(), 1)
    assert portion is not None
    chosen = list(portion.trained)
    with pytest.warns(match="converge"):
        plain.fit(records.inputs[chosen].astype(np.float64), records.targets[chosen])
    assert ours["coef_"] == pytest.approx(plain.coef_, rel=1e-6)
    assert ours["intercept_"] == pytest.approx(plain.intercept_, rel=1e-6)


def test_the_perceptron_takes_the_step_that_torch_takes() -> None:
    """One full batch of plain gradient descent, with the moments of an earlier fit forgotten."""
    records = table(32)
    factory = functools.partial(MLPClassifier, (6,), solver="sgd", momentum=0.0, alpha=0.0)
    trainer = bound(SklearnTrainer(3, epochs=1, batch_size=32, learning_rate=0.5), records, model=factory)
    start = trainer.initial(7)
    ours = trained(trainer, start)
    net: Any = nn.Sequential(nn.Linear(FEATURES, 6), nn.ReLU(), nn.Linear(6, 3)).double()
    with torch.no_grad():
        for layer, number in ((net[0], 0), (net[2], 1)):
            layer.weight.copy_(torch.tensor(start[f"coefs_.{number}"].T))
            layer.bias.copy_(torch.tensor(start[f"intercepts_.{number}"]))
    loss = nn.CrossEntropyLoss()(net(torch.tensor(records.inputs, dtype=torch.float64)), torch.tensor(records.targets))
    loss.backward()
    for layer, number in ((net[0], 0), (net[2], 1)):
        weight = (layer.weight - 0.5 * layer.weight.grad).T.detach().numpy()
        assert ours[f"coefs_.{number}"] == pytest.approx(weight, abs=1e-12)


def test_sgd_takes_the_steps_of_its_own_fit() -> None:
    records = table(50)
    factory = functools.partial(SGDClassifier, loss="log_loss", learning_rate="constant", shuffle=False)
    trainer = bound(SklearnTrainer(epochs=4, learning_rate=0.1), records, model=factory)
    start = trainer.initial(7)
    ours = trained(trainer, start)
    portion = trainer._holding.next_portion(frozenset(), 1)
    assert portion is not None
    chosen = list(portion.trained)
    plain = SGDClassifier(loss="log_loss", learning_rate="constant", shuffle=False, eta0=0.1, max_iter=4, tol=None)
    inputs, targets = records.inputs[chosen].astype(np.float64), records.targets[chosen]
    plain.fit(inputs, targets, coef_init=start["coef_"], intercept_init=start["intercept_"])
    assert ours["coef_"] == pytest.approx(plain.coef_, rel=1e-9)


def test_layouts() -> None:
    assert bound(SklearnTrainer(), table(5)).initial(1).layout == (
        TensorRecord("coef_", "F64", (1, FEATURES)),
        TensorRecord("intercept_", "F64", (1,)),
    )
    layout = bound(SklearnTrainer(3), table(5), model=FACTORIES["perceptron"]).initial(1).layout
    assert [tensor.name for tensor in layout] == ["coefs_.0", "coefs_.1", "intercepts_.0", "intercepts_.1"]
    assert [tensor.shape for tensor in layout] == [(FEATURES, 6), (6, 3), (6,), (3,)]


def test_initial_is_normal() -> None:
    wide = functools.partial(MLPClassifier, (500,))
    start = bound(SklearnTrainer(), table(5), model=wide).initial(7)
    assert start["coefs_.0"].std() == pytest.approx(np.sqrt(2 / FEATURES), rel=0.05)
    assert not start["intercepts_.0"].any()


def test_other_labels() -> None:
    records = table(100)
    named = Records(records.inputs, records.targets * 5 - 1)
    g = Records(table(50, seed=9).inputs, table(50, seed=9).targets * 5 - 1)
    trainer = bound(SklearnTrainer(classes=(4, -1), epochs=50), named, global_test=g)
    model = trained(trainer, trainer.initial(7))
    assert set(trainer.model(model).predict(named.inputs.astype(np.float64))) == {-1, 4}
    assert trainer.measure(model, model, frozenset()).on_global.candidate > 40
    for metric in ("macro_f1", "auc"):
        again = bound(SklearnTrainer(classes=(4, -1)), named, global_test=g, metric=metric)
        assert again.measure(model, model, frozenset()).on_global.candidate > 800_000


def test_images_are_flattened() -> None:
    records = table(40)
    square = Records(records.inputs.reshape(40, 1, 2, 2), records.targets)
    trainer = bound(SklearnTrainer(), square, global_test=table(10, seed=9))
    assert trained(trainer, trainer.initial(1)).finite


def test_training_lowers_the_loss() -> None:
    records = table(100)
    trainer = bound(SklearnTrainer(epochs=5), records)
    start = trainer.initial(7)
    before, after = (
        log_loss(records.targets, trainer.model(each).predict_proba(records.inputs.astype(np.float64)))
        for each in (start, trained(trainer, start))
    )
    assert after < before


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (LinearRegression, "made a LinearRegression"),
        (lambda: 5, "made a int"),
        (functools.partial(SGDClassifier, average=True), "average"),
        (functools.partial(LogisticRegression, solver="liblinear"), "liblinear"),
        (functools.partial(MLPClassifier, solver="lbfgs"), "lbfgs"),
        (functools.partial(SGDClassifier, class_weight="balanced"), "cannot be trained"),
        (functools.partial(LogisticRegression, nonsense=1), "raised TypeError"),
    ],
)
def test_estimators_that_do_not_do(model: Any, says: str) -> None:
    with pytest.raises(CharterError) as caught:
        bound(SklearnTrainer(), table(5), model=model)
    assert caught.value.code is Code.CHARTER_MODEL
    assert says in str(caught.value)


def test_hyperparameters() -> None:
    assert SklearnTrainer().hyperparameters() == {"epochs": 10}
    full = SklearnTrainer(epochs=3, batch_size=8, learning_rate=0.01)
    assert full.hyperparameters() == {"epochs": 3, "batch_size": 8, "learning_rate": 10_000}
    assert trained(bound(full, table(20), model=MLPClassifier), bound(full, table(20), model=MLPClassifier).initial(1))
    with pytest.raises(UsageError, match="batch_size is set, and LogisticRegression has none"):
        bound(SklearnTrainer(batch_size=8), table(5))
    with pytest.raises(UsageError, match="learning_rate is set, and SGDClassifier has none"):
        bound(SklearnTrainer(learning_rate=0.1), table(5), model=SGDClassifier)
    for wrong in ({"epochs": 0}, {"batch_size": 0}, {"learning_rate": 0.0}, {"classes": 1}, {"classes": (3, 3)}):
        with pytest.raises(UsageError):
            SklearnTrainer(**wrong)


def test_data_that_do_not_fit() -> None:
    with pytest.raises(DataError, match="the training data has 3 features"):
        bound(SklearnTrainer(), (np.zeros((5, 3)), np.zeros(5, int)))
    with pytest.raises(DataError, match="the training data has the target 2"):
        bound(SklearnTrainer(), table(60, classes=3))
    diverging = functools.partial(MLPClassifier, solver="sgd", learning_rate_init=1e200)
    trainer = bound(SklearnTrainer(), table(40), model=diverging)
    with pytest.raises(DataError) as caught:
        trainer.train(trainer.initial(1), work())
    assert caught.value.code is Code.TRAINING_FAILED
