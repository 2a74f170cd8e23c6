"""Coalitions with real models: scikit-learn and torch, local tests, members that vote only, all data in one place."""

from __future__ import annotations

import numpy as np
import pytest
from tests.simulation.tumours import coalition, tumours

from tclearn import TorchTrainer
from tclearn.learning.networks import perceptron
from tclearn.simulation.demo import Demo, DemoOptions


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_demo_comes_within_two_points_of_all_data_in_one_place(tmp_path, seed):
    demo = Demo.prepare(DemoOptions(seed=seed), tmp_path / "demo")
    try:
        result = demo.run()
    finally:
        demo.close()
    assert len(result.result.blocks) == 10
    assert result.result.performance[-1] >= result.centralised - 0.02
    assert result.centralised > 0.9
    result.export.verify()


def test_a_logistic_regression_of_several_hospitals():
    from sklearn.linear_model import LogisticRegression

    result = coalition()
    assert [step.status for step in result.steps] == ["accepted"] * 4
    assert result.performance[-1] > 0.93
    parts, (x, y) = tumours()
    # What comes out is a fitted estimator, as good as the members said.
    assert isinstance(result.model, LogisticRegression)
    assert result.model.score(x, y) == pytest.approx(result.performance[-1], abs=1e-9)
    # And as good as fitting once on everybody's records.
    pooled = [np.concatenate([part[side] for part in parts.values()]) for side in (0, 1)]
    assert result.performance[-1] >= LogisticRegression().fit(*pooled).score(x, y) - 0.02


def test_the_record_says_what_has_trained():
    assert coalition(blocks=1).charter.trainer == "sklearn"
    network = {"model": perceptron, "arguments": {"features": 30}, "trainer": TorchTrainer(epochs=1)}
    assert coalition(blocks=1, **network).charter.trainer == "torch"


def test_the_trained_network_gives_the_performance_on_record():
    import torch

    _, (x, y) = tumours()
    result = coalition(
        model=perceptron,
        arguments={"features": 30},
        trainer=TorchTrainer(epochs=10, batch_size=16, threads=1),
        blocks=3,
    )
    network = perceptron(30)
    network.load_state_dict(result.model)
    with torch.no_grad():
        right = (network(torch.tensor(x)).argmax(1).numpy() == y).mean()
    assert right == pytest.approx(result.performance[-1], abs=1e-9)


def test_put_aside_records_make_the_local_test_and_are_not_trained_on():
    result = coalition()
    for chained in list(result.state.blocks())[1:]:
        block = chained.block
        assert 0.1 < block.set_aside / block.samples < 0.3
    last = result.blocks[-1]
    put_aside = {block.block.contributor: block.block.set_aside for block in result.state.blocks()}
    assert {ballot.member: ballot.local_n for ballot in last.ballots} == {
        ballot.member: put_aside[ballot.member] for ballot in last.ballots
    }


def test_nobody_has_a_local_test_before_its_first_contribution():
    first = coalition().blocks[0]
    assert [(ballot.local_n, ballot.on_local) for ballot in first.ballots] == [(0, None)] * 3


def test_local_tests_may_be_given():
    parts, _ = tumours()
    own = {"hospital-2": tuple(side[:20] for side in parts["hospital-2"])}
    members = {**parts, "hospital-2": tuple(side[20:] for side in parts["hospital-2"])}
    result = coalition(members=members, local_tests=own)
    for step in result.blocks:
        for ballot in step.ballots:
            if ballot.member == "hospital-2":
                assert ballot.local_n == 20 and ballot.on_local is not None
    contributed = result.state.block(2)
    assert (contributed.contributor, contributed.set_aside) == ("hospital-2", 0)
    assert contributed.samples == len(members["hospital-2"][0])


def test_members_without_data_validate_and_never_propose():
    parts, _ = tumours()
    result = coalition(members={**parts, "hospital-3": None}, blocks=3)
    assert {step.member for step in result.steps} == {"hospital-1", "hospital-2", "hospital-4"}
    for step in result.blocks:
        (ballot,) = [ballot for ballot in step.ballots if ballot.member == "hospital-3"]
        assert (ballot.vote, ballot.on_local, ballot.local_n) == ("yes", None, 0)


def test_votes_only_where_local_results_are_private():
    result = coalition(local_results="vote")
    assert len(result.blocks) == 4
    for step in result.blocks:
        assert all(ballot.on_local is None for ballot in step.ballots)
        assert step.performance is not None


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "auc"])
def test_every_metric_of_classifiers(metric):
    result = coalition(metric=metric)
    assert len(result.blocks) == 4 and 0.9 < result.performance[-1] <= 1


@pytest.mark.parametrize("turns", ["lease", "free"])
def test_turns(turns):
    assert len(coalition(turns=turns).blocks) == 4
