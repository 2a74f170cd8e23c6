"""The embedded engine's file: durable, whole, one writer, and refused when it is not what it should be."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.ledger.notes import Board, Clock, Notes, World

from tclearn.encoding import Digest
from tclearn.errors import Code, StorageError
from tclearn.ledger.engines.embedded import EmbeddedLedger
from tclearn.ledger.recorded import Recorded
from tclearn.ledger.replica import Replica
from tclearn.ledger.transaction import transaction_id

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def opened(path: Path, world: World, **options: Any) -> EmbeddedLedger[Board]:
    return EmbeddedLedger(path, world.contract, world.coalition, clock=Clock(), **options)


def refused(path: Path, world: World, **options: Any) -> StorageError:
    with pytest.raises(StorageError) as refusal:
        opened(path, world, **options).close()
    assert refusal.value.remedy
    return refusal.value


@contextmanager
def raw(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    yield connection
    connection.close()


def everything(ledger: EmbeddedLedger[Board]) -> object:
    heads = [ledger.head(size) for size in range(len(ledger) + 1)]
    return ledger.state(), heads, list(ledger.entries(0, len(ledger)))


def id_of(item: Recorded) -> Digest:
    return transaction_id(item.entry.transaction)


def fill(ledger: EmbeddedLedger[Board], world: World, count: int) -> None:
    for number in range(count):
        ledger.submit(world.add(number % 4, f"note {number}" if number % 5 else ""))
    ledger.submit(world.call(0, "drop", {"number": 1}))


def test_reopening_gives_the_same_and_goes_on_as_if_never_closed(
    path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tclearn.ledger.replica.STATE_ROOT_EVERY_ENTRIES", 8)
    with opened(path, world) as ledger:
        fill(ledger, world, 50)
        before = everything(ledger)
        reasons = [ledger.outcome(id_of(item)) for item in ledger.entries(0, 10)]
    with opened(path, world, create=False) as ledger:
        assert everything(ledger) == before
        assert [ledger.outcome(id_of(item)) for item in ledger.entries(0, 10)] == reasons
        fill(ledger, world, 50)
        replayed = Replica(world.contract, world.coalition)
        for item in ledger.entries(0, len(ledger)):
            applied = replayed.append(item.entry.transaction, item.entry.time_ms)
            assert (applied.results, applied.outcome) == (item.results, item.outcome)
        assert replayed.head(len(ledger)) == ledger.head(len(ledger))
        assert world.contract.view(replayed.state()) == ledger.state()


def test_a_second_writer_is_refused_and_readers_are_not(path: Path, world: World) -> None:
    with opened(path, world) as ledger:
        fill(ledger, world, 10)
        assert refused(path, world).code is Code.LEDGER_LOCKED
        script = (
            "import sys; from tests.ledger.test_embedded import opened; from tests.ledger.notes import World;"
            "from pathlib import Path; from tclearn.errors import StorageError\n"
            "try: opened(Path(sys.argv[1]), World())\n"
            "except StorageError as error: print(error.label)"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(path)], env=environment(), check=True, capture_output=True, text=True
        )
        assert done.stdout.strip() == "TCL-408"
        with opened(path, world, read_only=True) as reader:
            assert everything(reader) == everything(ledger)
            ledger.submit(world.add(0, "later"))
            assert len(reader) == 11
            assert len(list(reader.entries(0, 99))) == 11
            with pytest.raises(StorageError):
                reader.submit(world.add(0, "never"))
            with opened(path, world, read_only=True) as second:
                assert len(second) == 12
    opened(path, world).close()


def test_a_reader_needs_no_writer_and_no_lock(path: Path, world: World) -> None:
    with opened(path, world) as ledger:
        fill(ledger, world, 3)
        before = everything(ledger)
    path.with_name(path.name + "-lock").unlink()
    with opened(path, world, read_only=True) as reader:
        assert everything(reader) == before
    assert not path.with_name(path.name + "-lock").exists()


@contextmanager
def without_write_access(folder: Path) -> Iterator[None]:
    # The superuser may write anywhere: it becomes somebody else for a moment.
    superuser, stranger = os.geteuid() == 0, 65534
    if superuser:
        for parent in [folder, *folder.parents]:
            if not parent.stat().st_mode & 0o001 and parent != parent.parent:
                parent.chmod(parent.stat().st_mode | 0o055)
    folder.chmod(0o555)
    if superuser:
        os.seteuid(stranger)
    try:
        yield
    finally:
        if superuser:
            os.seteuid(0)
        folder.chmod(0o755)


def test_a_copy_that_is_only_for_reading_is_read(path: Path, world: World, tmp_path: Path) -> None:
    with opened(path, world) as ledger:
        fill(ledger, world, 3)
        before = everything(ledger)
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(path, copy)
    with without_write_access(copy), opened(copy / path.name, world, read_only=True) as reader:
        assert everything(reader) == before


def test_a_copy_for_reading_that_lacks_its_last_writes_is_not_taken_for_whole(
    path: Path, world: World, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    with opened(path, world) as ledger:
        fill(ledger, world, 3)
        for name in (path.name, path.name + "-wal"):
            shutil.copy(path.with_name(name), copy)
    with without_write_access(copy):
        assert refused(copy / path.name, world, read_only=True).code is Code.LEDGER_FILE


def test_a_closed_ledger_takes_nothing(path: Path, world: World) -> None:
    ledger = opened(path, world)
    ledger.close()
    ledger.close()
    with pytest.raises(StorageError):
        ledger.submit(world.add(0, "a"))


def test_a_commit_that_fails_is_rolled_back_and_can_be_repeated(path: Path, world: World) -> None:
    with opened(path, world) as ledger:
        fill(ledger, world, 5)
        before = everything(ledger)
        transaction = world.add(0, "refused by the disk")
        for table in ("entries", "state", "meta"):
            with raw(path) as other:
                other.execute(
                    f"CREATE TRIGGER full BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'disk full'); END"
                )
            with pytest.raises(StorageError) as refusal:
                ledger.submit(transaction)
            assert "disk full" in str(refusal.value)
            assert everything(ledger) == before
            assert ledger.outcome(transaction.id) is None
            with raw(path) as other:
                other.execute("DROP TRIGGER full")
        assert ledger.submit(transaction) == transaction.id
        assert ledger.state().notes[-1] == "refused by the disk"
        after = everything(ledger)
    with opened(path, world) as ledger:
        assert everything(ledger) == after


def test_a_commit_that_fails_fails_for_all_that_share_it(path: Path, world: World) -> None:
    with opened(path, world) as ledger:
        with raw(path) as other:
            other.execute("CREATE TRIGGER full BEFORE INSERT ON meta BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        start = threading.Barrier(4, timeout=60)

        def work(member: int) -> int:
            transactions = [world.add(member, f"{number}") for number in range(20)]
            failed = 0
            start.wait()
            for transaction in transactions:
                try:
                    ledger.submit(transaction)
                except StorageError:
                    failed += 1
            return failed

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(work, range(4))) == 80
        assert len(ledger) == 0
        assert ledger.state() == Board(0, ())


def test_a_write_in_doubt_closes_the_ledger(path: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(path, world) as ledger:
        ledger.submit(world.add(0, "a"))
        append = type(ledger._database).append

        def interrupted(self: Any, batch: Any, head: Any) -> None:
            append(self, batch, head)
            raise KeyboardInterrupt

        transaction = world.add(0, "written, but nobody was told")
        with monkeypatch.context() as patch:
            patch.setattr(type(ledger._database), "append", interrupted)
            with pytest.raises(KeyboardInterrupt):
                ledger.submit(transaction)
        with pytest.raises(StorageError, match="opened again"):
            ledger.submit(world.add(1, "b"))
    with opened(path, world) as ledger:
        assert len(ledger) == 2
        assert ledger.submit(transaction) == transaction.id
        assert len(ledger) == 2


def test_what_is_not_this_ledger_is_refused(path: Path, world: World, tmp_path: Path) -> None:
    assert refused(path, world, create=False).code is Code.LEDGER_FILE
    assert refused(path, world, read_only=True).code is Code.LEDGER_FILE
    assert not path.exists()
    with opened(path, world) as ledger:
        fill(ledger, world, 3)

    other = World(charter=b"another")
    assert "coalition" in refused(path, other).what

    fewer = World(3)
    assert "first state" in refused(path, fewer).what

    class Renamed(Notes):
        @property
        def name(self) -> str:
            return "notes/2"

    renamed = World()
    renamed.contract = Renamed(world.contract._members)
    assert "notes/1" in refused(path, renamed).what

    text = tmp_path / "text"
    text.write_text("not a database at all, but long enough to look like one" * 20)
    database = tmp_path / "other.sqlite"
    with raw(database) as connection:
        connection.execute("CREATE TABLE people (name TEXT)")
    for wrong in (text, database, tmp_path):
        before = None if wrong.is_dir() else wrong.read_bytes()
        for options in ({}, {"create": False}, {"read_only": True}):
            assert refused(wrong, world, **options).code is Code.LEDGER_FILE
        if before is not None:
            with raw(database) as connection:
                assert [name for (name,) in connection.execute("SELECT name FROM sqlite_master")] == ["people"]
    assert refused(tmp_path / "no" / "folder" / "l.sqlite", world).code is Code.LEDGER_FILE
    opened(path, world).close()


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM entries WHERE position = 2",
        "DELETE FROM entries WHERE position = (SELECT max(position) FROM entries)",
        "UPDATE entries SET leaf = zeroblob(32) WHERE position = 1",
        "UPDATE entries SET leaf = x'00' WHERE position = 1",
        "UPDATE entries SET results = zeroblob(32) WHERE position = (SELECT max(position) FROM entries)",
        "UPDATE entries SET time_ms = time_ms + 1 WHERE position = (SELECT max(position) FROM entries)",
        "UPDATE entries SET time_ms = 'soon' WHERE position = 1",
        "UPDATE state SET value = x'f5' WHERE key = 'count'",
        "UPDATE meta SET value = x'00' WHERE name = 'head'",
        "DELETE FROM meta WHERE name = 'head'",
        "DELETE FROM meta WHERE name = 'genesis'",
        "DROP TABLE state",
        "PRAGMA user_version = 2",
        "CREATE TRIGGER t AFTER INSERT ON entries BEGIN DELETE FROM state; END",
    ],
)
def test_a_damaged_file_is_refused(path: Path, world: World, damage: str) -> None:
    with opened(path, world) as ledger:
        fill(ledger, world, 6)
    with raw(path) as connection:
        connection.execute(damage)
    assert refused(path, world).code is Code.LEDGER_FILE
    assert refused(path, world, read_only=True).code is Code.LEDGER_FILE


def test_a_ledger_whose_creation_was_cut_short_is_made_again(path: Path, world: World) -> None:
    path.touch()
    assert refused(path, world, create=False).code is Code.LEDGER_FILE
    opened(path, world).close()
    path.unlink()
    with raw(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    with opened(path, world) as ledger:
        ledger.submit(world.add(0, "a"))


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}


def start(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.ledger.appender", str(path)],
        env=environment(),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_nothing_acknowledged_is_lost_by_kill_9(path: Path, world: World) -> None:
    acknowledged: list[str] = []
    for round_ in range(3):
        with start(path) as process:
            assert process.stdout is not None
            for line in process.stdout:
                acknowledged.append(line)
                if len(acknowledged) > (round_ + 1) * 120:
                    break
            process.send_signal(signal.SIGKILL)
            acknowledged += process.stdout.readlines()
        with opened(path, world, create=False) as ledger:
            ids = {id_of(item).hex() for item in ledger.entries(0, len(ledger))}
            # the pipe may cut the last line off
            said = {line.strip() for line in acknowledged if re.fullmatch("[0-9a-f]{64}\n", line)}
            assert len(said) > round_ * 100
            assert said <= ids
            assert ledger.state().count == len(ledger)


def test_a_creation_killed_at_any_moment_leaves_nothing_or_a_ledger(path: Path, world: World) -> None:
    for attempt in range(24):
        folder = path.parent / str(attempt)
        folder.mkdir()
        with start(folder / "ledger.sqlite") as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "begin\n"
            time.sleep(attempt * 0.0005)  # a creation takes some milliseconds
            process.kill()
        try:
            opened(folder / "ledger.sqlite", world, create=False).close()
        except StorageError as refusal:
            assert refusal.code is Code.LEDGER_FILE
        with opened(folder / "ledger.sqlite", world) as ledger:
            world.sequence[world.members[0]] = ledger.next_sequence(world.signers[world.members[0]].public) - 1
            transaction = world.add(0, "goes on")
            assert ledger.submit(transaction) == transaction.id
        shutil.rmtree(folder)
