"""Whatever members say, the contract answers with writes or a coded refusal, and its state stays sound."""

from fractions import Fraction
from itertools import product

import pytest
from tests.protocols.crowd import Crowd
from tests.protocols.vaults import confidential
from tests.protocols.world import LOOKING, World

from tclearn.coalition.block import split_ids
from tclearn.coalition.quorum import quorum
from tclearn.encoding import Value
from tclearn.errors import MessageError
from tclearn.ledger import Call, Context
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn.history import history

STEPS = 700


@pytest.mark.parametrize("turns", ["lease", "free"])
@pytest.mark.parametrize(
    ("n", "seed", "rule"),
    [*product([2, 4, 7, 18], range(2), [None]), (4, 2, LOOKING), (7, 3, LOOKING)],
)
def test_a_crowd_that_says_anything_leaves_the_chain_sound(n, turns, seed, rule):
    base = World(n).charter.schedule
    schedule = type(base)(turns, base.turn_ms, base.verdict_ms, base.seal_ms, 1, 2, stop_blocks=100)
    world = World(n, {"schedule": schedule}, rule=rule)
    crowd = Crowd(world, seed)
    for _ in range(STEPS if n < 16 and rule is None else 2 * STEPS):
        crowd.step()
        assert_sound(world)
    assert len(history(world.state)) > 1
    if turns == "lease" and n < 16:
        assert world.state.tip > 1  # the crowd gets somewhere, or the checks above would check nothing


def assert_sound(world):
    state = world.state
    tip = state.chained(state.tip)
    block = tip.block
    assert sum(map(Fraction, block.strengths.values())) <= 2_000_000
    assert sum(block.contributions.values()) == sum(each.samples for each in state.lineage(block.index))
    if block.index:
        assert block.previous == state.block(block.index - 1).hash
        assert block.parameters in {state.block(i).parameters for i in range(block.index)} or block.kind == "increment"
    if block.kind == "increment" and block.general is not None:
        yes = sum(vote.vote == "yes" for vote in block.votes)
        assert yes >= quorum(len(block.committee))
        assert block.contributor not in block.committee
        endorsing = sum(member in tip.endorsements for member in block.committee)
        assert endorsing >= quorum(len(block.committee))
    used = [ids for each in state.lineage(block.index) for ids in split_ids(state.data_ids(each.index))]
    assert len(used) == len(set(used))
    assert not (state.pending and state.open_candidates())


@pytest.mark.parametrize("method", sorted(calls.METHODS))
def test_malformed_arguments_are_refused_by_name(method):
    world = World(4, confidential())
    context = Context(0, 1, world.members[0])
    wrong: list[dict[str, Value]] = [{}, {"unknown": 1}, {"candidate": "text"}, {"parent": b"short"}]
    for arguments in wrong:
        with pytest.raises(MessageError, match=method):
            world.contract.apply(world.view, Call("tclearn/1", method, arguments), context)
