"""A member that is cut off comes back and catches up; what breaks off goes on where it stopped."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from blake3 import blake3
from tests.service.conftest import NAMES, Member, Service, found_four, now, oneself, until
from tests.service.proxy import PIECE, proxy
from tests.service.test_endurance import all_of, line

from tclearn.directory.coalition import CoalitionDirectory
from tclearn.encoding import Digest
from tclearn.errors import Code, StorageError, UnreachableError, UsageError
from tclearn.protocols.tclearn.state import State
from tclearn.service.fetching import RemoteStore, object_path
from tclearn.service.home import MemberHome
from tclearn.store import MemoryStore
from tclearn.store.filesystem import FilesystemStore

IMPATIENT = """
stop            = { blocks = 40 }
verdict_minutes = 0.03
turn_minutes    = 0.1
"""
DEADLINES = 3
OBJECT = np.random.default_rng(1).bytes(3_000_000)


@pytest.mark.slow
def test_a_member_that_is_cut_off_is_missed_by_name_and_catches_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TCLEARN_TEST_FOLDER", str(tmp_path))
    service = Service(found_four(tmp_path / "founder", schedule=IMPATIENT))
    service.start()
    with ExitStack() as running:
        running.callback(service.end)
        way = running.enter_context(proxy(service.port))
        with CoalitionDirectory.open(service.directory) as coalition:
            digest = coalition.charter.digest
        homes = {name: MemberHome.join(tmp_path / name, service.url, digest, oneself(name), now()) for name in NAMES}
        homes["turin"] = replace(homes["turin"], url=way.url)
        said: list[str] = []
        works = {
            name: running.enter_context(Member(home, data="more_of").working(said if name == "turin" else None))
            for name, home in homes.items()
        }
        turin, leuven = works["turin"].ledger, works["leuven"].ledger
        until(lambda: turin.state().increments >= 1)

        way.cut()
        parted = leuven.state().tip
        behind = len(turin)
        until(lambda: leuven.state().tip >= parted + DEADLINES, 60)
        assert len(turin) <= behind + 5, "nothing came through"
        back = leuven.state().tip
        way.mend()

        until(lambda: len(turin) > behind and turin.state().tip >= back)
        until(lambda: any(line.endswith("answers again") for line in said))
        until(lambda: voted(leuven.state(), "turin", after=back), 60)
        missed = [
            vote.vote
            for chained in leuven.state().blocks()
            for vote in chained.block.votes
            if vote.member == "turin" and parted < chained.block.index <= back
        ]
        assert missed and set(missed) <= {"missing", "yes"} and missed.count("missing") >= len(missed) - 1
    with CoalitionDirectory.open(tmp_path / "turin") as copy, CoalitionDirectory.open(service.directory) as first:
        ours = [each.entry.encode() for each in copy.ledger.entries(0, len(copy.ledger))]
        assert ours == [each.entry.encode() for each in first.ledger.entries(0, len(ours))]


def voted(state: State, member: str, *, after: int) -> bool:
    votes = [vote for chained in state.blocks() if chained.block.index > after for vote in chained.block.votes]
    return any(vote.member == member and vote.vote == "yes" for vote in votes)


def kept_at(service: Service) -> Digest:
    with CoalitionDirectory.open(service.directory) as coalition:
        return coalition.store.put(OBJECT)


def test_a_transfer_that_is_cut_again_and_again_goes_on_where_it_stopped(
    quiet: Service, joined: dict[str, Member]
) -> None:
    name = kept_at(quiet)
    with proxy(quiet.port) as way:
        way.each_connection_bytes = 700_000
        with replace(joined["namur"].home, url=way.url).connection(now()) as connection:
            store = RemoteStore(connection, MemoryStore())
            assert store.get(name, size_max=len(OBJECT)) == OBJECT
    assert way.connections >= 5
    # Each time what was on its way when it was cut comes once more, and a handshake.
    assert len(OBJECT) < way.passed < len(OBJECT) + way.connections * (2 * PIECE + 20_000)


@pytest.mark.slow  # it pauses between its tries
def test_a_transfer_that_does_not_get_on_is_given_up(quiet: Service, joined: dict[str, Member]) -> None:
    name = kept_at(quiet)
    with proxy(quiet.port) as way:
        way.each_connection_bytes = 100
        with replace(joined["namur"].home, url=way.url).connection(now()) as connection:
            store = RemoteStore(connection, MemoryStore())
            with pytest.raises(UnreachableError):
                store.get(name, size_max=len(OBJECT))


def test_what_is_larger_than_it_may_be_is_not_fetched_to_its_end(quiet: Service, joined: dict[str, Member]) -> None:
    name = kept_at(quiet)
    with proxy(quiet.port) as way, replace(joined["namur"].home, url=way.url).connection(now()) as connection:
        with pytest.raises(StorageError) as refused:
            RemoteStore(connection, MemoryStore()).get(name, size_max=1000)
        assert refused.value.code is Code.TOO_LARGE
        assert way.passed < len(OBJECT)


def test_a_copy_of_ones_own_that_is_damaged_is_fetched_anew(
    quiet: Service, joined: dict[str, Member], tmp_path: Path
) -> None:
    name = kept_at(quiet)
    kept = FilesystemStore(tmp_path)
    kept.put(OBJECT)
    (tmp_path / "objects" / name.hex()[:2] / name.hex()[2:]).write_bytes(b"damaged")
    with joined["namur"].home.connection(now()) as connection:
        assert RemoteStore(connection, kept).get(name, size_max=len(OBJECT)) == OBJECT
    assert blake3(kept.get(name, size_max=len(OBJECT))).digest() == name


def test_many_threads_fetch_an_object_once(quiet: Service, joined: dict[str, Member]) -> None:
    name = kept_at(quiet)
    with proxy(quiet.port) as way, replace(joined["namur"].home, url=way.url).connection(now()) as connection:
        store = RemoteStore(connection, MemoryStore())
        found: list[bytes] = []
        threads = [threading.Thread(target=lambda: found.append(store.get(name, size_max=1 << 30))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [OBJECT] * 4
        assert way.passed < 2 * len(OBJECT)


def test_it_is_known_whether_the_service_has_an_object(quiet: Service, joined: dict[str, Member]) -> None:
    name = kept_at(quiet)
    with joined["namur"].home.connection(now()) as connection:
        store = RemoteStore(connection, MemoryStore())
        assert store.has(name)
        assert not store.has(Digest(bytes(32)))


def test_a_range_that_begins_at_the_end_is_refused(quiet: Service, joined: dict[str, Member]) -> None:
    name = kept_at(quiet)
    with joined["namur"].home.connection(now()) as connection:
        answer = connection._client.get(f"/v1/objects/{name.hex()}", headers={"range": f"bytes={len(OBJECT)}-"})
        assert answer.status_code == 416
        assert answer.headers["content-range"] == f"bytes */{len(OBJECT)}"
        part = connection._client.get(f"/v1/objects/{name.hex()}", headers={"range": "bytes=2999990-"})
        assert (part.status_code, part.content) == (206, OBJECT[-10:])
        assert part.headers["content-range"] == "bytes 2999990-2999999/3000000"


def test_what_ends_where_one_goes_on_is_whole_and_what_ends_before_is_an_error(
    quiet: Service, joined: dict[str, Member]
) -> None:
    path = object_path(kept_at(quiet))
    with joined["namur"].home.connection(now()) as connection:
        assert list(connection.stream(path, start=len(OBJECT))) == []
        with pytest.raises(UsageError):
            list(connection.stream(path, start=len(OBJECT) + 1))


@pytest.mark.slow
def test_an_answer_that_is_not_over_when_the_service_ends_is_cut_off_without_a_word_of_a_defect(
    service: Service, members: dict[str, Member], caplog: pytest.LogCaptureFixture
) -> None:
    data = np.random.default_rng(2).bytes(20_000_000)
    with CoalitionDirectory.open(service.directory) as coalition:
        name = coalition.store.put(data)
    with line(service, members["leuven"]) as deaf:
        deaf.sendall(f"GET {object_path(name)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert deaf.recv(12) == b"HTTP/1.1 200"
        service.end()
        assert len(all_of(deaf)) < len(data)
    assert not [record for record in caplog.records if record.exc_info]
