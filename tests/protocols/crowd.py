"""Members that do their duty about half of the time, and otherwise say anything."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace

from tests.protocols.world import MINUTE, World, chain_secret, ids, measured, verdict

from tclearn.coalition.verdict import Verdict
from tclearn.encoding import Digest, MemberId, digest
from tclearn.identity.seed_chain import tip
from tclearn.ledger import Duty, Rejected
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn.duties import deadlines, reveal_subject
from tclearn.protocols.tclearn.records import Candidate
from tclearn.protocols.tclearn.sealing import to_endorse
from tclearn.records import Record


class Crowd:
    """All members of a world, one word at a time."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.choose = random.Random(seed)

    def step(self, *, late: bool = False) -> None:
        """Somebody says something, and time passes; with ``late`` so much that deadlines pass too."""
        world, choose = self.world, self.choose
        member = choose.choice(world.members)
        arguments = self.anything(member) if choose.random() < 0.5 else self.duty(member)
        world.now += choose.choice([0, 1, 1000, 1000, 60_000]) if not late else choose.choice([0, 30 * MINUTE])
        if arguments is not None:
            with suppress(Rejected):
                world.say(member, arguments)

    def duty(self, member: MemberId) -> Record | None:
        """What the member says to its most pressing duty."""
        duties = self.world.contract.duties(self.world.state, member, self.world.now)
        return next((self.answer(duty, member) for duty in duties), None)

    def answer(self, duty: Duty, member: MemberId) -> Record | None:
        world, state = self.world, self.world.state
        if duty.kind == "propose":
            return self.proposal()
        if duty.kind in ("seal", "finalize"):
            height = state.tip + 1
            return calls.Seal(height, world.link(member)) if duty.kind == "seal" else calls.Finalize(height)
        if duty.kind == "endorse":
            chained = next(each for each in to_endorse(state) if each.block.hash == duty.subject)
            return world.endorsement(member, chained)
        if duty.kind == "timeout":
            return calls.Timeout(duty.subject)
        if duty.kind == "renew":
            return calls.Renew(tip(chain_secret(member, state.seed_chain(member).epoch + 1)))
        if duty.kind == "hide":
            return world.hiding(member)
        candidates = [state.candidate(number) for number in range(state.candidates)]
        if duty.kind == "reveal":
            candidate = next(each for each in candidates if reveal_subject(each) == duty.subject)
            return calls.Reveal(candidate.id, candidate.attempt, self.verdict(candidate, member), b"salt")
        candidate = next(each for each in candidates if each.round == duty.subject)
        if duty.kind == "release":
            return calls.Release(candidate.id)
        if duty.kind == "show":
            # As if it were asked: whoever is not is refused for that.
            return (
                world.showing(candidate)
                if candidate.asked
                else calls.Show(candidate.id, 0, 0, digest("x"), digest("x"), 1, b"")
            )
        return world.commitment(member, candidate, self.verdict(candidate, member))

    def verdict(self, candidate: Candidate, member: str) -> Verdict:
        honest = random.Random(f"{candidate.id.hex()}{member}")  # what it commits to and reveals is the same
        said = verdict(honest.choice([60, 60, 60, 61, 10]), local=honest.choice([None, measured(5, 5, 10)]))
        if candidate.hidden_n is None or said.evidence is None:
            return said
        agreed = random.Random(candidate.id.hex())
        drift = measured(agreed.choice([5, 30, 35]), 35, candidate.hidden_n) if self.world.state.drifting else None
        hidden = honest.choice([None, measured(30, 35, candidate.hidden_n)])
        return replace(said, evidence=replace(said.evidence, on_hidden=hidden, drift=drift))

    def proposal(self) -> calls.Propose:
        world, choose = self.world, self.choose
        newest = world.state.block(choose.choice([world.state.tip, world.state.tip, 0]))
        start = choose.randrange(60)
        records = ids(*range(start * 10, start * 10 + 10))
        return calls.Propose(newest.hash, digest("model", choose.randrange(500)), digest("f"), 10, 1, records)

    def anything(self, member: str) -> Record:
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
                calls.Hide(
                    choose.randrange(3), tuple(Digest(choose.randbytes(32)) for _ in range(choose.randrange(3)))
                ),
                calls.Show(name, 0, choose.randrange(3), digest("file"), digest("x"), choose.randrange(2), b""),
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
                calls.Renew(tip(chain_secret(member, 1))),
            ]
        )
