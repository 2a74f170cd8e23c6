"""Coalitions with differential privacy, from training to the record, the report and ``status``."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from tests.page.reading import read
from tests.simulation.tumours import coalition, tumours

from tclearn import Charter, Result, TorchTrainer, simulate
from tclearn.coalition.accountant import cost, epsilon_ppm
from tclearn.coalition.privacy import epsilon_text
from tclearn.directory import CoalitionDirectory
from tclearn.errors import UsageError
from tclearn.learning.datasets import load, partition
from tclearn.learning.networks import paper_cnn, perceptron
from tclearn.page import Summary, render

pytest.importorskip("opacus")

EXAMPLE = {"mechanism": "example", "noise": 2.0, "clip": 1.0, "delta": 1e-5, "epsilon_max": 4}
SHOKRI = {"mechanism": "shokri", "share": 0.01, "clip": 0.05, "epsilon": 50}


def trained(
    privacy: Any, directory: Any = None, *, recipe: Any = None, contributions: int = 2, **changes: Any
) -> Result:
    parts, test = tumours()
    charter = {"name": "tumours", "model": perceptron, "arguments": {"features": 30}, "metric": "accuracy"}
    return simulate(
        Charter(**{**charter, "blocks": 8, "lambda_": 0.8, "minimum_batch": 1, "privacy": privacy, **changes}),
        members=parts,
        global_test=test,
        trainer=recipe or TorchTrainer(epochs=4, batch_size=16),
        seed=1,
        contributions=contributions,
        directory=directory,
    )


@cache
def by_example() -> Result:
    return trained({**EXAMPLE, "epsilon_max": 100})


def blocks(result: Result) -> list[Any]:
    return [chained.block for chained in result.state.blocks()]


def test_each_block_accounts_for_its_increment_and_the_account_adds_up():
    result = by_example()
    spent: dict[str, list[Any]] = {}
    for block in blocks(result)[1:]:
        assert block.privacy.event.noise_ppm == 2_000_000
        assert block.privacy.event.records == block.samples - block.set_aside
        spent.setdefault(block.contributor, []).append(block.privacy.event)
    newest = blocks(result)[-1].privacy.epsilons
    assert result.state.tip == result.state.candidates == 8  # so that nothing else was offered
    for member, events in spent.items():
        costs = [cost(event.noise_ppm, event.batch, event.records, event.steps) for event in events]
        assert newest[member] == epsilon_ppm([sum(each) for each in zip(*costs, strict=True)], 10**7)
    assert result.privacy == {member: epsilon / 1e6 for member, epsilon in newest.items()}
    assert "composed ε: hospital-1 " in str(result)


def test_simulated_noise_repeats():
    assert by_example().parameters == trained({**EXAMPLE, "epsilon_max": 100}).parameters


def test_a_member_whose_budget_is_used_up_passes(tmp_path):
    alone = blocks(by_example())[1].privacy.epsilons["hospital-1"] / 1e6
    result = trained({**EXAMPLE, "epsilon_max": round(alone * 1.1, 3)})
    assert [step.status for step in result.steps] == ["accepted"] * 4
    assert "or the privacy budget to offer it" in str(result)
    assert max((result.privacy or {}).values()) <= alone * 1.1
    result.export(tmp_path / "record.tclearn").verify()


@pytest.mark.parametrize("privacy", [EXAMPLE, SHOKRI], ids=["example", "shokri"])
def test_report_and_status_show_what_each_member_has_spent(tmp_path, tclearn_status, privacy):
    result = trained(privacy, tmp_path / "home", blocks=2)
    epsilons = blocks(result)[-1].privacy.epsilons
    page = read(render(result.state, Summary("00", 0)))
    table = page.named("members").one("table")
    rows = {row[0]: row for row in table.rows()}
    assert "ε spent" in table.one("thead").text
    for member, epsilon in epsilons.items():
        assert epsilon_text(epsilon) in rows[member]
    certificate = page.named("block-1").text
    assert "ε spent so far" in certificate
    assert ("steps of 16 in" if privacy is EXAMPLE else "parameters, clipped to 0.05") in certificate
    assert ("by example (DP-SGD)" if privacy is EXAMPLE else "not private by example") in page.named("charter").text
    with CoalitionDirectory.open(tmp_path / "home") as home:
        assert home.state.epsilon_ppm(result.state.members[0]) == epsilons[result.state.members[0]]
    said, told = tclearn_status(tmp_path / "home")
    for member, epsilon in epsilons.items():
        assert f"{member} {epsilon_text(epsilon)}" in said
    assert told["privacy"]["epsilon"] == {member: epsilon / 1e6 for member, epsilon in epsilons.items()}
    assert told["privacy"]["mechanism"] == privacy["mechanism"]


def test_without_a_mechanism_nothing_of_it_is_on_the_record():
    result = coalition()
    assert result.privacy is None
    assert all(block.privacy is None and "privacy" not in block.to_value() for block in blocks(result))
    assert "ε" not in render(result.state, Summary("00", 0))


def test_selective_sharing_changes_no_more_than_the_share():
    result = trained(SHOKRI)
    events = [block.privacy.event for block in blocks(result)[1:]]
    assert events and {event.mechanism for event in events} == {"shokri"}
    numbers = sum(tensor.size for tensor in result.parameters.values())
    assert all(event.released <= numbers // 100 for event in events)
    times = [blocks(result)[-1].privacy.epsilons[member] / 1e6 for member in result.state.members]
    assert times == [2 * (numbers // 100) * 50] * 4


def test_a_classifier_of_scikit_learn_cannot_be_private_by_example():
    with pytest.raises(UsageError, match="cannot clip the gradients of single records"):
        coalition(privacy=EXAMPLE)


@pytest.mark.slow
def test_digits_can_be_learned_with_privacy_by_example():
    data = load("digits")
    result = simulate(
        Charter(
            name="digits",
            model=paper_cnn,
            arguments={"channels": 1, "side": 8, "filters": 32, "hidden": 128, "classes": 10},
            metric="accuracy",
            blocks=4,
            privacy={"mechanism": "example", "noise": 1.5, "clip": 0.5, "delta": 1e-5, "epsilon_max": 8},
        ),
        members=partition(data, 4, 1),
        global_test=data.test,
        trainer=TorchTrainer(optimizer=_sgd(), epochs=10, batch_size=64, learning_rate=0.5),
        seed=1,
    )
    assert result.performance[-1] > 0.8
    assert all(5 < epsilon < 8 for epsilon in (result.privacy or {}).values())


def _sgd() -> Any:
    import torch

    return torch.optim.SGD


@pytest.fixture
def tclearn_status(capsys):
    from tclearn.cli.status import status

    def run(directory):
        status(directory)
        said = capsys.readouterr().out
        status(directory, as_json=True)
        return said.replace("\n", " "), json.loads(capsys.readouterr().out)

    return run
