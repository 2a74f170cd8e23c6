"""Group commit: one write for all who came meanwhile, and nobody waits for somebody who has gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from tests.ledger.notes import World

from tclearn.encoding import Digest
from tclearn.errors import Code, MessageError
from tclearn.ledger.engines.group_commit import GroupCommit, Ticket
from tclearn.ledger.replica import Checked, Replica

PATIENCE = 20.0


class Disk:
    """Remembers the batches; the first write waits until it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[Digest]] = []
        self.begun = threading.Event()
        self.free = threading.Event()

    def write(self, batch: list[Ticket]) -> None:
        self.batches.append([ticket.id for ticket in batch])
        self.begun.set()
        assert self.free.wait(PATIENCE)


def checked(world: World, count: int) -> list[Checked]:
    replica = Replica(world.contract, world.coalition)
    return [replica.check(world.add(number % 4, f"note {number}").raw) for number in range(count)]


def said(transaction: Checked) -> Callable[[], Checked]:
    return lambda: transaction


class Slow:
    """A check that has begun and does not end before it is let go."""

    def __init__(self, end: Checked | MessageError) -> None:
        self.begun = threading.Event()
        self.free = threading.Event()
        self._end = end

    def __call__(self) -> Checked:
        self.begun.set()
        assert self.free.wait(PATIENCE)
        if isinstance(self._end, MessageError):
            raise self._end
        return self._end


def until(reached: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_who_comes_during_a_write_shares_the_next(world: World) -> None:
    disk, (first, *others) = Disk(), checked(world, 9)
    queue = GroupCommit(disk.write)
    with ThreadPoolExecutor(9) as pool:
        ids = [pool.submit(queue.submit, said(first))]
        assert disk.begun.wait(PATIENCE)
        ids += [pool.submit(queue.submit, said(other)) for other in others]
        until(lambda: len(queue._waiting) == 8)
        disk.free.set()
        assert [done.result(PATIENCE) for done in ids] == [first.id, *(other.id for other in others)]
    assert [len(batch) for batch in disk.batches] == [1, 8]
    assert set(disk.batches[1]) == {other.id for other in others}


def test_the_writer_waits_for_those_who_are_checking(world: World) -> None:
    disk, (quick, slow) = Disk(), checked(world, 2)
    disk.free.set()
    queue = GroupCommit(disk.write)
    slowly = Slow(slow)

    with ThreadPoolExecutor(2) as pool:
        late = pool.submit(queue.submit, slowly)
        assert slowly.begun.wait(PATIENCE)
        early = pool.submit(queue.submit, said(quick))
        until(lambda: bool(queue._waiting))
        assert not disk.batches
        slowly.free.set()
        assert (early.result(PATIENCE), late.result(PATIENCE)) == (quick.id, slow.id)
    assert disk.batches == [[quick.id, slow.id]]


def test_a_transaction_that_does_not_hold_keeps_nobody_waiting(world: World) -> None:
    disk, (good,) = Disk(), checked(world, 1)
    disk.free.set()
    queue = GroupCommit(disk.write)
    wrong = Slow(MessageError(Code.SIGNATURE, "not signed"))

    with ThreadPoolExecutor(2) as pool:
        bad = pool.submit(queue.submit, wrong)
        assert wrong.begun.wait(PATIENCE)
        waiting = pool.submit(queue.submit, said(good))
        until(lambda: bool(queue._waiting))
        wrong.free.set()
        assert waiting.result(PATIENCE) == good.id
        with pytest.raises(MessageError, match="not signed"):
            bad.result(PATIENCE)


@pytest.mark.parametrize("writer", [False, True], ids=["waiting", "appointed"])
def test_a_thread_that_is_interrupted_keeps_nobody_waiting(world: World, writer: bool) -> None:
    disk, (first, gone, last) = Disk(), checked(world, 3)
    queue = GroupCommit(disk.write)

    def leave() -> None:
        ticket = queue._join(said(gone))
        if writer:
            disk.free.set()
            until(lambda: queue._writer is ticket)
        queue._leave(ticket)  # as when the wait was interrupted

    with ThreadPoolExecutor(3) as pool:
        ids: list[Future[Digest]] = [pool.submit(queue.submit, said(first))]
        assert disk.begun.wait(PATIENCE)
        pool.submit(leave).result(PATIENCE)
        ids.append(pool.submit(queue.submit, said(last)))
        disk.free.set()
        assert [done.result(PATIENCE) for done in ids] == [first.id, last.id]
    assert disk.batches == [[first.id], [last.id]]


def test_sixteen_do_not_wait_for_one_who_is_checking(world: World) -> None:
    disk = Disk()
    disk.free.set()
    queue = GroupCommit(disk.write)
    *others, last = checked(world, 17)
    slowly = Slow(last)

    with ThreadPoolExecutor(17) as pool:
        late = pool.submit(queue.submit, slowly)
        assert slowly.begun.wait(PATIENCE)
        ids = [pool.submit(queue.submit, said(other)) for other in others]
        assert [done.result(PATIENCE) for done in ids] == [other.id for other in others]
        assert not late.done()
        slowly.free.set()
        assert late.result(PATIENCE) == last.id
