"""Who is turned away, before it can ask anything or with a coded error."""

from __future__ import annotations

import socket
import ssl

import pytest
from blake3 import blake3
from tests.service.conftest import Member, Service, keys_of, now, now_ms, stranger

from tclearn.encoding import Digest
from tclearn.errors import Code, MessageError, StorageError, TCLearnError, UnreachableError, UsageError
from tclearn.identity.tls import identity_of_member
from tclearn.ledger import Transaction
from tclearn.protocols.tclearn import calls
from tclearn.service.fetching import RemoteStore
from tclearn.service.remote import Connection, RemoteLog
from tclearn.service.tls import client_context
from tclearn.store import MemoryStore


def signed(member: Member, signer: str, *, sequence: int = 1) -> bytes:
    call = calls.call(calls.Timeout(Digest(bytes(32))))
    return Transaction.signed(
        keys_of(signer).signer,
        member.home.charter.digest,
        call,
        sequence=sequence,
        expires_ms=now_ms() + 60_000,
    ).raw


def test_a_stranger_is_turned_away_in_the_handshake(quiet: Service, joined: dict[str, Member]) -> None:
    """It has a certificate with a member's name, under a root of its own."""
    connection = Connection(quiet.url, client_context(stranger(), joined["leuven"].home.service))
    with pytest.raises(UnreachableError):
        connection.get("/v1/health", size_max=100)
    connection.close()


def test_nobody_without_a_certificate(quiet: Service) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", quiet.port), timeout=5) as plain,
        context.wrap_socket(plain) as secured,
    ):
        try:
            secured.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = secured.recv(100)
        except OSError:  # an alert (certificate required), or the connection is gone already
            answer = b""
    assert answer == b""


def test_nothing_older_than_tls_1_3(quiet: Service) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(("127.0.0.1", quiet.port), timeout=5) as plain,
        pytest.raises(OSError, match=r"protocol version|reset|EOF"),
    ):
        context.wrap_socket(plain)


def test_a_service_with_another_key_is_not_believed(quiet: Service, joined: dict[str, Member]) -> None:
    home = joined["leuven"].home
    identity = identity_of_member(home.oneself.root, home.oneself.keys.root, now())
    connection = Connection(quiet.url, client_context(identity, home.oneself.root))
    with pytest.raises(UnreachableError, match="certificate"):
        connection.get("/v1/health", size_max=100)
    connection.close()


def test_each_member_hands_in_its_own_transactions_only(members: dict[str, Member]) -> None:
    with members["leuven"].home.connection(now()) as connection:
        log = RemoteLog(connection)
        with pytest.raises(MessageError) as refused:
            log.submit(signed(members["leuven"], "namur"))
        assert refused.value.code is Code.UNKNOWN_SIGNER
        assert "signed by namur, handed in by leuven" in refused.value.what
        with pytest.raises(MessageError, match="signed by nobody"):
            log.submit(signed(members["leuven"], "stranger"))
        with pytest.raises(MessageError) as malformed:
            log.submit(b"\xff")
        assert malformed.value.code is not Code.UNEXPECTED
        assert log.read(0).entries == []


def test_a_replayed_transaction_is_logged_once(members: dict[str, Member]) -> None:
    with members["leuven"].home.connection(now()) as connection:
        log = RemoteLog(connection)
        raw = signed(members["leuven"], "leuven")
        log.submit(raw)
        log.submit(raw)
        assert len(log.read(0).entries) == 1
        with pytest.raises(MessageError) as older:
            log.submit(signed(members["leuven"], "leuven", sequence=0))
        assert older.value.code is Code.SEQUENCE


def test_objects_that_nobody_waits_for_are_not_kept(joined: dict[str, Member]) -> None:
    with joined["leuven"].home.connection(now()) as connection:
        store = RemoteStore(connection, MemoryStore())
        with pytest.raises(MessageError) as refused:
            store.put(b"junk")
        assert refused.value.code is Code.REFUSED
        assert not store.has(Digest(blake3(b"junk").digest()))
        with pytest.raises(StorageError) as missing:
            store.get(Digest(bytes(32)), size_max=100)
        assert missing.value.code is Code.OBJECT_MISSING


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/ledger/entries?start=-1"),
        ("GET", "/v1/ledger/entries?start=x"),
        ("GET", "/v1/ledger/entries?start=99999999999999999999"),
        ("GET", "/v1/ledger/entries?start=7"),
        ("GET", "/v1/objects/ABC"),
        ("PUT", "/v1/objects/" + "0" * 63),
        ("DELETE", "/v1/charter"),
        ("GET", "/"),
        ("POST", "/v1/ledger/transactions"),
    ],
)
def test_what_cannot_be_is_a_coded_error(joined: dict[str, Member], method: str, path: str) -> None:
    with joined["namur"].home.connection(now()) as connection, pytest.raises(TCLearnError) as refused:
        connection.send(method, path, b"", "application/octet-stream")
    assert isinstance(refused.value, MessageError | UsageError)


def test_a_body_that_is_too_large_is_not_read(joined: dict[str, Member]) -> None:
    with joined["namur"].home.connection(now()) as connection, pytest.raises(MessageError) as refused:
        connection.send("POST", "/v1/ledger/transactions", bytes(3 << 20), "application/cose")
    assert refused.value.code is Code.TOO_LARGE
