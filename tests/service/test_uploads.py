"""An object on its way into the vault: what does not come to its end leaves nothing, and nothing of it in the clear."""

from __future__ import annotations

import io
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.service.conftest import Member, Service, all_joined, now, until
from tests.service.level_b import PASSPHRASE, found_b
from tests.service.test_endurance import all_of, line
from tests.service.test_vault import bench, following, served
from tests.service.vault_bench import Bench

from tclearn.directory.coalition import OBJECTS
from tclearn.directory.vault import VAULT
from tclearn.encoding import MemberId
from tclearn.errors import Code, MessageError, StorageError, UnreachableError
from tclearn.protocols.tclearn.records import Candidate
from tclearn.service import peers, uploads
from tclearn.service.fetching import object_path
from tclearn.service.inflow import ROOM_BYTES
from tclearn.service.office import Office
from tclearn.service.remote import Connection
from tclearn.service.uploads import Uploads
from tclearn.store.interface import Readable

DATA = random.Random(7).randbytes(9 << 20)
WINDOWS = [DATA[at : at + 16] for at in random.Random(8).sample(range(5 << 20), 64)]
"""Of what has come when half of it has."""


@pytest.fixture(scope="session")
def confidential(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tests take copies."""
    return found_b(tmp_path_factory.mktemp("confidential"))


@pytest.fixture
def service(confidential: Path, tmp_path: Path) -> Iterator[Service]:
    shutil.copytree(confidential, tmp_path / "coalition")
    running = Service(tmp_path / "coalition", passphrase=PASSPHRASE)
    running.start()
    yield running
    running.end()


@pytest.fixture
def members(service: Service, tmp_path: Path) -> dict[str, Member]:
    return all_joined(service, tmp_path)


class Halting:
    """A stream that gives its first half, and the second one when it may."""

    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)
        self._left = len(data) // 2
        self.half = threading.Event()
        self.go_on = threading.Event()

    def read(self, size: int = -1, /) -> bytes:
        if not self._left:
            self.half.set()
            assert self.go_on.wait(60)
            return self._stream.read(size)
        piece = self._stream.read(min(size, self._left))
        self._left -= len(piece)
        return piece


def upload(connection: Connection, candidate: Candidate, stream: Readable, size: int = len(DATA)) -> None:
    connection.upload(object_path(candidate.locator), stream, size)


def head(candidate: Candidate, length: int) -> bytes:
    path = object_path(candidate.locator)
    return f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()


def files(directory: Path) -> list[Path]:
    """What a vault has of objects, whole or not."""
    return [
        file for part in ("heads", "bodies", "incoming") for file in (directory / part).rglob("*") if file.is_file()
    ]


def nothing_left(service: Service) -> bool:
    return files(service.directory / VAULT) == [] and not service.desk.uploads._sending


def in_the_clear(directory: Path) -> list[Path]:
    return [
        file for file in directory.rglob("*") if file.is_file() and any(each in file.read_bytes() for each in WINDOWS)
    ]


def test_the_search_finds_what_is_in_the_clear(tmp_path: Path) -> None:
    (tmp_path / "half").write_bytes(DATA[: len(DATA) // 2])
    assert in_the_clear(tmp_path) == [tmp_path / "half"]


def test_an_object_goes_into_the_vault_from_a_file(
    service: Service, members: dict[str, Member], tmp_path: Path
) -> None:
    desks = bench(service)
    candidate = desks.announce(DATA)
    (tmp_path / "model").write_bytes(DATA)
    with following(members[candidate.proposer]) as store, (tmp_path / "model").open("rb") as file:
        for _ in range(2):  # again changes nothing
            file.seek(0)
            assert store.put_stream(file, size_max=len(DATA), name=candidate.locator) == candidate.locator
    assert desks.vault.get(candidate.locator, size_max=len(DATA)) == DATA
    assert len(files(service.directory / VAULT)) == 2, "a head and a body"
    assert members[candidate.proposer].home.kept(OBJECTS).get(candidate.locator, size_max=len(DATA)) == DATA


@pytest.mark.parametrize("change", [lambda data: data[:-1] + b"x", lambda data: data[:-1], lambda data: b""])
def test_other_bytes_than_announced_leave_nothing(
    service: Service, members: dict[str, Member], change: Callable[[bytes], bytes]
) -> None:
    candidate = bench(service).announce(DATA)
    data = change(DATA)
    with members[candidate.proposer].home.connection(now()) as connection:
        with pytest.raises(MessageError) as refused:
            upload(connection, candidate, io.BytesIO(data), len(data))
        assert refused.value.code is Code.PARAMETERS_DIGEST
        assert nothing_left(service)
        upload(connection, candidate, io.BytesIO(DATA))
        with pytest.raises(MessageError) as again:  # also when the vault has the right ones
            upload(connection, candidate, io.BytesIO(data), len(data))
        assert again.value.code is Code.PARAMETERS_DIGEST
    assert bench(service).vault.get(candidate.locator, size_max=len(DATA)) == DATA


def test_what_says_that_it_is_too_large_is_refused_before_it_comes(
    service: Service, members: dict[str, Member]
) -> None:
    candidate = bench(service).announce(DATA)
    with line(service, members[candidate.proposer]) as sender:
        sender.sendall(head(candidate, service.desk.office.object_bytes_max + 1))
        assert sender.recv(1000).startswith(b"HTTP/1.1 413")
    assert nothing_left(service)


def test_what_does_not_say_how_large_it_is_is_refused(service: Service, members: dict[str, Member]) -> None:
    candidate = bench(service).announce(DATA)
    with members[candidate.proposer].home.connection(now()) as connection:
        pieces = (DATA[at : at + 65536] for at in range(0, 1 << 20, 65536))
        answer = connection._client.put(object_path(candidate.locator), content=pieces)
        assert (answer.status_code, answer.json()["error"]["code"]) == (411, "TCL-901")
        assert nothing_left(service)
        upload(connection, candidate, io.BytesIO(DATA))  # ours says it, also where it sends piece by piece
    assert bench(service).vault.get(candidate.locator, size_max=len(DATA)) == DATA


def test_an_upload_that_is_cut_leaves_nothing_and_can_be_begun_again(
    service: Service, members: dict[str, Member]
) -> None:
    desks = bench(service)
    candidate = desks.announce(DATA)
    member = members[candidate.proposer]
    with line(service, member) as sender:
        sender.sendall(head(candidate, len(DATA)) + DATA[: len(DATA) // 2])
        until(lambda: files(service.directory / VAULT) != [])
    until(lambda: nothing_left(service))
    with member.home.connection(now()) as connection:
        upload(connection, candidate, io.BytesIO(DATA))
    assert desks.vault.get(candidate.locator, size_max=len(DATA)) == DATA


def test_who_sends_too_slowly_is_told_and_leaves_nothing(
    service: Service, members: dict[str, Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "UPLOAD_GRACE_SECONDS", 0.5)
    monkeypatch.setattr(uploads, "UPLOAD_BYTES_PER_SECOND_MIN", 1 << 20)
    candidate = bench(service).announce(DATA)
    with line(service, members[candidate.proposer]) as sender:
        sender.sendall(head(candidate, len(DATA)))
        sender.settimeout(0.02)
        answer, began = b"", time.monotonic()
        while not answer:
            assert time.monotonic() < began + 20
            sender.sendall(b"slow")
            with suppress(TimeoutError):
                answer = sender.recv(1000)
        assert answer.startswith(b"HTTP/1.1 429")
        assert b"retry-after: 1" in answer
    until(lambda: nothing_left(service))


def test_who_sends_is_not_blamed_for_a_slow_disk_of_the_service(
    service: Service, members: dict[str, Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "BODY_QUIET_SECONDS_MAX", 0.2)
    monkeypatch.setattr(uploads, "UPLOAD_GRACE_SECONDS", 0)
    monkeypatch.setattr(uploads, "UPLOAD_BYTES_PER_SECOND_MIN", len(DATA))
    desks, put = bench(service), Office.put

    def slowly(self: Office, name: Any, stream: Readable) -> None:
        time.sleep(1.5)
        put(self, name, stream)

    monkeypatch.setattr(Office, "put", slowly)
    candidate = desks.announce(DATA)
    assert len(DATA) > 2 * ROOM_BYTES
    with members[candidate.proposer].home.connection(now()) as connection:
        upload(connection, candidate, io.BytesIO(DATA))
    assert desks.vault.get(candidate.locator, size_max=len(DATA)) == DATA


def test_a_disk_that_fails_is_told_before_all_has_come(
    service: Service, members: dict[str, Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    desks = bench(service)
    candidate = desks.announce(DATA)

    def failing(path: str, pieces: Iterator[bytes]) -> None:
        next(iter(pieces))
        raise StorageError(Code.STORE_FAILED, "the disk is full")

    monkeypatch.setattr(desks.vault.backend, "write", failing)
    with line(service, members[candidate.proposer]) as sender:
        sender.sendall(head(candidate, len(DATA)) + DATA[: len(DATA) // 2])
        assert sender.recv(1000).startswith(b"HTTP/1.1 503")
    assert nothing_left(service)


def test_without_a_thread_an_upload_is_refused_and_the_next_one_is_not(
    service: Service, members: dict[str, Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    desks = bench(service)
    candidate = desks.announce(DATA)
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("upload"):
            raise RuntimeError("can't start new thread")
        start(thread)

    with members[candidate.proposer].home.connection(now()) as connection:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        for _ in range(2):
            with pytest.raises(UnreachableError, match="503"):
                upload(connection, candidate, io.BytesIO(DATA))
            assert nothing_left(service)
        monkeypatch.setattr(threading.Thread, "start", start)
        upload(connection, candidate, io.BytesIO(DATA))
    assert desks.vault.get(candidate.locator, size_max=len(DATA)) == DATA
    assert [each.name for each in threading.enumerate() if each.name.startswith("upload")] == []


def test_places_are_counted() -> None:
    places = Uploads(most=2)
    with places.place(MemberId("leuven")):
        with places.place(MemberId("namur")):
            with pytest.raises(UnreachableError, match="2 members are sending") as refused:
                places.place(MemberId("porto")).__enter__()
            assert refused.value.code is Code.BUSY
        with places.place(MemberId("porto")):
            pass


@pytest.mark.slow
def test_killed_in_the_middle_of_an_upload_the_service_has_nothing_in_the_clear(
    confidential: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "coalition"
    shutil.copytree(confidential, directory)
    offered = Bench.open(directory)
    candidate = offered.announce(DATA)
    offered.coalition.close()
    service = Service(directory, passphrase=PASSPHRASE)
    service.start()
    member = all_joined(service, tmp_path)[candidate.proposer]
    service.end()
    stream, failed = Halting(DATA), list[UnreachableError]()

    def send() -> None:
        try:
            upload(store.connection, candidate, stream)
        except UnreachableError as error:
            failed.append(error)

    with served(directory, tmp_path / "first.log") as (process, url), following(member, url) as store:
        thread = threading.Thread(target=send)
        thread.start()
        assert stream.half.wait(60)
        until(lambda: sum(file.stat().st_size for file in files(directory / VAULT)) > 1 << 20)
        process.send_signal(signal.SIGKILL)
        process.wait()
        stream.go_on.set()
        thread.join()
    assert len(failed) == 1
    assert in_the_clear(directory) == []
    assert [file.parent.name for file in files(directory / VAULT)] == ["incoming"], "an unfinished file, sealed"
    with served(directory, tmp_path / "second.log") as (_, url), following(member, url) as store:
        upload(store.connection, candidate, io.BytesIO(DATA))
    assert in_the_clear(directory) == []
    again = Bench.open(directory)
    assert again.vault.get(candidate.locator, size_max=len(DATA)) == DATA
    again.coalition.close()


@pytest.mark.slow
@pytest.mark.parametrize("numbers", [(signal.SIGTERM,), (signal.SIGINT,), (signal.SIGINT, signal.SIGINT)])
def test_ended_in_the_middle_of_an_upload_the_service_leaves_nothing_and_says_so(
    confidential: Path, tmp_path: Path, numbers: tuple[signal.Signals, ...]
) -> None:
    directory = tmp_path / "coalition"
    shutil.copytree(confidential, directory)
    offered = Bench.open(directory)
    candidate = offered.announce(DATA)
    offered.coalition.close()
    service = Service(directory, passphrase=PASSPHRASE)
    service.start()
    member = all_joined(service, tmp_path)[candidate.proposer]
    service.end()
    with served(directory, tmp_path / "log") as (process, url):
        at = replace(service, port=int(url.rsplit(":", 1)[1]))
        with line(at, member) as sender:
            sender.sendall(head(candidate, len(DATA)) + DATA[: len(DATA) // 2])
            until(lambda: sum(file.stat().st_size for file in files(directory / VAULT)) > 1 << 20)
            for number in numbers:
                process.send_signal(number)
                time.sleep(0.3)
            answer = all_of(sender)
            assert process.wait(30) == 0
    assert answer.startswith(b"HTTP/1.1 503") and b"the service is being ended" in answer
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log and log.splitlines()[-1].startswith("ended at")
    assert files(directory / VAULT) == []


def test_in_the_middle_of_a_delivery_a_member_has_nothing_in_the_clear(
    service: Service, members: dict[str, Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    desks = bench(service)
    candidate = desks.offer(DATA)
    reader = next(name for name in candidate.committee)
    access = desks.test_access(reader, candidate)
    stream, home = Halting(DATA), members[reader].home
    monkeypatch.setattr(type(desks.vault), "open", lambda self, name, start: stream)
    stream.close = lambda: None  # type: ignore[attr-defined]
    found: list[bytes] = []
    with following(members[reader]) as store:
        thread = threading.Thread(target=lambda: found.append(store.get(access.object, size_max=len(DATA))))
        thread.start()
        assert stream.half.wait(60)
        until(lambda: sum(file.stat().st_size for file in files(home.path / OBJECTS)) > 1 << 20)
        assert in_the_clear(home.path) == []
        stream.go_on.set()
        thread.join()
    assert found == [DATA]
    assert in_the_clear(home.path) == []
