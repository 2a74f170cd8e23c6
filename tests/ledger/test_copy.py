"""A member's copy of a log on its disk: kept as a whole, one process's at a time, the same after any crash."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.ledger.notes import Board, Clock, World
from tests.ledger.test_follow import Log, filled

from tclearn.errors import Code, StorageError, UnreachableError, VerificationError
from tclearn.ledger.engines import copy as copying
from tclearn.ledger.engines.copy import LedgerCopy
from tclearn.ledger.engines.embedded import EmbeddedLedger
from tclearn.ledger.engines.follower import Follower

WORLD = World(4)


def opened(folder: Path, world: World = WORLD) -> LedgerCopy[Board]:
    return LedgerCopy(folder / "ledger.sqlite", folder / "ledger.note", world.contract, world.coalition)


def following(copy: LedgerCopy[Board], log: Log) -> Follower[Board]:
    world = log.world
    return Follower(
        world.contract,
        world.coalition,
        world.log.public,
        log,
        Clock(),
        kept=copy,
    )


def test_what_was_verified_is_there_again(tmp_path: Path) -> None:
    log = filled(WORLD, "a", "b")
    with opened(tmp_path) as copy:
        assert copy.remembered is None
        follower = following(copy, log)
        follower.pull()
        note = follower.note
    log.submit(WORLD.add(2, "c").raw)
    with opened(tmp_path) as copy:
        assert copy.remembered == note
        again = following(copy, log)
        assert len(again) == 2 and again.note == note
        assert again.pull() == 1
        assert again.state().notes == log.ledger.state().notes
        assert again.head(3) == log.ledger.head(3)


def test_whatever_reads_ledgers_reads_a_copy(tmp_path: Path) -> None:
    log = filled(WORLD, "a", "b")
    with opened(tmp_path) as copy:
        following(copy, log).pull()
        reader = EmbeddedLedger(
            tmp_path / "ledger.sqlite", WORLD.contract, WORLD.coalition, clock=Clock(), create=False, read_only=True
        )
        assert list(reader.entries(0, 2)) == list(log.ledger.entries(0, 2))
        reader.close()


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(StorageError) as refused:
        opened(tmp_path)
    assert refused.value.code is Code.LEDGER_LOCKED
    opened(tmp_path).close()


def test_a_crash_between_entries_and_checkpoint_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = filled(WORLD, "a")
    with opened(tmp_path) as copy:
        following(copy, log).pull()
    older = (tmp_path / "ledger.note").read_bytes()
    log.submit(WORLD.add(1, "b").raw)

    class PowerLoss(BaseException): ...

    def lost(*_: Any) -> None:
        raise PowerLoss

    with monkeypatch.context() as broken, opened(tmp_path) as copy:
        broken.setattr(copying, "write_whole", lost)
        with pytest.raises(PowerLoss):
            following(copy, log).pull()
    with opened(tmp_path) as copy:
        assert copy.remembered == older
        follower = following(copy, log)
        assert len(follower) == 2
        follower.pull()  # there is nothing new, but the checkpoint that was lost
        assert follower.note == log.note(2)
        log.submit(WORLD.add(2, "c").raw)
        assert follower.pull() == 1
        assert copy.remembered == follower.note == log.note(3)


def test_entries_whose_keeping_failed_are_not_shown_and_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = filled(WORLD, "a")
    with opened(tmp_path) as copy:
        follower = following(copy, log)

        def full(*_: Any) -> None:
            import sqlite3

            raise sqlite3.OperationalError("database or disk is full")

        with monkeypatch.context() as broken:
            broken.setattr(copy._database, "append", full)
            with pytest.raises(StorageError, match="disk is full"):
                follower.pull()
        assert len(follower) == 0 and follower.state().notes == ()
        assert follower.pull() == 1
        assert follower.state().notes == log.ledger.state().notes


def test_a_log_that_was_set_back_gets_no_word(tmp_path: Path) -> None:
    log = filled(WORLD, "a", "b", "c")
    with opened(tmp_path) as copy:
        following(copy, log).pull()
    (tmp_path / "ledger.sqlite").unlink()  # an older copy of the ledger, with the newest checkpoint
    with opened(tmp_path) as copy:
        follower = following(copy, filled(WORLD, "a"))
        follower.pull()
        with pytest.raises(UnreachableError, match="1 entries, 3 were seen before"):
            follower.submit(WORLD.add(3, "d"))


def test_another_history_in_its_place_is_a_fork(tmp_path: Path) -> None:
    log = filled(WORLD, "a", "b")
    with opened(tmp_path) as copy:
        following(copy, log).pull()
    other = filled(WORLD, "a", "x", "y")
    with opened(tmp_path) as copy:
        follower = following(copy, other)
        with pytest.raises(VerificationError):
            follower.pull()
        assert len(follower.forks) == 1 and len(follower) == 2


@pytest.mark.parametrize("damage", ["a page", "half", "no database"])
def test_a_damaged_copy_is_a_coded_error(tmp_path: Path, damage: str) -> None:
    with opened(tmp_path) as copy:
        following(copy, filled(WORLD, "a", "b", "c")).pull()
    file = tmp_path / "ledger.sqlite"
    content = bytearray(file.read_bytes())
    if damage == "a page":
        content[-2000:] = bytes(2000)
    elif damage == "half":
        del content[len(content) // 2 :]
    else:
        content[:100] = bytes(100)
    file.write_bytes(content)
    with pytest.raises(StorageError) as refused:
        opened(tmp_path)
    assert refused.value.code is Code.LEDGER_FILE


def test_another_coalitions_copy_is_refused(tmp_path: Path) -> None:
    opened(tmp_path).close()
    with pytest.raises(StorageError) as refused:
        opened(tmp_path, World(5))
    assert refused.value.code is Code.LEDGER_FILE
