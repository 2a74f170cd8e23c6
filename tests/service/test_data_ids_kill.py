"""The service killed while it computes data IDs: what was granted is not given back, and every answer is noted."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.service.asking import KEY, ids_of, records
from tests.service.conftest import NAMES, PATIENCE_S, Member, Service, all_joined, now, now_ms
from tests.service.level_b import PASSPHRASE, found_b
from tests.service.processes import ROOT

from tclearn.coalition.allowance import DAY_MS, Rate
from tclearn.directory.data_ids import open_id_journal
from tclearn.encoding import Digest
from tclearn.errors import UnreachableError
from tclearn.learning.id_source import IdsLater
from tclearn.service.binding import RECEIPTS, id_source
from tclearn.service.remote_ids import IdReceipts, PatientIds, checked_journal

AT_ONCE = 300
RATE = Rate(per_day=24, at_once=AT_ONCE)


@contextmanager
def process(directory: Path, port: int, *, kills: bool) -> Iterator[subprocess.Popen[str]]:
    running = subprocess.Popen(
        [sys.executable, "-m", "tests.service.dying", str(directory), str(port), str(int(kills))],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        assert running.stdout is not None
        assert running.stdout.readline() == "started\n"
        yield running
    finally:
        running.kill()
        running.wait()
        if running.stdout is not None:
            running.stdout.close()


@pytest.fixture
def ready(tmp_path: Path) -> tuple[Path, int, dict[str, Member]]:
    """The service's directory, a port for it, and members that have joined."""
    directory = found_b(tmp_path / "founder", per_day=RATE.per_day, at_once=RATE.at_once)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    once = Service(directory, port=port, passphrase=PASSPHRASE)
    once.start()
    members = all_joined(once, tmp_path)
    once.end()
    return directory, port, members


def test_killed_between_the_journal_and_the_answer(ready: tuple[Path, int, dict[str, Member]]) -> None:
    directory, port, members = ready
    leuven = members["leuven"]
    for each in range(2):
        with process(directory, port, kills=True) as dying:
            with pytest.raises(UnreachableError):
                ids_of(leuven, records(100, first=100 * each))
            assert dying.wait(PATIENCE_S) == -9
    with open_id_journal(directory, leuven.home.charter, read_only=True) as journal:
        assert [(entry.count, entry.granted, entry.left) for entry in journal.entries()] == [
            (100, 1, 200),
            (100, 1, 100),
        ]
    with process(directory, port, kills=False):
        with pytest.raises(IdsLater):
            ids_of(leuven, records(101))
        assert ids_of(leuven, records(100)) == [KEY.value(digest)[:16] for digest in records(100)]
        with pytest.raises(IdsLater):
            ids_of(leuven, records(1, first=100))


@pytest.mark.slow
def test_killed_at_any_moment(ready: tuple[Path, int, dict[str, Member]]) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # shown when the test fails
    chance = random.Random(seed)
    directory, port, members = ready
    ended = threading.Event()
    answered = dict.fromkeys(NAMES, 0)

    def ask(name: str) -> None:
        with members[name].home.connection(now()) as connection:
            source = id_source(members[name].home, connection, clock=now_ms, say=lambda _: None)
            assert isinstance(source, PatientIds)
            source.patient = False
            while not ended.is_set():
                wanted = [Digest(bytes([1]) * 28 + (answered[name] + at).to_bytes(4, "big")) for at in range(7)]
                try:
                    assert source.ids(wanted) == [KEY.value(digest)[:16] for digest in wanted]
                    answered[name] += len(wanted)
                except IdsLater:
                    return
                except UnreachableError:
                    time.sleep(0.05)

    asking = [threading.Thread(target=ask, args=(name,)) for name in NAMES]
    for thread in asking:
        thread.start()
    for _ in range(8):
        with process(directory, port, kills=False):
            time.sleep(chance.uniform(0, 0.7))
    with process(directory, port, kills=False):
        for thread in asking:
            thread.join(PATIENCE_S)
        ended.set()
    with open_id_journal(directory, members["leuven"].home.charter, read_only=True) as journal:
        entries = journal.entries()
    for name in NAMES:
        mine = [entry for entry in entries if entry.member == name]
        granted = sum(entry.count for entry in mine if entry.granted)
        passed_ms = mine[-1].time_ms - mine[0].time_ms
        assert answered[name] <= granted
        assert granted * DAY_MS <= AT_ONCE * DAY_MS + passed_ms * RATE.per_day
        receipts = IdReceipts(members[name].home.path / RECEIPTS).load()
        assert len(receipts) >= answered[name] // 7
        checked_journal(RATE, iter(entries), receipts)
    assert sum(answered.values()) > 0
