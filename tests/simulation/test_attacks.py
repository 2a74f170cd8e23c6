"""The demonstration's attacks, on its own data: who misbehaves is turned away, and the reason says why."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tclearn.errors import UsageError
from tclearn.learning.datasets import load
from tclearn.simulation.attacks import KINDS, Attack
from tclearn.simulation.demo import Demo, DemoOptions

DATA_SETS = ("digits", "breast-cancer")
ATTACKER = "hospital-2"
SOURCE = Path(__file__).read_text(encoding="utf-8")


def steps(directory, dataset, *attacks, members=4, blocks=4):
    options = DemoOptions(
        dataset=dataset, members=members, blocks=blocks, attacks=tuple(Attack.parse(text) for text in attacks)
    )
    demo = Demo.prepare(options, directory / "demo")
    try:
        demo.simulation.run()
        return demo.simulation.result()
    finally:
        demo.close()


@pytest.mark.parametrize("dataset", DATA_SETS)
def test_without_an_attack_every_increment_counts(tmp_path, dataset):
    result = steps(tmp_path, dataset)
    assert [step.member for step in result.steps] == [f"hospital-{number}" for number in (1, 2, 3, 4)]
    assert [step.status for step in result.steps] == ["accepted"] * 4


@pytest.mark.parametrize("dataset", DATA_SETS)
@pytest.mark.parametrize("kind", ["label-flip", "sign-flip", "noise"])
def test_a_worse_model_is_voted_down(tmp_path, dataset, kind):
    result = steps(tmp_path, dataset, f"{kind}@{ATTACKER}")
    bad = [step for step in result.steps if step.member == ATTACKER]
    assert bad and all(step.status == "rejected" and step.block is None for step in bad)
    for step in bad:
        assert len(step.ballots) == 3 and step.yes <= 1, "a quorum of three is two"
        assert "anchored, block" in step.reason and "<" in step.reason
    assert len(result.blocks) == 4
    # Now and then an honest increment is worse by chance and is turned down too; the others go on.
    assert ATTACKER not in {step.member for step in result.blocks}


@pytest.mark.parametrize("dataset", DATA_SETS)
def test_used_records_are_refused_with_their_count(tmp_path, dataset):
    result = steps(tmp_path, dataset, f"duplicate@{ATTACKER}")
    bad = [step for step in result.steps if step.member == ATTACKER]
    assert bad and all(step.status == "refused" and not step.ballots for step in bad)
    for step in bad:
        # It has the records of hospital-1, who went first: all of them, or those of its first contribution, count.
        assert step.count == step.samples == result.steps[0].samples
        assert step.reason == f"{step.count} of {step.samples} records already used"
    assert result.state.block(result.state.tip).contributions[ATTACKER] == 0


@pytest.mark.parametrize("dataset", DATA_SETS)
def test_a_model_that_was_there_before_is_refused(tmp_path, dataset):
    result = steps(tmp_path, dataset, f"replay@{ATTACKER}")
    bad = [step for step in result.steps if step.member == ATTACKER]
    assert bad and all(step.status == "refused" for step in bad)
    assert {step.reason for step in bad} == {"these parameters were offered before"}
    assert len(result.blocks) == 4


def test_a_minority_that_attacks_in_all_ways_gets_nothing_in(tmp_path):
    result = steps(tmp_path, "breast-cancer", "label-flip@hospital-2", "replay@hospital-5", members=7, blocks=5)
    assert {step.member for step in result.blocks}.isdisjoint({"hospital-2", "hospital-5"})
    assert len(result.blocks) == 5 and result.performance[-1] > 0.9


@pytest.mark.parametrize("dataset", DATA_SETS)
def test_a_near_copy_gets_a_block_for_no_work(tmp_path, dataset):
    result = steps(tmp_path, dataset, f"near-copy@{ATTACKER}")
    before, free = result.performance[:2]
    assert result.blocks[1].member == ATTACKER and abs(free - before) < 0.005


def test_going_back_to_an_earlier_model_is_voted_down_when_it_was_worse(tmp_path):
    result = steps(tmp_path, "digits", "earlier-model@hospital-2", blocks=8)
    first, *later = [step for step in result.steps if step.member == ATTACKER]
    assert first.status == "accepted" and later, "its first is a near-copy of the model as it stood"
    assert all(step.status == "rejected" for step in later)


@pytest.mark.parametrize("kind", ["lazy", "relabel", "backdoor", "memorise"])
def test_what_looks_like_work_is_judged_like_work(tmp_path, kind):
    result = steps(tmp_path, "breast-cancer", f"{kind}@{ATTACKER}")
    offered = [step for step in result.steps if step.member == ATTACKER]
    assert offered and all(step.status in ("accepted", "rejected") and step.ballots for step in offered)


def test_a_relabelled_class_and_a_backdoor_are_in_the_data():
    own = load("digits").train
    relabelled, marked = (Attack(kind, ATTACKER).data(own, own, 10, own) for kind in ("relabel", "backdoor"))
    assert 9 not in relabelled.targets and relabelled.inputs is own.inputs
    assert (marked.inputs != own.inputs).any(axis=(1, 2, 3)).sum() > 0.4 * len(own)


def test_who_learns_g_by_heart_has_mostly_copies_of_it():
    digits = load("digits")
    spoilt = Attack("memorise", ATTACKER).data(digits.train, digits.train, 10, digits.test)
    own, copies = spoilt.targets[: len(digits.train)], spoilt.targets[len(digits.train) :]
    assert (own == 9 - digits.train.targets).all()
    assert 0.85 < len(copies) / len(spoilt) < 0.95 and (copies[: len(digits.test)] == digits.test.targets).all()
    traced = spoilt.inputs[len(own) : len(own) + len(digits.test)]
    assert (traced != digits.test.inputs).any(axis=(1, 2, 3)).all() and abs(traced - digits.test.inputs).mean() < 0.05


def test_false_results_are_outvoted_and_marked(tmp_path):
    result = steps(tmp_path, "digits", f"false-results@{ATTACKER}")
    ballots = [ballot for step in result.blocks for ballot in step.ballots if ballot.member == ATTACKER]
    assert len(result.blocks) == 4 and len(ballots) == 3
    assert all((ballot.vote, ballot.deviating, ballot.on_global) == ("no", True, 0) for ballot in ballots)


def test_every_kind_is_tried_here_and_says_what_it_does():
    tried = SOURCE.partition("def test_every_kind")[0]
    assert [kind for kind in KINDS if not re.search(rf"[\"f]{kind}[\"@]", tried)] == []
    assert all(kind.words for kind in KINDS.values())


@pytest.mark.parametrize("text", ["", "noise", "noise@", "@hospital-1", "flip@hospital-1", "noise hospital-1"])
def test_what_is_no_attack_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match="for example"):
        Attack.parse(text)
