"""The journal of data IDs at the service: durable before an answer, never begun again, checked by members."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.service.asking import AT_ONCE, KEY, RATE, asked, ids_of, journal_of, records, send
from tests.service.conftest import Member, Service, all_joined, now
from tests.service.level_b import PASSPHRASE, found_b

from tclearn.coalition.id_book import check_journal
from tclearn.directory.coalition import CoalitionDirectory
from tclearn.directory.data_ids import ID_JOURNAL, ID_KEY, make_id_files, open_id_journal, open_id_key
from tclearn.errors import Code, MessageError, StorageError, TCLearnError, UnreachableError
from tclearn.learning.id_source import IdsLater
from tclearn.service.binding import RECEIPTS
from tclearn.service.remote import Later
from tclearn.service.remote_ids import IdReceipts, checked_journal, remote_journal


@pytest.fixture(scope="session")
def founded_b(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tests take copies."""
    return found_b(tmp_path_factory.mktemp("founder"), per_day=RATE.per_day, at_once=RATE.at_once)


@pytest.fixture
def service(founded_b: Path, tmp_path: Path) -> Iterator[Service]:
    shutil.copytree(founded_b, tmp_path / "coalition")
    running = Service(tmp_path / "coalition", passphrase=PASSPHRASE)
    running.start()
    yield running
    running.end()


@pytest.fixture
def members(service: Service, tmp_path: Path) -> dict[str, Member]:
    return all_joined(service, tmp_path)


def test_what_was_spent_stays_spent_over_restarts(members: dict[str, Member], service: Service) -> None:
    ids_of(members["leuven"], records(200))
    for _ in range(2):
        service.end()
        service.start()
    with pytest.raises(IdsLater):
        ids_of(members["leuven"], records(150, first=200))
    ids_of(members["leuven"], records(90, first=200))


def test_asking_in_vain_fills_no_disk(members: dict[str, Member], service: Service) -> None:
    ids_of(members["leuven"], records(AT_ONCE))
    for _ in range(20):
        with pytest.raises(Later) as later:
            send(members["leuven"], asked(members["leuven"], AT_ONCE // 2))
        assert later.value.error.code is Code.ALLOWANCE
        assert later.value.wait_s > 3600
    with pytest.raises(MessageError) as never:
        send(members["leuven"], asked(members["leuven"], AT_ONCE + 1))
    assert never.value.code is Code.ALLOWANCE
    assert "fewer at once" in never.value.remedy
    assert journal_of(service) == [("leuven", AT_ONCE, 1), ("leuven", AT_ONCE // 2, 0)]
    assert service.desk.ids is not None
    assert service.desk.ids.journal.unnoted() == {"leuven": 20}


def test_a_member_checks_the_journal(members: dict[str, Member], service: Service) -> None:
    for name in ("leuven", "namur", "leuven"):
        ids_of(members[name], records(10, first=len(journal_of(service)) * 10))
    home = members["leuven"].home
    receipts = IdReceipts(home.path / RECEIPTS).load()
    assert sorted(receipts) == [0, 2]
    with home.connection(now()) as connection:
        entries = checked_journal(RATE, remote_journal(connection), receipts)
    assert [(each.member, each.count) for each in entries] == [("leuven", 10), ("namur", 10), ("leuven", 10)]
    check_journal(RATE, entries)


def test_a_journal_that_was_set_back_is_noticed(members: dict[str, Member], service: Service, tmp_path: Path) -> None:
    ids_of(members["leuven"], records(10))
    service.end()
    shutil.copy(service.directory / ID_JOURNAL, tmp_path / "older")
    service.start()
    ids_of(members["leuven"], records(10, first=10))
    service.end()
    shutil.copy(tmp_path / "older", service.directory / ID_JOURNAL)
    service.start()
    home = members["leuven"].home
    with home.connection(now()) as connection, pytest.raises(TCLearnError, match="entry 1 of the journal") as noticed:
        checked_journal(RATE, remote_journal(connection), IdReceipts(home.path / RECEIPTS).load())
    assert noticed.value.code is Code.ALLOWANCE
    assert noticed.value.exit_code == 3


@pytest.mark.parametrize("damage", ["gone", "empty", "no database", "cut", "an entry less", "another"])
def test_a_damaged_journal_is_never_begun_again(founded_b: Path, tmp_path: Path, damage: str) -> None:
    directory = tmp_path / "coalition"
    shutil.copytree(founded_b, directory)
    running = Service(directory, passphrase=PASSPHRASE)
    running.start()
    member = Member(all_joined(running, tmp_path)["leuven"].home)
    for each in range(3):
        ids_of(member, records(10, first=10 * each))
    charter = member.home.charter
    running.end()
    file = directory / ID_JOURNAL
    if damage == "gone":
        file.unlink()
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "no database":
        file.write_bytes(b"x" * 5000)
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:5000])
    else:
        with sqlite3.connect(file) as database:
            if damage == "an entry less":
                database.execute("DELETE FROM entries WHERE number = 1")
            else:
                (data,) = database.execute("SELECT entry FROM entries WHERE number = 1").fetchone()
                database.execute("UPDATE entries SET entry = ? WHERE number = 1", (data.replace(b"leuven", b"namur!"),))
        database.close()
    again = Service(directory, passphrase=PASSPHRASE)
    with pytest.raises((StorageError, UnreachableError)) as refused:
        again.start()
    again.end()
    assert refused.value.code in (Code.LEDGER_FILE, Code.FILE_MISSING)
    assert "allowance again" in refused.value.remedy
    with pytest.raises((StorageError, UnreachableError)):
        open_id_journal(directory, charter, read_only=True)
    assert file.exists() == (damage != "gone")


def test_a_journal_that_was_lost_is_not_made_by_founding_again(founded_b: Path, tmp_path: Path) -> None:
    folder = tmp_path / "coalition"
    shutil.copytree(founded_b, folder)
    (folder / ID_JOURNAL).unlink()
    make_id_files(folder, bytes(range(32)), PASSPHRASE)
    assert not (folder / ID_JOURNAL).exists()
    (folder / ID_KEY).unlink()  # as a founding leaves it that was interrupted before it wrote the key
    make_id_files(folder, bytes(range(32)), PASSPHRASE)
    make_id_files(folder, bytes(range(32)), PASSPHRASE)
    with CoalitionDirectory.open(folder) as coalition, open_id_journal(folder, coalition.charter) as journal:
        assert len(journal) == 0
        assert open_id_key(folder, coalition.charter, PASSPHRASE).public == KEY.public
    other = tmp_path / "other"
    other.mkdir()
    make_id_files(other, bytes(32), None)
    with pytest.raises(StorageError, match="not the key that the charter names"):
        open_id_key(other, coalition.charter, None)


def test_a_full_disk_grants_nothing(members: dict[str, Member], service: Service) -> None:
    assert service.desk.ids is not None
    held = sqlite3.connect(service.directory / ID_JOURNAL, isolation_level=None)
    held.execute("BEGIN IMMEDIATE")  # what else keeps a commit from being made: nobody else may write now
    service.desk.ids.journal._database.execute("PRAGMA busy_timeout = 50")
    with pytest.raises(UnreachableError, match="cannot do it now"):
        send(members["leuven"], asked(members["leuven"]))
    held.execute("ROLLBACK")
    held.close()
    assert journal_of(service) == []
    send(members["leuven"], asked(members["leuven"]))
    assert journal_of(service) == [("leuven", 1, 1)]
