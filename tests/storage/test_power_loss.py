"""Power losses: whatever is left of a ledger, an outbox or a store, what was acknowledged is there and it goes on.

The programs run as they are, on the SQLite of this Python; what they do to their files is recorded below SQLite
(``sqlite_calls``), or below Python's ``os`` (``folder_calls``). From the record every folder is made that a power loss
could leave at any moment (``disk``), and each is opened by the real program again. Whether ``fsync`` keeps its word is
the business of the operating system and the disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from tests.storage.runs import MADE, Run
from tests.storage.sqlite_calls import unavailable
from tests.storage.survey import SURVEYS, look, look_at, main, recorded
from tests.storage.trace import Bound, Cut, Event, FolderSynced, Said, Synced, Wrote

from tclearn.agents import outbox
from tclearn.ledger.engines import database, sqlite_file
from tclearn.ledger.engines.database import Database

pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable())


def test_a_ledger_has_every_acknowledged_entry_after_any_power_loss(tmp_path: Path) -> None:
    findings = look(tmp_path, "ledger", seed=1)
    assert not findings.failures, findings
    assert findings.states >= 1000


@pytest.mark.parametrize("seed", [1, 2])
def test_and_after_another_power_loss_during_its_recovery(tmp_path: Path, seed: int) -> None:
    findings = look(tmp_path, "recovery", seed)
    assert not findings.failures, findings
    assert findings.states >= 100


def test_an_outbox_has_every_decision_after_any_power_loss(tmp_path: Path) -> None:
    findings = look(tmp_path, "outbox", seed=1)
    assert not findings.failures, findings
    assert findings.states >= 400


def test_a_store_has_every_object_whole_or_not_at_all_after_any_power_loss(tmp_path: Path) -> None:
    findings = look(tmp_path, "store", seed=1)
    assert not findings.failures, findings
    assert findings.states >= 50


def test_a_vault_has_every_object_whole_or_not_at_all_after_any_power_loss(tmp_path: Path) -> None:
    findings = look(tmp_path, "vault", seed=1)
    assert not findings.failures, findings
    assert findings.states >= 200


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "seed"),
    [("ledger-wide", 11), ("ledger-large", 12), ("outbox-wide", 13), *(("recovery", seed) for seed in range(14, 20))],
)
def test_a_wider_search_finds_nothing_either(tmp_path: Path, name: str, seed: int) -> None:
    findings = look(tmp_path, name, seed)
    assert not findings.failures, findings


# --- what is recorded ------------------------------------------------------------------------------------------------


def test_the_record_has_commits_checkpoints_and_a_reopening(tmp_path: Path) -> None:
    events = SURVEYS["ledger"].record(tmp_path, 1).trace.events
    names = {event.file: event.name for event in events if isinstance(event, Bound) and event.file is not None}
    calls = [(type(event), names[event.file]) for event in events if isinstance(event, Wrote | Synced)]
    checkpoints = [n for n, call in enumerate(calls) if call == (Synced, "ledger.sqlite")]
    assert len(checkpoints) >= 3  # the creation, one in the middle, the closing
    assert {"ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-journal"} <= {name for _, name in calls}
    assert Bound("ledger.sqlite-wal", None) in events
    assert FolderSynced(".") in events
    # Before an acknowledgement the last that was done to any file is a sync.
    done = [event for event in events if isinstance(event, Wrote | Cut | Synced | Said) and event != Said(MADE)]
    before = [earlier for earlier, later in pairwise(done) if isinstance(later, Said) and not isinstance(earlier, Said)]
    assert len(before) > 10
    assert {type(event) for event in before} == {Synced}


@pytest.mark.parametrize("name", ["ledger", "outbox"])
def test_a_recording_can_be_repeated(tmp_path: Path, name: str) -> None:
    traces = []
    for place in (tmp_path / "first", tmp_path / "second"):
        place.mkdir()
        traces.append(SURVEYS[name].record(place, 1).trace)
    assert traces[0] == traces[1]


def test_a_state_can_be_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with planted_not_waiting():
        run = recorded(tmp_path, "ledger-brief", 1)
        failure = look_at(run, tmp_path, "ledger-brief", 1, until="lost").failures[-1]
        main("ledger-brief", "1", str(failure.state.number), str(tmp_path / "again"))
    assert f"ledger-brief 1 {failure.state.number} FOLDER" in str(failure)
    assert f"after {failure.state.point} events" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()} == failure.state.files


# --- faults that must be found ---------------------------------------------------------------------------------------


@contextmanager
def planted_not_waiting() -> Iterator[None]:
    """``synchronous = NORMAL``: commits do not wait for the disk."""

    def normal(opened: Callable[..., sqlite3.Connection]) -> Callable[..., sqlite3.Connection]:
        def connect(*arguments: Any) -> sqlite3.Connection:
            connection = opened(*arguments)
            connection.execute("PRAGMA synchronous = NORMAL")
            return connection

        return connect

    with (
        patch.object(database, "connect", normal(sqlite_file.connect)),
        patch.object(outbox, "_opened", normal(outbox._opened)),
    ):
        yield


@contextmanager
def planted_early() -> Iterator[None]:
    """A batch is acknowledged before its ``COMMIT``, which follows with the next batch."""

    def commit(self: Database) -> None:
        if self._connection.in_transaction:
            self._connection.execute("COMMIT")

    def append(self: Database, batch: Any, head: Any) -> None:
        commit(self)
        self._connection.execute("BEGIN IMMEDIATE")
        encoded: dict[str, bytes | None] = {}
        for applied in batch:
            encoded.update(applied.encoded)
        self._write(batch, encoded, head)

    def close(self: Database) -> None:
        commit(self)
        self._connection.close()

    with patch.multiple(Database, append=append, close=close):
        yield


def fault_found(run: Run, folder: Path, name: str, words: str) -> None:
    findings = look_at(run, folder, name, 1, until=words)
    assert findings.failures, "nothing was found"
    assert words in findings.failures[-1].fault


@pytest.mark.parametrize("planted", [planted_not_waiting, planted_early])
def test_an_engine_that_acknowledges_too_early_is_found(tmp_path: Path, planted: Callable[[], Any]) -> None:
    with planted():
        run = recorded(tmp_path, "ledger-brief", 1)
    fault_found(run, tmp_path, "ledger-brief", "acknowledged entries lost")


def test_an_outbox_that_does_not_wait_for_the_disk_is_found(tmp_path: Path) -> None:
    with planted_not_waiting():
        run = recorded(tmp_path, "outbox-brief", 1)
    fault_found(run, tmp_path, "outbox-brief", "decisions that were kept are lost")


@pytest.mark.parametrize(
    ("name", "sync", "words"),
    [
        ("ledger-brief", Synced, "lost"),
        ("ledger-brief", FolderSynced, "lost"),
        ("outbox-brief", Synced, "lost"),
        ("outbox-brief", FolderSynced, "lost"),
        ("store", Synced, "has its name and is not complete"),
        ("store", FolderSynced, "lost"),
        ("vault", Synced, "is not complete"),
        ("vault", FolderSynced, "lost"),
    ],
)
def test_every_kind_of_sync_is_needed(tmp_path: Path, name: str, sync: type[Event], words: str) -> None:
    run = recorded(tmp_path, name, 1)
    fault_found(replace(run, trace=run.trace.without(sync)), tmp_path, name, words)
