"""Whatever members say, the contract answers with writes or a coded refusal, and its state stays sound."""

import random
from contextlib import suppress
from fractions import Fraction

import pytest
from tests.protocols.world import World, chain_secret, ids, measured, verdict

from tclearn.coalition.quorum import quorum
from tclearn.encoding import Digest, Value, digest
from tclearn.errors import MessageError
from tclearn.identity.seed_chain import reveal as link
from tclearn.ledger import Call, Context, Rejected
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn.duties import deadlines
from tclearn.protocols.tclearn.history import history

STEPS = 700


class Crowd:
    """Members that do their duty about half of the time, and otherwise say anything."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.choose = random.Random(seed)

    def step(self) -> None:
        world, choose = self.world, self.choose
        member = choose.choice(world.members)
        arguments = self.anything(member) if choose.random() < 0.5 else self.duty(member)
        world.now += choose.choice([0, 1, 1000, 1000, 60_000])
        if arguments is not None:
            with suppress(Rejected):
                world.say(member, arguments)

    def duty(self, member):
        world = self.world
        for duty in world.contract.duties(world.state, member, world.now):
            candidate = next((c for c in world.state.open_candidates() if c.round == duty.subject), None)
            if duty.kind == "propose":
                return self.proposal()
            if duty.kind == "release" and candidate:
                return calls.Release(candidate.id)
            if duty.kind == "seal":
                epoch, used = world.state.seed_chain(member).next_link(world.state.tip + 1) or (0, 0)
                return calls.Seal(world.state.tip + 1, link(chain_secret(member, epoch), used + 1))
            if duty.kind == "endorse":
                pending = world.state.pending
                sealed = pending is not None and pending.block is not None and pending.block.hash == duty.subject
                entry = pending.entry if pending and sealed else world.state.chained(world.state.tip).entry
                return calls.Endorse(duty.subject, world.cosignature(member, (entry or 0) + 1))
            if duty.kind == "finalize":
                return calls.Finalize(world.state.tip + 1)
            if duty.kind == "timeout":
                return calls.Timeout(duty.subject)
            if duty.kind == "test" and candidate:
                said = self.verdict(candidate, member)
                world.commit(member, candidate, said)
                return None
            if duty.kind == "reveal":
                last = world.state.candidate(world.state.candidates - 1)
                return calls.Reveal(last.id, last.attempt, self.verdict(last, member), b"salt")
        return None

    def verdict(self, candidate, member):
        honest = random.Random(f"{candidate.id.hex()}{member}")  # what it commits to and reveals is the same
        return verdict(honest.choice([60, 60, 60, 61, 10]), local=honest.choice([None, measured(5, 5, 10)]))

    def proposal(self):
        world, choose = self.world, self.choose
        newest = world.state.block(choose.choice([world.state.tip, world.state.tip, 0]))
        start = choose.randrange(60)
        records = ids(*range(start * 10, start * 10 + 10))
        return calls.Propose(newest.hash, digest("model", choose.randrange(500)), digest("f"), 10, 1, records)

    def anything(self, member):
        world, choose = self.world, self.choose
        known = [world.state.candidate(number) for number in range(world.state.candidates)][-4:]
        name = choose.choice([candidate.id for candidate in known] or [digest("x")])
        blocks = [chained.block.hash for chained in world.state.blocks()][-3:]
        due = [deadline.subject for deadline in deadlines(world.state)] or [digest("y")]
        changes = world.state.changes() or [digest("z")]
        height = world.state.tip + choose.randrange(3)
        return choose.choice(
            [
                self.proposal(),
                calls.Declare(choose.choice(blocks), ids(*range(choose.randrange(900), 905))),
                calls.Release(name),
                calls.Pass(choose.choice(blocks), world.state.turn.number),
                calls.Commit(name, choose.randrange(2), Digest(choose.randbytes(32))),
                calls.Reveal(name, choose.randrange(2), verdict(choose.randrange(101)), b"salt"),
                calls.Reveal(name, 0, verdict(60, local=measured(101, 0, 100)), b""),
                calls.Timeout(choose.choice(due)),
                calls.Seal(height, Digest(choose.randbytes(32))),
                calls.Endorse(choose.choice(blocks), world.cosignature(member, choose.randrange(5))),
                calls.Finalize(height),
                calls.Request(calls.Change("revert", height, target=choose.randrange(3))),
                calls.Request(calls.Change("hyperparameters", height, values={"epochs": choose.randrange(4)})),
                calls.Approve(choose.choice(changes)),
                calls.Renew(digest("tip", choose.randrange(9))),
            ]
        )


@pytest.mark.parametrize("turns", ["lease", "free"])
@pytest.mark.parametrize("n", [2, 4, 7, 18])
@pytest.mark.parametrize("seed", range(2))
def test_a_crowd_that_says_anything_leaves_the_chain_sound(n, turns, seed):
    base = World(n).charter.schedule
    schedule = type(base)(turns, base.turn_ms, base.verdict_ms, base.seal_ms, 1, 2, stop_blocks=100)
    world = World(n, {"schedule": schedule})
    crowd = Crowd(world, seed)
    for _ in range(STEPS if n < 16 else 2 * STEPS):
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
    used = [ids for each in state.lineage(block.index) for ids in _split(state.data_ids(each.index))]
    assert len(used) == len(set(used))
    assert not (state.pending and state.open_candidates())


def _split(blob):
    return [blob[at : at + 16] for at in range(0, len(blob), 16)]


@pytest.mark.parametrize("method", sorted(calls.METHODS))
def test_malformed_arguments_are_refused_by_name(method):
    world = World(4)
    context = Context(0, 1, world.members[0])
    wrong: list[dict[str, Value]] = [{}, {"unknown": 1}, {"candidate": "text"}, {"parent": b"short"}]
    for arguments in wrong:
        with pytest.raises(MessageError, match=method):
            world.contract.apply(world.view, Call("tclearn/1", method, arguments), context)
