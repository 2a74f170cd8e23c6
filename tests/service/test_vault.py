"""A confidential coalition over TLS: what is read is on the ledger, what lies on a disk is sealed, who is refused."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.service.conftest import NAMES, Member, Service, all_joined, keys_of, now, now_ms, until
from tests.service.level_b import PASSPHRASE, found_b
from tests.service.proxy import Proxy
from tests.service.vault_bench import Bench

from tclearn.directory.coalition import OBJECTS, CoalitionDirectory
from tclearn.encoding import Digest, MemberId
from tclearn.errors import Code, MessageError, StorageError, UnreachableError, UsageError
from tclearn.learning.parameters import Parameters
from tclearn.ledger import Transaction
from tclearn.ledger.engines.follower import Follower
from tclearn.ledger.verify import verify
from tclearn.protocols import terms_of
from tclearn.protocols.tclearn import calls, contract
from tclearn.protocols.tclearn.state import State
from tclearn.service import server
from tclearn.service.home import DRAFTS
from tclearn.service.refused import refused_requests
from tclearn.service.remote import Connection, RemoteLog
from tclearn.service.vault_store import DELIVERIES, VaultStore
from tclearn.store.filesystem import FilesystemStore

MODEL = bytes(range(256)) * 20_000
WINDOW = 16


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


@contextmanager
def following(member: Member, url: str = "") -> Iterator[VaultStore]:
    """The member's end of the vault, without an agent."""
    home = replace(member.home, url=url) if url else member.home
    with home.connection(now()) as connection:
        charter = home.charter
        ledger: Follower[State] = Follower(
            contract(charter), charter.digest, home.charter_log_key, RemoteLog(connection), now_ms
        )
        ledger.pull()
        store = home.store(connection, ledger, now_ms)
        assert isinstance(store, VaultStore)
        yield store


def bench(service: Service) -> Bench:
    """The desks of a service that runs."""
    desk = service.desk
    assert desk.vault is not None
    return Bench(service.directory, desk.office.coalition, desk.office, desk.vault)


# --- a whole coalition -----------------------------------------------------------------------------------------------


def windows(data: bytes) -> set[bytes]:
    return {data[at : at + WINDOW] for at in range(len(data) - WINDOW + 1)}


def found_in(places: Sequence[Path], wanted: set[bytes]) -> list[Path]:
    files = [file for place in places for file in place.rglob("*") if file.is_file()]
    assert len(files) > 2
    return [file for file in files if any(window in file.read_bytes() for window in wanted)]


def test_they_train_and_neither_the_service_nor_a_member_has_a_byte_of_it_in_the_clear(
    service: Service, members: dict[str, Member], tmp_path: Path
) -> None:
    with ExitStack() as running:
        works = [running.enter_context(member.working()) for member in members.values()]
        until(lambda: all(work.ledger.state().increments == 4 for work in works))
        until(lambda: all(not work.ledger.state().undelivered(MemberId(name)) for work in works for name in NAMES))
    service.end()
    with CoalitionDirectory.open(service.directory, passphrase=PASSPHRASE) as coalition:
        state, store = coalition.state, coalition.store
        # Who tested a model has read it by an access; nobody else has.
        candidates = [state.candidate(number) for number in range(state.candidates)]
        readings = [state.access(number) for number in range(state.accesses)]
        assert {each.purpose for each in readings} <= {"test", "train"}
        for chained in list(state.blocks())[1:]:
            mine = [each for each in readings if each.object == chained.block.locator]
            name = next(each.id for each in candidates if each.locator == chained.block.locator)
            assert {each.member for each in mine if each.candidate == name} == set(chained.block.committee)
            assert all(each.delivered_ms is not None and each.time_ms <= each.delivered_ms for each in mine)
            assert {vote.vote for vote in chained.block.votes} == {"yes"}
        models = [store.get(candidate.locator, size_max=1 << 20) for candidate in candidates]
        coalition.export(tmp_path / "record.tclearn")
        with (tmp_path / "record.tclearn").open("rb") as record:
            verify(record, terms_of, coalition.charter.digest)
    wanted: set[bytes] = set()
    for model in models:
        parameters = Parameters.from_bytes(model, layout=coalition.charter.model.layout)
        for tensor in coalition.charter.model.layout:
            data = parameters[tensor.name].tobytes()
            assert data in model
            wanted |= windows(data)
    assert len(wanted) > 50
    places = [service.directory, *(member.home.path for member in members.values())]
    assert found_in(places, wanted) == []
    plain = FilesystemStore(tmp_path / "plain")
    for model in models:
        plain.put(model)
    assert len(found_in([tmp_path / "plain"], wanted)) == len(set(models)), "the search finds what there is to find"


def test_a_member_keeps_what_it_was_handed_and_reads_it_without_the_service(
    service: Service, members: dict[str, Member]
) -> None:
    desks = bench(service)
    access = desks.test_access("namur", desks.offer(MODEL))
    with following(members["namur"]) as store:
        assert store.get(access.object, size_max=len(MODEL)) == MODEL
    service.end()
    assert store.get(access.object, size_max=len(MODEL)) == MODEL
    assert members["namur"].home.kept(OBJECTS).has(access.object)
    assert not members["namur"].home.kept(DRAFTS).has(access.object)


def test_another_members_key_does_not_open_what_a_member_keeps(service: Service, members: dict[str, Member]) -> None:
    namur, porto = members["namur"].home, members["porto"].home
    namur.kept(OBJECTS).put(MODEL)
    with pytest.raises(StorageError) as refused:
        replace(namur, oneself=porto.oneself).kept(OBJECTS)
    assert refused.value.code in (Code.VAULT, Code.VAULT_KEY)


# --- who is refused --------------------------------------------------------------------------------------------------


def test_without_an_access_nothing_is_asked_for_and_nothing_comes(service: Service, members: dict[str, Member]) -> None:
    desks = bench(service)
    candidate = desks.offer(MODEL)
    with following(members["porto"]) as store:
        with pytest.raises(StorageError, match="no access") as refused:
            store.get(candidate.locator, size_max=len(MODEL))
        assert refused.value.code is Code.VAULT
        with pytest.raises(MessageError) as closed:
            store.connection.get(f"/v1/objects/{candidate.locator.hex()}", size_max=len(MODEL))
        assert closed.value.code is Code.REFUSED
        with pytest.raises(MessageError) as unknown:
            store.connection.get(f"/v1/objects/{'0' * 64}", size_max=10)
        assert unknown.value.code is Code.REFUSED, "nor does it tell what there is"


def test_what_is_refused_is_noted_when_it_was_signed(service: Service, members: dict[str, Member]) -> None:
    desks = bench(service)
    access = desks.test_access("namur", desks.offer(MODEL))
    request = desks.request(access.number, access.entry)
    with members["porto"].home.connection(now()) as porto, members["namur"].home.connection(now()) as namur:
        for connection, signer, code in (
            (porto, "namur", Code.UNKNOWN_SIGNER),
            (porto, "porto", Code.REFUSED),
            (namur, "stranger", Code.UNKNOWN_SIGNER),
        ):
            with pytest.raises(MessageError) as refused:
                ask(connection, request.signed(keys_of(signer).signer))
            assert refused.value.code is code
        message = replace(request, nonce=bytes(16)).signed(keys_of("namur").signer)
        assert ask(namur, message) == MODEL
        with pytest.raises(MessageError) as replayed:
            ask(namur, message)
        assert replayed.value.code is Code.SEQUENCE
        foreign = Transaction.signed(
            keys_of("porto").signer,
            desks.coalition.charter.digest,
            calls.call(calls.Delivered(access.number)),
            sequence=1,
            expires_ms=now_ms(),
        ).raw
        for message in (b"no transaction", foreign[:-1] + bytes([foreign[-1] ^ 1]), foreign):
            with pytest.raises(MessageError):
                RemoteLog(namur).submit(message)
        for message in (b"", b"x" * 100, b"x" * 9000, request.signed(keys_of("namur").signer)[:-1] + b"\0"):
            with pytest.raises(MessageError):
                ask(namur, message)
    noted = list(refused_requests(service.directory))
    assert [(each["member"], each["path"], each["code"]) for each in noted] == [
        ("porto", DELIVERIES, "TCL-304"),
        ("porto", DELIVERIES, "TCL-705"),
        ("namur", DELIVERIES, "TCL-304"),
        ("namur", DELIVERIES, "TCL-305"),
        ("namur", "/v1/ledger/transactions", "TCL-304"),
    ], "and nothing whose signature does not hold"
    assert all(abs(each["time_ms"] - now_ms()) < 60_000 for each in noted)


def ask(connection: Connection, message: bytes) -> bytes:
    return b"".join(connection.pieces(DELIVERIES, message, "application/cose"))


def test_who_was_expelled_is_handed_nothing_any_more(service: Service) -> None:
    desks = bench(service)
    desks.chain(MODEL)
    access = desks.state.granted(MemberId("namur"), desks.state.block(1).locator or Digest(b""))
    assert access is not None
    assert desks.fetch("namur", access) == MODEL
    assert desks.say("porto", calls.Request(calls.Change("expel", 2, expelled=MemberId("namur")))).code == 0
    for name in ("leuven", "turin"):
        assert desks.say(name, calls.Approve(desks.state.changes()[0])).code == 0
    assert "namur" not in desks.state.members
    with pytest.raises(MessageError) as refused:
        desks.fetch("namur", access)
    assert refused.value.code is Code.UNKNOWN_SIGNER


def test_what_a_former_member_still_signs_is_noted(service: Service, members: dict[str, Member]) -> None:
    desks = bench(service)
    desks.chain(MODEL)
    access = desks.state.granted(MemberId("namur"), desks.state.block(1).locator or Digest(b""))
    assert access is not None
    assert desks.say("porto", calls.Request(calls.Change("expel", 2, expelled=MemberId("namur")))).code == 0
    for name in ("leuven", "turin"):
        assert desks.say(name, calls.Approve(desks.state.changes()[0])).code == 0
    signed = desks.request(access.number, access.entry).signed(keys_of("namur").signer)
    for message, noted in ((b"hello", 0), (signed[:-1] + b"\0", 0), (signed, 1)):
        with members["namur"].home.connection(now()) as connection, pytest.raises(MessageError) as refused:
            ask(connection, message)
        assert refused.value.code is Code.FORMER_MEMBER
        lines = [(each["member"], each["code"]) for each in refused_requests(service.directory)]
        assert lines == [("namur", "TCL-312")] * noted


def test_a_locked_vault_is_not_served(service: Service) -> None:
    service.end()
    with CoalitionDirectory.open(service.directory, writing=True) as coalition:
        with pytest.raises(UsageError, match="locked"):
            server.server(coalition, coalition.roots(now()), ["127.0.0.1"], now())
        with pytest.raises(UsageError, match="locked"):
            coalition.store.get(Digest(bytes(32)), size_max=1)
    with pytest.raises(UsageError) as wrong:
        CoalitionDirectory.open(service.directory, writing=True, passphrase="another")
    assert wrong.value.code is Code.KEY_FILE
    CoalitionDirectory.open(service.directory, writing=True, passphrase=PASSPHRASE).close()  # nothing is left locked


# --- what breaks off -------------------------------------------------------------------------------------------------


def test_a_delivery_that_is_cut_again_and_again_goes_on_where_it_stopped(
    service: Service, members: dict[str, Member]
) -> None:
    desks = bench(service)
    access = desks.test_access("namur", desks.offer(MODEL))
    way = Proxy(service.port)
    way.each_connection_bytes = 900_000
    with following(members["namur"], way.url) as store:
        assert store.get(access.object, size_max=len(MODEL)) == MODEL
    assert way.connections >= 5
    way.close()


def test_a_receipt_of_another_history_is_not_accepted_by_the_member(
    service: Service, members: dict[str, Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    desks = bench(service)
    access = desks.test_access("namur", desks.offer(MODEL))
    honest = type(desks.office).receipt
    monkeypatch.setattr(type(desks.office), "receipt", lambda self, index, size: honest(self, index - 1, size))
    with following(members["namur"]) as store, pytest.raises(MessageError) as refused:
        store.get(access.object, size_max=len(MODEL))
    assert refused.value.code is Code.RECORD_HEAD


@contextmanager
def served(directory: Path, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """``tclearn serve`` as a process; gives it and its address."""
    words = ["serve", "--dir", str(directory), "--listen", "127.0.0.1:0"]
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-c", "from tclearn.cli import main; main()", *words],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env={"TCLEARN_VAULT_PASSPHRASE": PASSPHRASE, "PATH": ""},
        )
    try:
        until(lambda: "members: tclearn join" in log.read_text() or process.poll() is not None, 60)
        assert process.poll() is None, log.read_text()
        yield process, "https://127.0.0.1:" + log.read_text().partition("https://127.0.0.1:")[2].split()[0]
    finally:
        process.kill()
        process.wait()


def test_killed_between_access_and_delivery_the_service_hands_out_what_was_granted_and_no_more(
    confidential: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "coalition"
    shutil.copytree(confidential, directory)
    offered = Bench.open(directory)
    candidate = offered.offer(MODEL)
    offered.coalition.close()
    service = Service(directory, passphrase=PASSPHRASE)
    service.start()
    members = all_joined(service, tmp_path)
    service.end()
    with served(directory, tmp_path / "first.log") as (process, url), following(members["namur"], url) as store:
        asked = calls.Access(candidate.locator, "test", candidate.id)
        store.ledger.submit(transaction(store, asked))
        process.send_signal(signal.SIGKILL)
        process.wait()
        with pytest.raises(UnreachableError):
            store.get(candidate.locator, size_max=len(MODEL))
    with served(directory, tmp_path / "second.log") as (_, url):
        with following(members["namur"], url) as store:
            assert store.get(candidate.locator, size_max=len(MODEL)) == MODEL
        with following(members["porto"], url) as store, pytest.raises(StorageError, match="no access"):
            store.get(candidate.locator, size_max=len(MODEL))


def transaction(store: VaultStore, arguments: calls.Access) -> Transaction:
    return Transaction.signed(
        store.signer,
        store.ledger.coalition,
        calls.call(arguments),
        sequence=store.ledger.next_sequence(store.signer.public),
        expires_ms=now_ms() + 60_000,
    )


def test_without_the_passphrase_the_service_does_not_start(confidential: Path, tmp_path: Path) -> None:
    shutil.copytree(confidential, tmp_path / "coalition")
    words = ["serve", "--dir", str(tmp_path / "coalition"), "--listen", "127.0.0.1:0"]
    ended = subprocess.run(
        [sys.executable, "-c", "from tclearn.cli import main; main()", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": ""},
    )
    assert ended.returncode == 2
    assert "TCLEARN_VAULT_PASSPHRASE" in ended.stderr
