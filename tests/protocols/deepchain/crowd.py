"""Members that do their duty about half of the time, and otherwise say anything."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from tests.protocols.deepchain.people import LIES, People
from tests.protocols.deepchain.world import World, chain_links, declaration, number

from tclearn.encoding import Digest, MemberId, digest
from tclearn.ledger import Rejected
from tclearn.protocols.deepchain import calls
from tclearn.protocols.deepchain.duties import running_deadline
from tclearn.protocols.deepchain.refusals import Refusal
from tclearn.records import Record


class Crowd:
    """All members of a world, one word at a time.

    Args:
        world: theirs.
        seed: draws everything.
        loyal: who only ever does its duty, at once, before time passes.
        pace: milliseconds that may pass after a word; one of them is drawn.
        after: called after every word.
    """

    def __init__(
        self,
        world: World,
        seed: int,
        loyal: frozenset[str] = frozenset(),
        pace: tuple[int, ...] = (0, 0, 1, 500, 30_000),
        after: Callable[[], None] = lambda: None,
    ) -> None:
        self.world = world
        self.choose = random.Random(seed)
        self.loyal = loyal
        self.pace = pace
        self.after = after
        self.others = [member for member in world.members if member not in loyal]
        # Honest answers, decided once each; the crowd's lies are drawn anew at every word.
        self.people = People(world, {member: {} for member in self.others}, seed)
        self.refusals: set[Refusal] = set()

    def step(self) -> None:
        """The loyal do their duties; then somebody says something, and time passes."""
        world, choose = self.world, self.choose
        self.after()
        self.listen_to_the_loyal()
        member = choose.choice(self.others)
        said = self.anything(member) if choose.random() < 0.3 else self.duty(member)
        if said is not None:
            try:
                world.say(member, said)
            except Rejected as refused:
                self.refusals.add(Refusal(refused.code))
        self.after()
        self.listen_to_the_loyal()
        world.now += choose.choice(self.pace)

    def listen_to_the_loyal(self) -> None:
        """Until none of them has anything to do."""
        while any(self.people.act(MemberId(member)) for member in sorted(self.loyal)):
            self.after()

    def duty(self, member: MemberId) -> Record | None:
        duties = self.world.duties(member)
        if not duties:
            return None
        duty = self.choose.choice(duties)
        lies = LIES.get(duty.kind, ())
        lie = self.choose.choice(lies) if lies and self.choose.random() < 0.2 else None
        return lie(self.world, duty) if lie else self.world.honest(duty)

    def anything(self, member: str) -> Record:
        """Well-formed calls with arguments that may fit or not."""
        world, choose = self.world, self.choose
        iteration = world.state.iteration
        now, attempt = (iteration.number, iteration.attempt) if iteration else (0, 0)
        deadline = running_deadline(world.state)
        some = Digest(choose.randbytes(32))
        party = choose.choice(world.terms.parties)
        links = chain_links(member)
        used = world.state.links(MemberId(member)).used if member in world.terms.workers else 0
        block = iteration.block.hash if iteration and iteration.block else some
        head = replace(world.cosign(member), size=choose.choice([0, world.index]))
        opened = calls.Opened(number(1), (some,), some, some, ())
        empty: tuple[MemberId, ...] = ()
        said: list[Record] = [
            declaration(world, member, data=str(choose.randrange(20)), pseudonym=choose.choice(["x", "y"])),
            calls.Join(choose.choice([some, world.terms.digest]), some, some),
            calls.Stake(choose.randrange(3)),
            calls.Contribute(now, some, some),
            calls.Verify(now, choose.choice([empty, (party,), (party, party)])),
            calls.Attach(now + choose.randrange(2)),
            calls.Update(now, attempt, some, some, links[used + choose.randrange(2)]),
            calls.Check(now, attempt, choose.randrange(3)),
            calls.Append(block, head),
            calls.Take(now, choose.randrange(3)),
            calls.Share(now, some, some),
            calls.Report(now, choose.choice([empty, (party,)]), choose.choice([None, some, digest("agreed")])),
            calls.Accuse(now, party, choose.randrange(2), (number(1),), b"", ()),
            calls.Dispute(now, attempt, 0, choose.randrange(3), (opened,) * choose.randrange(5), opened),
            calls.Challenge(now, party, 0, (number(1),), (), (number(1),), b"", ()),
            calls.Timeout(deadline.subject if deadline and choose.random() < 0.7 else some),
        ]
        if iteration and iteration.phase in ("collecting", "verifying", "uploading"):
            there = [p for p, handed in iteration.gradients.items() if world.store.get(handed.root)]
            said += [world.accusation(choose.choice(there), 0)] if there else []
        return choose.choice(said)
