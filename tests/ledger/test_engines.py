"""One suite for every engine: the same transactions give the same answers and the same roots."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.ledger.notes import EMPTY, START_MS, Add, Board, Clock, World
from tests.ledger.test_replica import mixed

from tclearn.errors import Code, MessageError, StorageError, UsageError
from tclearn.ledger import Ledger, Transaction
from tclearn.ledger.engines.embedded import EmbeddedLedger
from tclearn.ledger.replica import Replica

ROOT = Path(__file__).parents[2]


def test_submit_outcome_state_head(world: World, make) -> None:
    ledger = make(world, Clock(step_ms=0))
    member: Ledger[Board] = ledger
    key = world.signers[world.members[0]].public
    assert (len(ledger), member.next_sequence(key), member.time_ms()) == (0, 0, START_MS)
    first, second = world.add(0, "one"), world.call(0, "add", Add("", ()).to_value())
    assert member.submit(first) == first.id
    assert member.submit(second) == second.id
    assert member.outcome(first.id) is not None
    outcome = member.outcome(second.id)
    assert outcome is not None
    assert (outcome.index, outcome.code, outcome.reason) == (1, EMPTY, "a note without text")
    assert member.outcome(world.add(1, "never").id) is None
    assert member.state() == Board(1, ("one",))
    assert member.next_sequence(key) == 2
    assert member.head(2).size == len(ledger) == 2
    with pytest.raises(StorageError):
        member.head(3)


def test_submitting_again_changes_nothing_even_after_expiry(world: World, make) -> None:
    clock = Clock()
    ledger = make(world, clock)
    transaction = world.call(0, "add", Add("a", ()).to_value(), expires_ms=clock.now_ms + 1000)
    ledger.submit(transaction)
    head = ledger.head(1)
    clock.now_ms += 10_000
    assert ledger.submit(transaction) == transaction.id
    assert (len(ledger), ledger.head(1)) == (1, head)


def test_what_is_not_admissible_is_not_logged(world: World, make) -> None:
    ledger = make(world)
    ledger.submit(world.add(0, "a"))
    world.sequence[world.members[0]] = -1
    with pytest.raises(MessageError) as refusal:
        ledger.submit(world.add(0, "b"))
    assert refusal.value.code is Code.SEQUENCE
    # what counts are the bytes, not what the object says about them
    good = world.add(1, "c")
    lying = Transaction(good.raw[:-9] + bytes(9), good.signer, good.call, good.sequence, good.expires_ms)
    with pytest.raises(MessageError):
        ledger.submit(lying)
    assert len(ledger) == 1


def test_a_fault_of_the_contract_reaches_its_submitter_only(world: World, make) -> None:
    ledger = make(world)
    with pytest.raises(ZeroDivisionError):
        ledger.submit(world.call(0, "crash", {}))
    ledger.submit(world.add(0, "a"))
    assert len(ledger) == 1


def test_a_state_does_not_change_under_its_reader(world: World, make) -> None:
    ledger = make(world)
    states = []
    for number in range(4):
        states.append(ledger.state())
        ledger.submit(world.add(0, f"{number}"))
    assert [state.count for state in states] == [0, 1, 2, 3]
    assert ledger.state() is ledger.state()


def test_time_is_the_clock_but_never_before_the_last_entry(world: World, make) -> None:
    clock = Clock(step_ms=0)
    ledger = make(world, clock)
    ledger.submit(world.add(0, "a"))
    clock.now_ms -= 500
    assert ledger.time_ms() == START_MS
    ledger.submit(world.add(0, "b"))
    assert [item.entry.time_ms for item in ledger.entries(0, 9)] == [START_MS, START_MS]
    clock.now_ms += 900
    assert ledger.time_ms() == START_MS + 400


def test_entries_are_read_by_range(world: World, make) -> None:
    ledger = make(world)
    sent = [world.add(number % 4, f"{number}") for number in range(300)]
    for transaction in sent:
        ledger.submit(transaction)
    read = list(ledger.entries(0, len(ledger)))
    assert [item.entry.transaction for item in read] == [transaction.raw for transaction in sent]
    assert [item.outcome.index for item in read] == [item.entry.index for item in read] == list(range(300))
    assert read[-1].results == ledger.head(300).results
    assert [item.entry.index for item in ledger.entries(255, 258)] == [255, 256, 257]
    assert list(ledger.entries(300, 400)) == list(ledger.entries(5, 5)) == []


def test_entries_may_be_read_while_others_are_added(world: World, make) -> None:
    ledger = make(world)
    for number in range(300):
        ledger.submit(world.add(0, f"{number}"))
    reading = ledger.entries(0, 300)
    first = next(reading)
    ledger.submit(world.add(0, "more"))
    assert len([first, *reading]) == 300


def test_many_threads_give_the_roots_of_one_after_the_other(world: World, make) -> None:
    ledger = make(world)
    per_member = [[world.add(member, f"{member} {number}") for number in range(40)] for member in range(4)]
    start = threading.Barrier(4, timeout=60)

    def work(transactions: list[Transaction]) -> None:
        start.wait()
        for transaction in transactions:
            assert ledger.submit(transaction) == transaction.id
            assert ledger.outcome(transaction.id) is not None

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, per_member))
    assert ledger.state().count == 160
    single = Replica(world.contract, world.coalition)
    for item in ledger.entries(0, 160):
        applied = single.append(item.entry.transaction, item.entry.time_ms)
        assert (applied.entry, applied.outcome, applied.results) == (item.entry, item.outcome, item.results)
    assert [single.head(size) for size in range(161)] == [ledger.head(size) for size in range(161)]


def test_the_same_transaction_from_many_threads_is_logged_once(world: World, make) -> None:
    ledger = make(world)
    transaction = world.add(0, "a")
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: ledger.submit(transaction), range(40))) == {transaction.id}
    assert len(ledger) == 1


def test_one_exports_what_the_other_replays(world: World, tmp_path: Path) -> None:
    calls = list(mixed(world, 50))
    memory = world.memory()
    with EmbeddedLedger(tmp_path / "l.sqlite", world.contract, world.coalition, clock=Clock()) as embedded:
        for call in calls:
            memory.submit(call)
            embedded.submit(call)
        assert world.export(memory) == world.export(embedded)


def test_the_charter_of_another_ledger_is_not_exported(world: World, make) -> None:
    ledger = make(world)
    world.charter = b"another"
    with pytest.raises(UsageError):
        world.export(ledger)


SCRIPT = """
from tests.ledger.notes import World
from tests.ledger.test_replica import mixed
import hashlib
world = World()
ledger = world.memory()
for call in mixed(world, 1200):
    ledger.submit(call)
print(hashlib.sha256(world.export(ledger)).hexdigest())
"""


def test_roots_do_not_depend_on_the_order_of_sets_or_the_language() -> None:
    found = set()
    for seed, language in (("0", "C"), ("1", "C.UTF-8"), ("4242", "C")):
        environment = os.environ | {
            "PYTHONHASHSEED": seed,
            "LC_ALL": language,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
        }
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, check=True, capture_output=True, text=True, cwd=ROOT
        )
        found.add(done.stdout.strip())
    world = World()
    ledger = world.memory()
    for call in mixed(world, 1200):
        ledger.submit(call)
    assert found == {hashlib.sha256(world.export(ledger)).hexdigest()}


def test_verifying_needs_no_database_and_no_arrays() -> None:
    script = (
        "import sys, tclearn.ledger, tclearn.ledger.verify\n"
        "print(sorted({'numpy', 'socket', 'sqlite3', 'torch', 'tclearn.ledger.engines'} & set(sys.modules)))\n"
        "import tclearn.ledger.engines.embedded\n"
        "print(sorted({'numpy', 'torch'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["[]", "[]"]
