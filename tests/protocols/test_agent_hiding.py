"""What a member hides: nothing that anybody may have seen, whatever came too late or was lost."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
from tests.protocols.world import LOOKING, World, signer, verdict

from tclearn.agents import Site
from tclearn.agents.outbox import MemoryOutbox
from tclearn.coalition.hidden import Part
from tclearn.encoding import Digest, MemberId
from tclearn.errors import Code, StorageError
from tclearn.learning.data_ids import record_digests
from tclearn.learning.hidden import divide, read_part, without
from tclearn.learning.records import Records
from tclearn.ledger import Call, Duty
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn.agent import Participant
from tclearn.protocols.tclearn.hiding import hide_subject, parts_before
from tclearn.store.memory import MemoryStore

KEEPER = MemberId("m01")


@dataclass
class Few:
    """A trainer with test records that nobody has seen, in two parts."""

    records: Records

    def hidden_parts(self, earlier: Set[Digest]) -> Sequence[Records]:
        fresh = without(self.records, earlier)
        return divide(fresh, 2) if fresh else ()

    def compare(self, *_: Any) -> None: ...


def numbered(count: int) -> Records:
    return Records(np.arange(count, dtype=np.float32)[:, None], np.zeros(count, np.int64))


@dataclass
class View:
    """The ledger as far as hiding looks at it."""

    world: World

    def state(self) -> Any:
        return self.world.state


class Counted(MemoryStore):
    """Counts what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.read = 0

    def get(self, name: Digest, *, size_max: int) -> bytes:
        self.read += 1
        return super().get(name, size_max=size_max)


@dataclass
class Hiding:
    """One keeper's agent in a world in which nobody else keeps parts."""

    trainer: Few
    world: World = field(default_factory=lambda: World(4, rule=LOOKING))

    def __post_init__(self) -> None:
        self.participant = Participant(self.world.contract)
        self.view = View(self.world)
        self.drafts, self.store, self.outbox = Counted(), Counted(), MemoryOutbox()
        self.site = Site(
            member=KEEPER,
            signer=signer(KEEPER),
            coalition=self.world.charter.digest,
            store=self.store,
            drafts=self.drafts,
            trainer=cast(Any, self.trainer),
            outbox=self.outbox,
            clock_ms=lambda: self.world.now,
            secret=b"s" * 32,
        )

    def restart(self) -> None:
        self.participant = Participant(self.world.contract)

    def performed(self, duty: Duty) -> Call | None:
        call = self.participant.perform(duty, cast(Any, self.view), self.site)
        if call is not None:
            self.outbox.put(duty.id, call)
        return call

    def hide(self) -> calls.Hide | None:
        first = parts_before(self.world.state, KEEPER)
        call = self.performed(Duty("hide", hide_subject(first), KEEPER, None))
        if call is None:
            return None
        said = calls.Hide.from_value(call.arguments, "call")
        self.world.say(KEEPER, said)
        return said

    def spend(self, *, late: bool, shown: bool = True) -> Part | None:
        """The keeper is asked for a part by somebody's candidate; perhaps its call comes too late."""
        world = self.world
        member = world.state.turn.member
        if member == KEEPER:
            world.say(KEEPER, calls.Pass(world.state.block(world.state.tip).hash, world.state.turn.number))
            member = world.state.turn.member
        assert member is not None
        candidate = world.offer(member)
        assert candidate.asked is not None and candidate.asked.keeper == KEEPER
        said = None
        if shown:
            call = self.performed(Duty("show", candidate.round, KEEPER, None))
            assert call is not None
            said = calls.Show.from_value(call.arguments, "call")
        if late or said is None:
            world.timeout()
        else:
            world.say(KEEPER, said)
        candidate = world.state.candidate(candidate.number)
        assert candidate.status == "testing"
        # The next height begins, at which the keeper is asked again.
        assert world.vote(candidate, verdict(60)).status == "accepted"
        world.chain()
        return Part(KEEPER, said.number, said.locator, said.records, said.n) if said else None

    def seen(self) -> set[Digest]:
        """Records of every file in the store."""
        files = (self.store.get(name, size_max=1 << 20) for name in self.store._objects)
        return {digest for data in files for digest in record_digests(read_part(data))}

    def hidden(self, said: calls.Hide) -> set[Digest]:
        """Records of the parts that a call commits to."""
        found = set()
        for promise in said.parts:
            decided = self.outbox.get(Duty("show", promise, KEEPER, None).id)
            assert decided is not None
            locator = calls.Show.from_value(decided.arguments, "outbox").locator
            found |= set(record_digests(read_part(self.drafts.get(locator, size_max=1 << 20))))
        return found


def test_what_was_shown_too_late_is_not_hidden_again() -> None:
    keeper = Hiding(Few(numbered(40)))
    first = keeper.hide()
    assert first is not None and len(keeper.hidden(first)) == 40
    for _ in first.parts:
        keeper.spend(late=True)
    assert len(keeper.seen()) == 40
    assert keeper.hide() is None, "everybody may have everything"
    keeper.trainer.records = numbered(50)
    keeper.restart()
    second = keeper.hide()
    assert second is not None
    assert len(keeper.hidden(second)) == 10
    assert keeper.hidden(second).isdisjoint(keeper.seen())
    for late in (True, False):
        keeper.spend(late=late)
    keeper.trainer.records = numbered(53)
    keeper.restart()
    third = keeper.hide()
    assert third is not None, "and so is the batch before the last, which only the outbox knows"
    assert len(keeper.hidden(third)) == 3
    assert keeper.hidden(third).isdisjoint(keeper.seen())


def test_a_lost_file_is_read_from_the_store_and_one_that_nobody_saw_is_no_obstacle() -> None:
    keeper = Hiding(Few(numbered(40)))
    first = keeper.hide()
    assert first is not None
    keeper.spend(late=False)
    keeper.spend(late=True, shown=False)
    keeper.drafts._objects.clear()
    keeper.restart()
    second = keeper.hide()
    assert second is not None
    assert len(keeper.hidden(second)) == 20
    assert keeper.hidden(second).isdisjoint(keeper.seen())


def test_a_file_is_read_once_in_the_life_of_a_process() -> None:
    keeper = Hiding(Few(numbered(40)))
    first = keeper.hide()
    assert first is not None
    for _ in first.parts:
        keeper.spend(late=False)
    keeper.trainer.records = numbered(44)
    before = keeper.drafts.read
    assert keeper.hide() is not None
    assert keeper.drafts.read == before + 2
    for _ in range(2):
        keeper.spend(late=False)
    keeper.trainer.records = numbered(48)
    before = keeper.drafts.read
    assert keeper.hide() is not None
    assert keeper.drafts.read == before + 2, "only the newest two"


class Granting(Counted):
    """A store that has been put things, and hands out none of them: no access to them is on the ledger."""

    def get(self, name: Digest, *, size_max: int) -> bytes:
        raise StorageError(Code.VAULT, "no access to the object")


def test_at_level_b_a_lost_part_that_was_never_announced_is_no_obstacle() -> None:
    """The vault hands out what the ledger names; of what it names and the keeper has lost, nobody knows the records."""
    keeper = Hiding(Few(numbered(40)))
    keeper.site = replace(keeper.site, store=Granting())
    assert keeper.hide() is not None
    announced = keeper.spend(late=False)
    assert announced is not None
    keeper.spend(late=True, shown=False)
    kept = keeper.drafts._objects[announced.locator]
    keeper.drafts._objects.clear()
    keeper.restart()
    assert keeper.hide() is None, "others have seen one part, and it cannot say which records that are"
    keeper.drafts._objects[announced.locator] = kept
    keeper.restart()
    second = keeper.hide()
    assert second is not None
    seen = set(record_digests(read_part(keeper.drafts.get(announced.locator, size_max=1 << 20))))
    assert len(keeper.hidden(second)) == 20 and keeper.hidden(second).isdisjoint(seen)
