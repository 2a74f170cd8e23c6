"""Members of a world that do their duty, or not: silent from some phase on, lying, or asleep for a while."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from tests.protocols.deepchain.world import World, number

from tclearn.encoding import MemberId, digest
from tclearn.ledger import Duty, Rejected
from tclearn.protocols.deepchain import calls
from tclearn.protocols.deepchain.batches import NO_PROOF
from tclearn.protocols.deepchain.refusals import Refusal
from tclearn.protocols.deepchain.times import PHASES
from tclearn.records import Record

Lie = Callable[[World, Duty], Record | None]


def silent(world: World, duty: Duty) -> Record | None:
    return None


def wrong_gradient(world: World, duty: Duty) -> Record | None:
    """A batch that its proof is not for."""
    (items, proof), *rest = world.gradient(duty.member)
    root = world.put([([*items[:-1], number(1 << 60)], proof), *rest])
    return calls.Contribute(world.iteration.number, root, digest("file"))


def copied_gradient(world: World, duty: Duty) -> Record | None:
    """The gradient of another party, proof and all."""
    others = [each for party, each in world.iteration.gradients.items() if party != duty.member]
    if not others:
        return world.honest(duty)
    return calls.Contribute(world.iteration.number, others[0].root, others[0].locator)


def withheld_gradient(world: World, duty: Duty) -> Record | None:
    return calls.Contribute(world.iteration.number, digest("nobody has it", duty.member), digest("file"))


def approve_all(world: World, duty: Duty) -> Record | None:
    return calls.Verify(world.iteration.number, tuple(map(MemberId, sorted(world.iteration.gradients))))


def approve_none(world: World, duty: Duty) -> Record | None:
    return calls.Verify(world.iteration.number, ())


def wrong_sum(world: World, duty: Duty) -> Record | None:
    said = world.honest(duty)
    assert isinstance(said, calls.Update)
    batches = [(list(items), proof) for items, proof in world.sums()]
    batches[-1][0][-1] = number(7)
    return replace(said, root=world.put(batches))


def sum_of_its_own(world: World, duty: Duty) -> Record | None:
    """A sum in which a gradient is missing."""
    said = world.honest(duty)
    assert isinstance(said, calls.Update)
    own = world.store[world.iteration.gradients[world.iteration.counted[0]].root]
    return replace(said, root=world.put([(items, NO_PROOF) for items, _ in own]))


def check_wrongly(world: World, duty: Duty) -> Record | None:
    said = world.honest(duty)
    assert isinstance(said, calls.Check)
    return replace(said, right=1 - said.right)


def deny_the_sum(world: World, duty: Duty) -> Record | None:
    return calls.Take(world.iteration.number, 0)


def wrong_shares(world: World, duty: Duty) -> Record | None:
    (items, proof), *rest = world.shares(duty.member)
    root = world.put([([number(9), *items[1:]], proof), *rest])
    return calls.Share(world.iteration.number, root, digest("file"))


def withheld_shares(world: World, duty: Duty) -> Record | None:
    return calls.Share(world.iteration.number, digest("no share", duty.member), digest("file"))


def wrong_report(world: World, duty: Duty) -> Record | None:
    honest = tuple(MemberId(p) for p in sorted(world.iteration.shares) if p != duty.member)
    return calls.Report(world.iteration.number, honest, digest("another sum", duty.member))


LIES: Mapping[str, tuple[Lie, ...]] = {
    "contribute": (silent, wrong_gradient, copied_gradient, withheld_gradient),
    "verify": (silent, approve_all, approve_none),
    "attach": (silent,),
    "update": (silent, wrong_sum, sum_of_its_own),
    "check": (silent, check_wrongly),
    "append": (silent,),
    "take": (silent, deny_the_sum),
    "share": (silent, wrong_shares, withheld_shares),
    "report": (silent, wrong_report),
    "timeout": (silent,),
}
"""What a faulty member may say instead, by duty."""


@dataclass
class People:
    """All members of a world, and how each behaves.

    Attributes:
        world: theirs.
        lies: of each faulty member, what it says instead, by duty; a list is one of them, drawn each time.
        asleep: who says nothing for now, though it is honest.
        watchful: whether honest members show what is wrong.
    """

    world: World
    lies: Mapping[str, Mapping[str, tuple[Lie, ...]]] = field(default_factory=dict)
    seed: int = 0
    asleep: set[str] = field(default_factory=set)
    watchful: bool = True

    def __post_init__(self) -> None:
        self.choose = random.Random(self.seed)
        self._decided: dict[bytes, Record | None] = {}

    @property
    def honest(self) -> list[MemberId]:
        return [member for member in self.world.members if member not in self.lies]

    def one_round(self) -> bool:
        """Everybody in some order does what it has to do now; whether anybody has spoken."""
        order = list(self.world.members)
        self.choose.shuffle(order)
        spoken = [self.act(member) for member in order]  # all of them, not only up to the first
        return any(spoken)

    def one_word(self) -> bool:
        """The first member that has something to do does it; whether anybody has spoken."""
        return any(self.act(member) for member in self.world.members)

    def until(self, phase: str) -> World:
        """One word at a time, until a phase has just begun."""
        for _ in range(1000):
            iteration = self.world.state.iteration
            if iteration is not None and iteration.phase == phase:
                return self.world
            assert self.one_word(), f"they stop before {phase}"
        raise AssertionError(f"never {phase}")

    def act(self, member: MemberId) -> bool:
        """A member does its first duty that it has something to say to."""
        if member in self.asleep:
            return False
        if self.watchful and member not in self.lies and self._accuse(member):
            return True
        for duty in self.world.duties(member):
            said = self.decide(duty)
            if said is not None:
                self._say(member, said)
                return True
        return False

    def decide(self, duty: Duty) -> Record | None:
        """What a member says to a duty: decided once, as an outbox has it."""
        if duty.id not in self._decided:
            lies = self.lies.get(duty.member, {}).get(duty.kind)
            lie = self.choose.choice(lies) if lies else None
            self._decided[duty.id] = lie(self.world, duty) if lie else self.world.honest(duty)
        return self._decided[duty.id]

    def run(self, rounds: int = 400) -> None:
        """Until nobody has anything to do: then time passes to the next deadline; at the end nothing is due."""
        world = self.world
        for _ in range(rounds):
            if self.one_round():
                continue
            deadline = self.deadline_ms()
            if deadline is None:
                return
            world.now = max(world.now, deadline)

    def deadline_ms(self) -> int | None:
        from tclearn.protocols.deepchain.duties import running_deadline

        deadline = running_deadline(self.world.state)
        return None if deadline is None else deadline.due_ms

    def _accuse(self, member: MemberId) -> bool:
        world, iteration = self.world, self.world.state.iteration
        if iteration is None:
            return False
        said: Record | None = None
        phase = PHASES.index(iteration.phase)
        if phase <= 2:
            for party in set(iteration.gradients) - set(iteration.convicted):
                batch = world.wrong_batch(party)
                said = world.accusation(party, batch) if batch is not None else said
        elif 4 <= phase <= 6 and not world.sum_is_right() and iteration.sum and iteration.sum.root in world.store:
            wrong = (
                (batch, index)
                for batch, ((right, _), (items, _)) in enumerate(zip(world.sums(), world.summed(), strict=True))
                for index, (one, other) in enumerate(zip(right, items, strict=True))
                if one != other
            )
            said = world.disputed(*next(wrong))
        elif phase >= 7:
            for party in set(iteration.shares) - set(iteration.unshared):
                batch = world.wrong_share(party) if iteration.shares[party].root in world.store else None
                said = world.challenged(party, batch) if batch is not None else said
        return said is not None and self._say(member, said)

    def _say(self, member: MemberId, said: Record) -> bool:
        try:
            self.world.say(member, said)
        except Rejected as refused:
            # Somebody was faster, or it is over.
            assert Refusal(refused.code) in (Refusal.ALREADY_DONE, Refusal.TOO_LATE, Refusal.WRONG_PHASE), refused
            return False
        return True
