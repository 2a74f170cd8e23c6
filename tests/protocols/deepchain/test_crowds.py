"""Whatever members say: coins are conserved, nothing is half done, a replay agrees, and the loyal never lose."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.protocols.deepchain.crowd import Crowd
from tests.protocols.deepchain.people import People
from tests.protocols.deepchain.world import Plain, World, terms

from tclearn.encoding import MemberId, Value, encode
from tclearn.errors import MessageError
from tclearn.ledger import Call, Context, Rejected
from tclearn.protocols.deepchain import DeepChain, calls
from tclearn.protocols.deepchain.records import EMPTY, ENDED, RUNNING, SUMS
from tclearn.protocols.deepchain.refusals import Refusal


def assert_sound(world: World) -> None:
    state = world.state
    accounts, group = state.accounts, state.group
    assert accounts.fault() is None
    assert (group.status == RUNNING) == (state.iteration is not None)
    if group.status in ENDED:
        assert not any(accounts.locked.values())
    if state.iteration is not None:
        iteration = state.iteration
        assert set(iteration.counted) <= set(iteration.verified) <= set(iteration.gradients) <= set(iteration.parties)
        assert not set(iteration.counted) & set(iteration.convicted)
    made = sum(sum(state.result(number).paid.values()) for number in range(1, group.rounds + 1))
    assert accounts.minted <= sum(world.terms.money.coins.values()) + made


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.booleans(), st.sampled_from([4, 5]))
def test_a_crowd_that_says_anything_loses_no_coin(seed, both, n):
    world = World(terms(n, 4, both=both, voids=50))
    People(world).until("collecting")
    crowd = Crowd(world, seed, pace=(0, 0, 0, 0, 100, 5_000))
    for _ in range(250):
        crowd.step()
        assert_sound(world)


def test_the_crowd_gets_somewhere_and_is_refused_for_many_reasons():
    refusals: set[Refusal] = set()
    rounds, kinds = 0, set()
    for seed in range(6):
        world = World(terms(voids=50, coins=3_000, iterations=20))
        loyal = {f"{role}{i:02d}" for role in "pw" for i in range(2 + seed % 2)}
        crowd = Crowd(world, seed, frozenset(loyal), pace=(0, 0, 0, 500, 7_000))
        for _ in range(200):
            crowd.step()
            assert_sound(world)
        refusals |= crowd.refusals
        rounds += world.state.group.rounds
        kinds |= {world.state.block(i).kind for i in range(world.state.group.blocks)}
    assert rounds > 5 and kinds == {SUMS, EMPTY}
    assert len(refusals) > 8, "it says what is refused, for many reasons"


@settings(max_examples=8)
@given(st.integers(0, 2**32), st.booleans())
def test_who_speaks_in_time_never_loses_whatever_up_to_f_others_say(seed, both):
    """The loyal are two thirds of the parties and of the workers; the others say anything, true or false."""
    world = World(terms(4, 4, both=both, voids=1000, iterations=50, coins=10**6))
    faulty = {"p03"} if both else {"p03", random.Random(seed).choice(["w00", "w03"])}
    loyal = frozenset(set(world.members) - faulty)
    crowd = Crowd(world, seed, loyal)
    for step in range(400):
        if step >= 60 and world.state.group.rounds:
            return
        crowd.step()
        for member in loyal:
            joined = world.state.joined(MemberId(member))
            assert joined is not None and joined.losses == 0
            assert world.coins(member) >= 10**6, "it has what it began with, and what the others have lost"
    pytest.fail("they do not get on")


@settings(max_examples=10)
@given(st.integers(0, 2**32), st.data())
def test_any_prefix_replays_to_the_same_state(seed, data):
    world = World(terms(voids=50))
    crowd = Crowd(world, seed, frozenset({"p00", "p01", "w00"}), pace=(0, 0, 0, 500, 7_000))
    states = {0: encode(dict(world.view))}
    for _ in range(120):
        crowd.step()
        states[len(world.log)] = encode(dict(world.view))
    stop = data.draw(st.sampled_from(sorted(states)))
    contract = DeepChain(world.terms, Plain(world.terms.key.weights))
    view: dict[str, Value] = {key: value for key, value in contract.genesis().items() if value is not None}
    for index, (sender, said, now) in enumerate(world.log[:stop]):
        try:
            writes = contract.apply(view, calls.call(said), Context(index, now, sender))
        except Rejected:
            continue
        view = {key: value for key, value in {**view, **writes}.items() if value is not None}
    assert encode(view) == states[stop]


@pytest.mark.parametrize("method", sorted(calls.METHODS))
def test_malformed_arguments_are_refused_by_name(method):
    world = World()
    malformed: list[Any] = [{}, {"x": 1}, [], 5, "text", b""]
    for arguments in malformed:
        with pytest.raises(MessageError, match=method):
            world.contract.apply(world.view, Call(calls.CONTRACT, method, arguments), Context(0, 0, world.members[0]))


def test_an_unknown_method_is_refused():
    world = World()
    with pytest.raises(Rejected) as refused:
        world.contract.apply(world.view, Call(calls.CONTRACT, "mint", {}), Context(0, 0, world.members[0]))
    assert refused.value.code == Refusal.UNKNOWN_METHOD
