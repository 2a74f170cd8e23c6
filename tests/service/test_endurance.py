"""What one end can do to the other by being slow, silent, greedy or large: nothing that a third one notices."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import h11
import numpy as np
import pytest
from tests.service.conftest import PATIENCE_S, Member, Service, now, until

from tclearn.directory.coalition import CoalitionDirectory
from tclearn.encoding import MemberId
from tclearn.errors import Code, UnreachableError
from tclearn.identity.tls import identity_of_member
from tclearn.limits import CONNECTIONS_PER_MEMBER_MAX, LISTENERS_PER_MEMBER_MAX
from tclearn.service.tls import client_context
from tclearn.service.turnstile import Newest, Turnstile

SHORT_S = 0.3
HEALTH = b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEAD_SECONDS_MAX", "BODY_QUIET_SECONDS_MAX", "STALLED_SECONDS_MAX"):
        monkeypatch.setattr(f"tclearn.service.peers.{name}", SHORT_S)
    monkeypatch.setattr("tclearn.service.door.HANDSHAKE_SECONDS_MAX", SHORT_S)


@contextmanager
def line(service: Service, member: Member) -> Iterator[ssl.SSLSocket]:
    """A connection of a member, as bare as it can be."""
    home = member.home
    context = client_context(identity_of_member(home.oneself.root, home.oneself.keys.root, now()), home.service)
    with (
        socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE_S) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        yield secured


def all_of(secured: ssl.SSLSocket) -> bytes:
    """Everything until the other end closes."""
    said = b""
    with suppress(OSError):
        while data := secured.recv(1 << 16):
            said += data
    return said


def closed(secured: ssl.SSLSocket) -> bool:
    """Whether the other end has closed; waits a little."""
    secured.settimeout(0.02)
    try:
        return secured.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def is_well(member: Member) -> bool:
    with member.home.connection(now()) as connection:
        return connection.get("/v1/health", size_max=1000).startswith(b'{"status":"ok"')


def test_a_head_that_comes_letter_by_letter_is_not_awaited(quiet: Service, joined: dict[str, Member]) -> None:
    with line(quiet, joined["leuven"]) as slow:
        began = time.monotonic()
        while not closed(slow):
            assert time.monotonic() < began + 5
            with suppress(OSError):
                slow.sendall(b"G")
        assert is_well(joined["namur"])


def test_a_body_that_stops_is_not_awaited_and_one_that_goes_on_is(quiet: Service, joined: dict[str, Member]) -> None:
    head = b"POST /v1/ledger/transactions HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n"
    with line(quiet, joined["leuven"]) as stops, line(quiet, joined["namur"]) as goes_on:
        stops.sendall(head + b"12345")
        goes_on.sendall(head)
        for _ in range(20):
            time.sleep(SHORT_S / 5)
            goes_on.sendall(b"x")
        assert goes_on.recv(1000).startswith(b"HTTP/1.1 400")
        assert all_of(stops) == b""


def test_who_does_not_read_an_answer_is_left(quiet: Service, joined: dict[str, Member]) -> None:
    data = np.random.default_rng(2).bytes(20_000_000)
    with CoalitionDirectory.open(quiet.directory) as coalition:
        name = coalition.store.put(data)
    with line(quiet, joined["leuven"]) as deaf:
        deaf.sendall(b"GET /v1/objects/%b HTTP/1.1\r\nHost: x\r\n\r\n" % name.hex().encode())
        time.sleep(4 * SHORT_S)
        assert is_well(joined["namur"])
        assert len(all_of(deaf)) < len(data)


def test_bodies_in_chunks_are_refused_before_a_chunk_is_looked_at(
    quiet: Service, joined: dict[str, Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[h11.Data] = []
    next_event = h11.Connection.next_event

    def counting(self: h11.Connection) -> object:
        event = next_event(self)
        if self.our_role is h11.SERVER and isinstance(event, h11.Data):
            looked_at.append(event)
        return event

    monkeypatch.setattr(h11.Connection, "next_event", counting)
    head = b"POST /v1/ledger/transactions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with ExitStack() as open_now:
        lines = [open_now.enter_context(line(quiet, joined["leuven"])) for _ in range(8)]
        for each in lines[:4]:
            with suppress(OSError):  # it may be closed while it is sent
                for _ in range(10):
                    each.sendall(head + b"1\r\nx\r\n" * 40_000)
        assert is_well(joined["namur"])
        for each in lines[4:]:
            each.sendall(head)
            said, _, body = all_of(each).partition(b"\r\n\r\n")
            assert said.startswith(b"HTTP/1.1 411 Length Required\r\n") and b"connection: close" in said.lower()
            assert json.loads(body)["error"]["code"] == "TCL-901"
    assert looked_at == []


def test_huge_heads_are_refused(quiet: Service, joined: dict[str, Member]) -> None:
    for huge in (b"GET /" + b"a" * 70_000, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 20_000):
        with line(quiet, joined["leuven"]) as large:
            with suppress(OSError):
                large.sendall(huge)
            assert all_of(large)[:12] in (b"HTTP/1.1 400", b"")
    assert is_well(joined["leuven"])


def test_strangers_that_say_nothing_keep_nobody_out(
    quiet: Service, joined: dict[str, Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tclearn.service.door.HANDSHAKES_AT_ONCE_MAX", 8)
    monkeypatch.setattr("tclearn.service.door.HANDSHAKE_SECONDS_MAX", 60)
    with ExitStack() as open_now:
        silent = [
            open_now.enter_context(socket.create_connection(("127.0.0.1", quiet.port), timeout=PATIENCE_S))
            for _ in range(40)
        ]
        assert is_well(joined["leuven"])
        gone = 0
        for stranger in silent[:20]:
            with suppress(ConnectionError):
                assert stranger.recv(1) == b""
            gone += 1
        assert gone == 20, "the oldest have been sent away"


def test_a_handshake_that_does_not_end_is_not_awaited(quiet: Service) -> None:
    with socket.create_connection(("127.0.0.1", quiet.port), timeout=PATIENCE_S) as stranger:
        stranger.sendall(b"\x16\x03\x01")
        with suppress(ConnectionError):
            assert stranger.recv(1) == b""


def test_a_member_with_too_many_connections_loses_its_oldest(
    quiet: Service, joined: dict[str, Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tclearn.service.peers.HEAD_SECONDS_MAX", 60)  # on a busy machine handshakes take their time
    with ExitStack() as open_now:
        other = open_now.enter_context(line(quiet, joined["namur"]))
        lines = [open_now.enter_context(line(quiet, joined["leuven"])) for _ in range(CONNECTIONS_PER_MEMBER_MAX + 2)]
        assert [all_of(each) for each in lines[:2]] == [b"", b""]
        for each in (lines[-1], other):
            each.sendall(HEALTH)
            assert each.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_member_with_too_many_streams_loses_its_oldest(quiet: Service, joined: dict[str, Member]) -> None:
    ended: list[int] = []
    heard: list[int] = []

    def listen(number: int) -> None:
        with suppress(UnreachableError), joined["leuven"].home.connection(now()) as connection:
            heard.extend(number for _ in connection.lines("/v1/ledger/events?size=0", quiet_s=PATIENCE_S))
        ended.append(number)

    threads = []
    for number in range(LISTENERS_PER_MEMBER_MAX + 1):
        threads.append(threading.Thread(target=listen, args=(number,), daemon=True))
        threads[-1].start()
        until(lambda: number in heard)  # noqa: B023 - called at once
    until(lambda: bool(ended))
    assert ended == [0]
    assert is_well(joined["leuven"])


def test_who_asks_too_often_is_told_to_wait_and_others_are_not(
    quiet: Service, joined: dict[str, Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    turnstile = quiet.desk.turnstile
    monkeypatch.setattr(turnstile, "at_once", 20)
    monkeypatch.setattr(turnstile, "per_second", 1.0)
    with joined["porto"].home.connection(now()) as connection:
        answers = [connection._client.get("/v1/health") for _ in range(40)]
        assert [answer.status_code for answer in answers[:15]] == [200] * 15
        assert answers[-1].status_code == 429
        assert answers[-1].headers["retry-after"] == "1"
        with pytest.raises(UnreachableError) as refused:
            connection.get("/v1/health", size_max=1000)
        assert refused.value.code is Code.BUSY
        assert "porto" in refused.value.what
    assert is_well(joined["turin"])


def test_tokens_come_back_with_time() -> None:
    clock = [0.0]
    turnstile = Turnstile(per_second=2, at_once=3, clock=lambda: clock[0])
    leuven, namur = MemberId("leuven"), MemberId("namur")

    def admitted(member: MemberId) -> bool:
        with suppress(UnreachableError):
            turnstile.admit(member)
            return True
        return False

    assert [admitted(leuven) for _ in range(5)] == [True] * 3 + [False] * 2
    assert admitted(namur)
    clock[0] = 1.0
    assert [admitted(leuven) for _ in range(3)] == [True, True, False]
    clock[0] = 1000.0
    assert [admitted(leuven) for _ in range(4)] == [True] * 3 + [False]


def test_the_newest_are_kept() -> None:
    ended: list[str] = []
    newest = Newest[str](2, ended.append)
    for name in "abc":
        newest.add(MemberId("leuven"), name)
    newest.add(MemberId("namur"), "x")
    assert ended == ["a"]
    newest.remove(MemberId("leuven"), "a")
    newest.remove(MemberId("leuven"), "b")
    newest.add(MemberId("leuven"), "d")
    assert ended == ["a"]
    assert (newest.count(MemberId("leuven")), newest.count(MemberId("nobody"))) == (2, 0)


def test_one_upload_at_a_time(quiet: Service) -> None:
    uploads = quiet.desk.uploads
    with uploads.place(MemberId("leuven")):
        with uploads.place(MemberId("namur")):
            pass
        with pytest.raises(UnreachableError, match="leuven is sending") as refused, uploads.place(MemberId("leuven")):
            pass
        assert refused.value.code is Code.BUSY
    with uploads.place(MemberId("leuven")):
        pass
