"""A follower believes nothing: what it shows it has replayed, and of two histories it keeps both signed heads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest
from tests.ledger.notes import Board, Clock, World

from tclearn.encoding import Digest
from tclearn.errors import MessageError, UnreachableError, VerificationError
from tclearn.ledger import Head, Transaction
from tclearn.ledger.checkpoint import sign
from tclearn.ledger.engines.follower import Follower, Fork, Page, check_fork
from tclearn.ledger.engines.memory import MemoryLedger
from tclearn.ledger.evidence import Kind, check_evidence
from tclearn.ledger.replica import Applied
from tclearn.ledger.verify import Terms


@dataclass
class Log:
    """An honest source, or one whose pages somebody touches on the way."""

    world: World
    ledger: MemoryLedger[Board] = field(init=False)
    page_max: int = 100
    touched: Callable[[Page], Page] = lambda page: page
    drops: bool = False

    def __post_init__(self) -> None:
        self.ledger = MemoryLedger(self.world.contract, self.world.coalition, clock=Clock())

    def submit(self, raw: bytes) -> None:
        if not self.drops:
            self.ledger.submit(Transaction.parse(raw))

    def read(self, start: int) -> Page:
        stop = min(len(self.ledger), start + self.page_max)
        items = [(item.entry.encode(), item.results) for item in self.ledger.entries(start, stop)]
        return self.touched(Page(items, self.note(stop)))

    def note(self, size: int) -> bytes:
        return sign(self.world.log, self.world.coalition, self.ledger.head(size)).encode()


def following(log: Log) -> Follower[Board]:
    world = log.world
    return Follower(world.contract, world.coalition, world.log.public, log, Clock())


def filled(world: World, *texts: str) -> Log:
    log = Log(world)
    for member, text in enumerate(texts):
        log.submit(world.add(member % 4, text).raw)
    return log


def parted(world: World, shared: int, *own: tuple[str, ...]) -> list[Log]:
    """Histories that begin with the same entries and go on with their own."""
    first = [world.add(number % 4, f"shared {number}") for number in range(shared)]
    logs = []
    for texts in own:
        log = Log(world)
        log.ledger._clock = Clock()
        for transaction in [*first, *(world.add(0, text) for text in texts)]:
            log.submit(transaction.raw)
        logs.append(log)
    return logs


@pytest.mark.parametrize("page_max", [1, 3, 100])
def test_it_shows_what_the_log_has(world: World, page_max: int) -> None:
    log = filled(world, "a", "b", "", "d", "e")
    log.page_max = page_max
    follower = following(log)
    while follower.pull():
        pass
    assert follower.head(5) == log.ledger.head(5)
    assert follower.state() == log.ledger.state()
    transaction = world.add(1, "mine")
    assert follower.submit(transaction) == transaction.id
    assert follower.outcome(transaction.id) == log.ledger.outcome(transaction.id)
    assert not follower.forks


def test_what_is_left_out_is_not_said_to_be_logged(world: World) -> None:
    log = filled(world, "a")
    log.drops = True
    with pytest.raises(UnreachableError, match="not in the log"):
        following(log).submit(world.add(1, "lost"))


def test_an_old_answer_changes_nothing(world: World) -> None:
    log = filled(world, "a", "b")
    follower = following(log)
    follower.pull()
    log.touched = lambda page: Page((), log.note(1))
    assert follower.pull() == 0
    assert len(follower) == 2
    assert not follower.forks


def changed(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


TOUCHES: dict[str, Callable[[Page], Page]] = {
    "an entry": lambda page: replace(page, entries=[(changed(page.entries[0][0]), page.entries[0][1])]),
    "results": lambda page: replace(page, entries=[(page.entries[0][0], Digest(changed(page.entries[0][1])))]),
    "left out": lambda page: replace(page, entries=page.entries[1:]),
    "cut off": lambda page: replace(page, entries=page.entries[:-1]),
    "twice": lambda page: replace(page, entries=[*page.entries, page.entries[-1]]),
    "reordered": lambda page: replace(page, entries=page.entries[::-1]),
    "no entry": lambda page: replace(page, entries=[(b"\x00", page.entries[0][1])]),
}


@pytest.mark.parametrize("touch", TOUCHES)
@pytest.mark.parametrize("known", [0, 1])
def test_what_does_not_verify_is_not_taken_and_blames_nobody(world: World, touch: str, known: int) -> None:
    log = filled(world, *"abcd"[:known])
    follower = following(log)
    follower.pull()
    for text in "efg":
        log.submit(world.add(0, text).raw)
    log.touched = TOUCHES[touch]
    with pytest.raises(VerificationError):
        follower.pull()
    assert len(follower) == known
    assert not follower.forks
    log.touched = lambda page: page
    assert follower.pull() == 3


@pytest.mark.parametrize("touch", ["another key", "another coalition", "a changed note", "no note"])
def test_an_answer_that_the_log_did_not_sign_is_refused(world: World, touch: str) -> None:
    log = filled(world, "a")
    other = World(charter=b"another")
    head = log.ledger.head(1)
    note = {
        "another key": sign(world.signers[world.members[0]], world.coalition, head).encode(),
        "another coalition": sign(world.log, other.coalition, head).encode(),
        "a changed note": log.note(1).replace(b"\n1\n", b"\n2\n", 1),
        "no note": b"",
    }[touch]
    log.touched = lambda page: replace(page, note=note)
    follower = following(log)
    with pytest.raises(MessageError):
        follower.pull()
    assert len(follower) == 0


@pytest.mark.parametrize(("mine", "theirs"), [(1, 1), (1, 3), (3, 1)])
def test_the_head_of_another_history_proves_a_fork(world: World, mine: int, theirs: int) -> None:
    here, there = parted(world, 4, tuple("abc"[:mine]), tuple("xyz"[:theirs]))
    follower, other = following(here), following(there)
    follower.pull(), other.pull()
    for one, shown in ((follower, there.note(4 + theirs)), (other, here.note(4 + mine))):
        if len(one) >= int(shown.split(b"\n")[1]):
            with pytest.raises(VerificationError, match="two histories"):
                one.compare(shown)
        else:
            one.compare(shown)  # it waits
    known = follower if follower.forks else other
    (fork,) = known.forks
    check_fork(fork, world.coalition, world.log.public)
    deaf = other if known is follower else follower
    if not deaf.forks:
        with pytest.raises(VerificationError, match="two histories"):
            deaf.convinced(fork)
    for one in (follower, other):
        assert {fork.first, fork.second} == {here.note(4 + mine), there.note(4 + theirs)}
        with pytest.raises(VerificationError, match="two histories"):
            one.pull()
        with pytest.raises(VerificationError, match="two histories"):
            one.submit(world.add(1, "more"))


def test_a_log_that_goes_over_to_another_history_is_caught(world: World) -> None:
    here, there = parted(world, 2, ("a",), ("x", "y"))
    follower = following(here)
    follower.pull()
    follower._source = there
    with pytest.raises(VerificationError, match="two histories"):
        follower.pull()
    (fork,) = follower.forks
    check_fork(fork, world.coalition, world.log.public)
    contradiction = check_evidence(
        fork.evidence(world.charter), lambda _: Terms(world.contract, world.log.public), world.coalition
    )
    assert contradiction.kind is Kind.TWO_HEADS
    assert contradiction.member is None
    assert (fork.first, fork.second) == (here.note(3), there.note(4))


def test_a_larger_head_waits_until_it_is_reached(world: World) -> None:
    here, there = parted(world, 2, ("a", "b"), ("x", "y"))
    here.page_max = 3
    follower = following(here)
    follower.pull()
    follower.compare(there.note(4))
    assert not follower.forks
    with pytest.raises(VerificationError, match="two histories"):
        follower.pull()
    assert len(follower.forks) == 1


def test_heads_of_one_history_prove_nothing(world: World) -> None:
    log = filled(world, "a", "b", "c")
    follower = following(log)
    follower.pull()
    for size in range(4):
        follower.compare(log.note(size))
    for first in range(4):
        for second in range(first, 4):
            path = tuple(log.ledger._replica.log().consistency_proof(first, second))
            fork = Fork(log.note(first), log.note(second), log.ledger.head(first).root, path)
            with pytest.raises(MessageError):
                check_fork(fork, world.coalition, world.log.public)
    wrong = Fork(log.note(2), log.note(3), log.ledger.head(1).root, ())
    with pytest.raises(MessageError):
        follower.convinced(wrong)
    assert not follower.forks


@dataclass
class Notes:
    """Keeps the newest checkpoint, and nothing else."""

    remembered: bytes | None = None
    replica: None = None

    def keep(self, batch: Sequence[Applied], head: Head, note: bytes) -> None:
        self.remembered = note


def test_a_member_that_was_restarted_says_nothing_before_it_has_what_it_saw(world: World) -> None:
    log = filled(world, "a", "b", "c")
    kept = Notes()
    first = Follower(world.contract, world.coalition, world.log.public, log, Clock(), kept=kept)
    first.pull()
    assert kept.remembered == log.note(3)
    log.page_max = 2
    again = Follower(world.contract, world.coalition, world.log.public, log, Clock(), kept=kept)
    again.pull()
    with pytest.raises(UnreachableError, match="shows 2 entries, 3 were seen before"):
        again.submit(world.add(1, "too early"))
    again.pull()
    assert again.submit(world.add(1, "now"))


def test_another_history_shown_after_a_restart_is_a_fork(world: World) -> None:
    here, there = parted(world, 2, ("a",), ("x", "y"))
    again = Follower(world.contract, world.coalition, world.log.public, there, Clock(), kept=Notes(here.note(3)))
    with pytest.raises(VerificationError, match="two histories"):
        again.pull()
    assert len(again.forks) == 1


def test_heads_that_wait_are_limited_in_number(world: World) -> None:
    log = filled(world, *map(str, range(80)))
    follower = following(Log(world))
    for size in range(1, 81):
        follower.compare(log.note(size))
    assert len(follower._heard) == 64
