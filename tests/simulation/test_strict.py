"""The rule ``strict`` in whole coalitions: what its guards see, on the record."""

from __future__ import annotations

import pytest
from tests.simulation.toys import toy_setting
from tests.simulation.tumours import coalition

from tclearn.errors import CharterError, DataError
from tclearn.protocols.tclearn.adversaries import EarlierIncrement, NearCopy, SignFlip
from tclearn.simulation.simulate import Simulation

SMALL_TEST = {"class_margin": 0.3, "step_min": 0.02, "step_max": 50.0}


def test_an_honest_coalition_trains_and_the_votes_have_no_objections(tmp_path):
    result = coalition(acceptance="strict", acceptance_arguments=SMALL_TEST)
    votes = [vote for chained in result.state.blocks() for vote in chained.block.votes]
    assert result.state.tip == 4
    assert votes
    assert {vote.objections for vote in votes if vote.vote == "yes"} == {()}
    result.export(tmp_path / "tumours.tclearn").verify()


@pytest.mark.parametrize(
    ("adversary", "guards"),
    [
        (NearCopy, {"step"}),
        (EarlierIncrement, {"repetition"}),
        (lambda trainer: SignFlip(trainer, 5.0), {"performance"}),
    ],
    ids=["near-copy", "repetition", "sign flip"],
)
def test_each_liar_meets_its_guard(adversary, guards):
    result = coalition(
        acceptance="strict",
        acceptance_arguments=SMALL_TEST,
        adversaries={"hospital-2": adversary},
        contributions=3,
        blocks=7,
        lambda_=0.9,
    )
    rejected = [step for step in result.steps if step.status == "rejected" and step.member == "hospital-2"]
    assert {step.reason.split(":")[0] for step in rejected} & guards


def test_arguments_that_strict_does_not_have_are_refused():
    with pytest.raises(CharterError, match="step_least_ppm is no threshold of strict"):
        coalition(acceptance="strict", acceptance_arguments={"step_least": 0.5})


def test_a_trainer_that_does_not_count_by_class_is_told_so():
    simulation = Simulation.prepare(toy_setting(acceptance="strict"))
    with pytest.raises(DataError, match="classes are counted exactly when the acceptance rule wants it"):
        simulation.run()
