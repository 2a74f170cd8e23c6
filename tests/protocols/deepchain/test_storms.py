"""Coalitions with faulty members and sleeping ones, from a seed: they agree, lose no coin, and get on once it is over.

Faulty are at most f of the parties and f of the workers; each lies, in its own way, at some of its duties or at all.
While the storm lasts any member may sleep for a while, so that deadlines pass without it. After it, all that are
honest are awake, and training has to end.
"""

from __future__ import annotations

import random

import pytest
from tests.protocols.deepchain.people import LIES, Lie, People
from tests.protocols.deepchain.world import Plain, World, terms

from tclearn.coalition.quorum import faulty_max
from tclearn.encoding import Value, encode
from tclearn.ledger import Context, Rejected
from tclearn.protocols.deepchain import DeepChain, calls
from tclearn.protocols.deepchain.records import COMPLETE, SUMS, WAITING

SIZES = ((4, 4, False), (4, 4, True), (5, 4, False), (7, 4, False), (4, 7, False))


class Storm:
    """One seed's coalition."""

    def __init__(self, seed: int) -> None:
        choose = self.choose = random.Random(seed)
        parties, workers, both = choose.choice(SIZES)
        made = terms(parties, workers, both=both, voids=1000, iterations=2, coins=100_000)
        self.world = World(made)
        faulty = set(choose.sample(made.parties, choose.randrange(faulty_max(parties) + 1)))
        if not both:
            faulty |= set(choose.sample(made.workers, choose.randrange(faulty_max(workers) + 1)))
        self.people = People(self.world, {member: self._lies() for member in sorted(faulty)}, seed)
        self.slept: set[str] = set()

    def _lies(self) -> dict[str, tuple[Lie, ...]]:
        choose = self.choose
        lying = choose.sample(sorted(LIES), choose.randrange(1, 4))
        lies: dict[str, tuple[Lie, ...]] = {kind: LIES[kind] for kind in lying}
        if choose.random() < 0.5:  # not always
            lies = {kind: (*each, World.honest) for kind, each in lies.items()}
        return lies

    def run(self) -> None:
        people = self.people
        for _ in range(self.choose.randrange(25)):
            self.fall_asleep()
            if people.one_round() or not self.pass_time():
                continue
        people.asleep.clear()
        people.run(600)

    def fall_asleep(self) -> None:
        if self.choose.random() < 0.3:
            count = self.choose.randrange(len(self.people.honest) + 1)
            self.people.asleep = set(self.choose.sample(self.people.honest, count))
            self.slept |= self.people.asleep

    def pass_time(self) -> bool:
        deadline = self.people.deadline_ms()
        # The storm is shorter than the group's patience: otherwise it would rightly be dissolved.
        if deadline is None or self.world.state.iteration is None or self.world.state.group.status == WAITING:
            self.people.asleep.clear()
            return False
        self.world.now = max(self.world.now, deadline)
        return True


@pytest.mark.parametrize("seeds", [range(start, start + 50) for start in range(0, 500, 50)], ids=lambda r: f"{r.start}")
def test_what_must_hold_holds_in_any_storm(seeds):
    empty = lost = 0
    for seed in seeds:
        storm = Storm(seed)
        storm.run()
        state = storm.world.state
        assert state.accounts.fault() is None, seed
        assert (state.group.status, state.group.rounds) == (COMPLETE, 2), f"seed {seed}: training has not ended"
        assert not any(state.accounts.locked.values()), seed
        for member in storm.people.honest:
            if member not in storm.slept:
                joined = state.joined(member)
                assert joined is not None and joined.losses == 0, f"seed {seed}: {member} has lost a deposit"
        empty += sum(state.block(number).kind != SUMS for number in range(state.group.blocks))
        lost += sum(joined.losses for joined in state.group.joined.values())
    assert empty > 5 and lost > 50, "there was a storm"


def test_who_replays_a_storm_comes_to_the_same_state():
    for seed in range(20):
        storm = Storm(seed)
        storm.run()
        world = storm.world
        contract = DeepChain(world.terms, Plain(world.terms.key.weights))
        view: dict[str, Value] = {key: value for key, value in contract.genesis().items() if value is not None}
        for index, (sender, said, now) in enumerate(world.log):
            try:
                writes = contract.apply(view, calls.call(said), Context(index, now, sender))
            except Rejected:
                continue
            view = {key: value for key, value in {**view, **writes}.items() if value is not None}
        assert encode(view) == encode(dict(world.view)), seed
