"""A member's trainer, whatever the framework: data, contributions, L, measurement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.learning.tables import FEATURES, table, task, work

from tclearn.errors import CharterError, Code, DataError, ParametersError
from tclearn.learning.contribution import is_put_aside
from tclearn.learning.data_ids import data_ids
from tclearn.learning.member import MemberTrainer
from tclearn.learning.parameters import Parameters
from tclearn.learning.records import Records
from tclearn.learning.step_search import STEPS
from tclearn.learning.trainer import LocalData, Recipe
from tclearn.learning.trainers.torch import TorchTrainer

RECIPE = TorchTrainer(epochs=2, batch_size=8)


def bound(training: Any, *, local_test: Any = None, contributions: int = 1, **changes: Any) -> MemberTrainer:
    trainer = RECIPE.bind(task(**changes), LocalData(training, local_test, contributions))
    assert isinstance(trainer, MemberTrainer)
    return trainer


def test_recipe_is_one() -> None:
    recipe: Recipe = RECIPE
    assert recipe.hyperparameters() == {"epochs": 2, "batch_size": 8, "learning_rate": 1_000_000}


def test_contributions_until_nothing_is_left() -> None:
    records = table(50)
    trainer = bound(records, contributions=3, local_share=200_000)
    model = start = trainer.initial(1)
    used: set[bytes] = set()
    sizes = []
    while (contribution := trainer.train(model, work(len(used), used))) is not None:
        assert list(contribution.data_ids) == sorted(set(contribution.data_ids) - used)
        aside = [data_id for data_id in contribution.data_ids if is_put_aside(data_id, 200_000)]
        assert contribution.set_aside == len(aside)
        sizes.append(len(contribution.data_ids))
        used |= set(contribution.data_ids)
        model = contribution.parameters
    assert sizes == [17, 17, 16]
    assert used == set(data_ids(records, b"k" * 32))
    evidence = trainer.measure(start, model, used)
    assert evidence.on_global.fault("accuracy") is None
    assert evidence.on_local is not None
    assert evidence.on_local.fault("accuracy") is None
    assert evidence.on_local.n == sum(is_put_aside(data_id, 200_000) for data_id in used)
    assert evidence.on_global.candidate > evidence.on_global.reference


def test_local_test_grows_with_the_ledger() -> None:
    trainer = bound(table(60), contributions=2, local_share=300_000)
    start = trainer.initial(1)
    assert trainer.measure(start, start, frozenset()).on_local is None
    used: set[bytes] = set()
    sizes = []
    for _ in range(2):
        contribution = trainer.train(start, work(1, used))
        assert contribution is not None
        used |= set(contribution.data_ids)
        local = trainer.measure(start, start, used).on_local
        assert local is not None
        sizes.append(local.n)
    assert 0 < sizes[0] < sizes[1]
    # A revert gives records back to whoever brought them, and L shrinks again.
    assert trainer.measure(start, start, frozenset()).on_local is None


def test_a_local_test_set_of_its_own() -> None:
    own, training = table(12, seed=5), table(30)
    both = Records(
        *(np.concatenate([a, b]) for a, b in ((training.inputs, own.inputs), (training.targets, own.targets)))
    )
    trainer = bound(both, local_test=own, local_share=500_000)
    start = trainer.initial(1)
    contribution = trainer.train(start, work())
    assert contribution is not None
    assert contribution.set_aside == 0
    assert set(contribution.data_ids) == set(data_ids(training, b"k" * 32))
    local = trainer.measure(start, contribution.parameters, frozenset()).on_local
    assert local is not None
    assert local.n == 12
    assert trainer.inventory(frozenset()).tested == 12


def test_records_of_g_are_never_trained_on() -> None:
    g = table(40, seed=99)
    mixed = Records(np.concatenate([g.inputs[:5], table(9).inputs]), np.concatenate([g.targets[:5], table(9).targets]))
    contribution = bound(mixed).train(bound(mixed).initial(1), work())
    assert contribution is not None
    assert len(contribution.data_ids) == 9
    with pytest.raises(DataError, match="all records of the training data are in a test set"):
        bound(g)


def test_a_member_that_only_validates() -> None:
    trainer = bound(None)
    start = trainer.initial(1)
    assert trainer.train(start, work()) is None
    assert trainer.measure(start, start, frozenset()).on_global.n == 40
    assert trainer.inventory(frozenset()).records == 0


def test_the_same_contribution_after_a_restart() -> None:
    start = bound(table(40)).initial(1)
    first, second = (bound(table(40), contributions=2).train(start, work(9)) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first == second


def test_inventory() -> None:
    records = table(10)
    doubled = Records(np.repeat(records.inputs, 2, axis=0), np.repeat(records.targets, 2, axis=0))
    trainer = bound(doubled, contributions=2, local_share=0)
    ids = sorted(set(data_ids(records, b"k" * 32)))
    found = trainer.inventory(frozenset(ids[:3]))
    assert (found.records, found.copies, found.tested, found.used) == (20, 10, 0, 3)
    assert (found.next_trained, found.next_put_aside) == (5, 0)


def test_a_callable_is_asked_at_each_invitation() -> None:
    offered = [table(10)]
    trainer = bound(lambda: offered[-1], local_share=0)
    start = trainer.initial(1)
    first = trainer.train(start, work())
    assert first is not None
    used = set(first.data_ids)
    assert trainer.train(start, work(1, used)) is None
    more = table(25, seed=7)
    offered.append(
        Records(np.concatenate([offered[0].inputs, more.inputs]), np.concatenate([offered[0].targets, more.targets]))
    )
    second = trainer.train(start, work(1, used))
    assert second is not None
    assert set(second.data_ids) == set(data_ids(more, b"k" * 32))


def test_used_records_that_are_gone_or_changed() -> None:
    offered: list[Any] = [table(10)]
    trainer = bound(lambda: offered[-1], local_share=0)
    start = trainer.initial(1)
    contribution = trainer.train(start, work())
    assert contribution is not None
    used = set(contribution.data_ids)
    offered.append(table(10).take(range(8)))
    with pytest.raises(DataError, match="2 records that count on the ledger are gone") as caught:
        trainer.train(start, work(1, used))
    assert caught.value.code is Code.DATA_CHANGED
    changed = table(10)
    changed.inputs[3] += 1
    offered.append(changed)
    with pytest.raises(DataError, match="1 records"):
        trainer.inventory(used)
    offered.append(None)
    with pytest.raises(DataError, match="10 records"):
        trainer.train(start, work(1, used))
    assert trainer.train(start, work(1)) is None
    # Started anew, after a withdrawal that was meant, it goes on without them.
    offered.append(table(10).take(range(8)))
    assert bound(lambda: offered[-1], local_share=0).train(start, work(1, used)) is None


def test_augmentation_behind_a_callable_is_found_at_the_next_invitation() -> None:
    random = np.random.default_rng(0)
    trainer = bound(lambda: (random.standard_normal((8, FEATURES)), table(8).targets), local_share=0)
    start = trainer.initial(1)
    contribution = trainer.train(start, work())
    assert contribution is not None
    with pytest.raises(DataError, match="8 records that count"):
        trainer.train(start, work(1, set(contribution.data_ids)))


def _unreadable() -> Any:
    raise OSError("disk gone")


def test_unreadable_data() -> None:
    with pytest.raises(DataError, match="the training data could not be read"):
        bound(_unreadable)
    with pytest.raises(DataError, match="the global test set could not be read"):
        bound(table(5), global_test=_unreadable)
    inputs = table(5).inputs
    inputs[3, 0] = np.nan
    with pytest.raises(DataError, match="record 3 is NaN"):
        bound((inputs, table(5).targets))
    with pytest.raises(DataError, match="record 2 of the training data has the target 7"):
        bound((table(5).inputs, np.array([0, 1, 7, 0, 1])))
    with pytest.raises(DataError, match="the local test set: the input has the element type"):
        bound(table(5), local_test=(np.zeros((3, FEATURES), complex), [0, 1, 0]))


def test_a_task_that_cannot_be() -> None:
    with pytest.raises(CharterError, match="the metric 'recall'"):
        bound(table(5), metric="recall")
    with pytest.raises(CharterError, match="a local share of 1000000"):
        bound(table(5), local_share=1_000_000)


def test_a_candidate_that_is_not_finite_has_performance_zero() -> None:
    trainer = bound(table(5))
    good = trainer.initial(1)
    bad = Parameters({**good, "0.bias": np.full(6, np.nan, np.float32)})
    paired = trainer.measure(good, bad, frozenset()).on_global
    assert paired.candidate == 0
    assert paired.lost == paired.reference
    assert paired.fault("accuracy") is None


def test_a_candidate_of_another_model_is_refused() -> None:
    trainer = bound(table(5))
    good = trainer.initial(1)
    other = Parameters({name: tensor for name, tensor in good.items() if name != "0.bias"})
    for call in (
        lambda: trainer.measure(good, other, frozenset()),
        lambda: trainer.train(other, work()),
        lambda: trainer.model(other),
    ):
        with pytest.raises(ParametersError, match=r"without the tensor '0\.bias'"):
            call()


def test_auc_needs_both_classes() -> None:
    one_class = Records(table(6).inputs, np.zeros(6, np.int64))
    start = bound(table(5)).initial(1)
    with pytest.raises(DataError, match="a single class"):
        bound(table(5), metric="auc", global_test=one_class).measure(start, start, frozenset())
    evidence = bound(table(5), metric="auc", local_test=one_class).measure(start, start, frozenset())
    assert evidence.on_local is None
    assert evidence.on_global.fault("auc") is None


def test_members_of_one_recipe_share_the_measurement_of_g(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = TorchTrainer()
    shared = task()
    members = [recipe.bind(shared, LocalData(table(10, seed=seed))) for seed in range(3)]
    start = members[0].initial(1)
    first = members[0].measure(start, start, frozenset())
    learner = next(iter(recipe._bench._tasks.values()))[1]
    monkeypatch.setattr(learner, "outputs", None)
    assert all(member.measure(start, start, frozenset()) == first for member in members)


def test_the_step_is_searched_where_the_charter_says(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    for searched in ("own", "global", "none"):
        trainer = bound(table(60), local_share=300_000, step_search=searched)
        start = trainer.initial(1)
        score = trainer._global_test.score

        def noted(parameters: Parameters, on: str = searched, ask: Callable[[Parameters], Any] = score) -> Any:
            seen.append(on)
            return ask(parameters)

        with monkeypatch.context() as patched:
            patched.setattr(trainer._global_test, "score", noted)
            assert trainer.train(start, work()) is not None
    assert seen == ["global"] * len(STEPS)


def test_step_search_can_shorten_a_step() -> None:
    # Labels turned around for training, right for testing: a shorter step does less harm.
    good, turned = table(200), table(200)
    turned.targets[:] = 1 - turned.targets
    plain = bound(good, local_test=table(60, seed=3))
    start = plain.train(plain.initial(1), work())
    assert start is not None
    steps, right = {}, {}
    for search in ("own", "none"):
        trainer = bound(turned, local_test=table(60, seed=3), step_search=search)
        contribution = trainer.train(start.parameters, work())
        assert contribution is not None
        steps[search] = np.abs(contribution.parameters["0.weight"] - start.parameters["0.weight"]).max()
        local = trainer.measure(start.parameters, contribution.parameters, frozenset()).on_local
        assert local is not None
        right[search] = local.candidate
    assert steps["own"] / steps["none"] == pytest.approx(0.35, rel=1e-3)
    assert right["own"] > right["none"]
