"""Data IDs of level B over TLS: who may ask, for how many records, and who is answered."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.service.asking import AT_ONCE, KEY, RATE, asked, ids_of, impatient, journal_of, records, send
from tests.service.conftest import PATIENCE_S, Member, Service, all_joined, keys_of, now, now_ms, stranger
from tests.service.level_b import PASSPHRASE, found_b

from tclearn.coalition.allowance import DAY_MS
from tclearn.directory.coalition import DATA_KEY
from tclearn.directory.data_ids import ID_KEY
from tclearn.encoding import Digest
from tclearn.errors import Code, MessageError, TCLearnError, UnreachableError, UsageError
from tclearn.identity.oprf import OprfKey, blind
from tclearn.identity.oprf_messages import IdRequest
from tclearn.learning.id_source import IdsLater
from tclearn.limits import ID_REQUEST_AGE_MS_MAX, ID_REQUEST_BYTES_MAX
from tclearn.service.binding import id_source
from tclearn.service.id_messages import IdAsk
from tclearn.service.remote import Later
from tclearn.service.remote_ids import PatientIds, remote_journal
from tclearn.service.tls import stranger_context


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


def test_equal_records_of_two_members_meet(members: dict[str, Member], service: Service) -> None:
    said: list[str] = []
    leuven, namur = ids_of(members["leuven"], records(20), said), ids_of(members["namur"], records(20, first=10))
    assert leuven == [KEY.value(digest)[:16] for digest in records(20)]
    assert leuven[10:] == namur[:10]
    assert set(leuven[:10]).isdisjoint(namur)
    assert said == ["asking the supervisor for 20 data IDs"]
    assert journal_of(service) == [("leuven", 20, 1), ("namur", 20, 1)]


def test_each_record_is_asked_for_once(members: dict[str, Member], service: Service) -> None:
    first = ids_of(members["leuven"], records(20))
    assert ids_of(members["leuven"], records(20)) == first
    assert ids_of(members["leuven"], records(22))[:20] == first
    assert [count for _, count, _ in journal_of(service)] == [20, 2]


def test_a_member_cannot_compute_an_id_without_the_supervisor(members: dict[str, Member], service: Service) -> None:
    """With everything that it holds: its keys, its directory, the charter, the IDs that it was given before."""
    known = ids_of(members["leuven"], records(5))
    home = members["leuven"].home
    service.end()
    assert ids_of(members["leuven"], records(5)) == known
    with pytest.raises(UnreachableError):
        ids_of(members["leuven"], records(6))
    assert not (home.path / DATA_KEY).exists()
    wanted = KEY.value(records(6)[5])[:16]
    keys = (home.charter.data_key, home.charter.data_ids.public_key, home.oneself.keys.signer.seed())  # type: ignore[union-attr]
    assert wanted not in {OprfKey(key).value(records(6)[5])[:16] for key in keys}
    secret = KEY._scalar
    for file in (each for each in home.path.rglob("*") if each.is_file()):
        data = file.read_bytes()
        assert bytes(range(32)) not in data and bytes(range(32)).hex().encode() not in data, file
        assert secret not in data and wanted not in data, file


def test_nothing_hands_the_key_out(members: dict[str, Member], service: Service) -> None:
    with members["leuven"].home.connection(now()) as connection, pytest.raises(MessageError) as refused:
        connection.get("/v1/data-key", size_max=100)
    assert refused.value.code is Code.REFUSED
    assert not (service.directory / DATA_KEY).exists()
    assert b"ENCRYPTED" in (service.directory / ID_KEY).read_bytes()
    for file in (each for each in service.directory.rglob("*") if each.is_file()):
        assert bytes(range(32)) not in file.read_bytes(), file
    with pytest.raises(UnreachableError):
        members["leuven"].home.data_key()


@pytest.mark.parametrize("passphrase", [None, "another"])
def test_without_the_passphrase_it_does_not_start(founded_b: Path, tmp_path: Path, passphrase: str | None) -> None:
    shutil.copytree(founded_b, tmp_path / "coalition")
    running = Service(tmp_path / "coalition", passphrase=passphrase)
    with pytest.raises(UsageError) as refused:
        running.start()
    running.end()
    assert refused.value.code in (Code.KEY_FILE, Code.VAULT_KEY)


def test_at_level_a_nobody_asks(quiet: Service, joined: dict[str, Member]) -> None:
    leuven = joined["leuven"]
    with leuven.home.connection(now()) as connection:
        for each in (lambda: send(leuven, asked(leuven)), lambda: list(remote_journal(connection))):
            with pytest.raises(MessageError) as refused:
                each()
            assert refused.value.code is Code.REFUSED


def test_who_asks_must_have_signed(members: dict[str, Member], service: Service) -> None:
    leuven = members["leuven"]
    stale = now_ms() - ID_REQUEST_AGE_MS_MAX - 10_000
    early = now_ms() + ID_REQUEST_AGE_MS_MAX + 10_000
    changed = bytearray(asked(leuven))
    changed[60] ^= 1
    refused = {
        Code.UNKNOWN_SIGNER: [
            asked(members["namur"]),
            IdAsk(leuven.home.charter.digest, now_ms(), IdRequest.of(blind(records(1)).blinded).encode()).signed(
                keys_of("stranger").signer
            ),
        ],
        Code.WRONG_COALITION: [asked(leuven, coalition=Digest(bytes(32)))],
        Code.EXPIRED: [asked(leuven, time_ms=stale), asked(leuven, time_ms=early)],
        Code.SIGNATURE: [bytes(changed)],
        Code.ENCODING: [b"", b"\xff" * 200, asked(leuven)[:-1], asked(leuven, request=b"\xa0")],
        Code.OPRF: [
            asked(leuven, request=IdRequest(b"").encode()),
            asked(leuven, request=IdRequest(bytes(31)).encode()),
        ],
        Code.TOO_LARGE: [bytes(ID_REQUEST_BYTES_MAX + 1)],
    }
    for code, messages in refused.items():
        for message in messages:
            with pytest.raises(TCLearnError) as caught:
                send(leuven, message)
            assert caught.value.code is code, (code, caught.value)
    assert journal_of(service) == []


def test_a_request_that_was_answered_is_not_answered_again(members: dict[str, Member], service: Service) -> None:
    message = asked(members["leuven"])
    send(members["leuven"], message)
    with pytest.raises(MessageError) as refused:
        send(members["leuven"], message)
    assert refused.value.code is Code.REFUSED
    service.end()
    service.start()
    with pytest.raises(MessageError, match="answered before"):
        send(members["leuven"], message)
    assert journal_of(service) == [("leuven", 1, 1)]


def test_elements_that_are_none_have_been_paid_for(members: dict[str, Member], service: Service) -> None:
    with pytest.raises(MessageError) as refused:
        send(members["leuven"], asked(members["leuven"], request=IdRequest(bytes(32 * 9)).encode()))
    assert refused.value.code is Code.OPRF
    assert journal_of(service) == [("leuven", 9, 1)]


def test_a_dictionary_runs_into_the_allowance(members: dict[str, Member], service: Service) -> None:
    """300 at once, and then 100 in an hour: who tries records one by one gets no further."""
    found, said = 0, list[str]()
    with members["leuven"].home.connection(now()) as connection:
        source = impatient(members["leuven"], connection, said)
        later = None
        while later is None and found < 1000:
            try:
                source.ids(records(50, first=found))
                found += 50
            except IdsLater as error:
                later = error
        assert later is not None
        assert found == AT_ONCE
        assert later.code is Code.ALLOWANCE
        wait_s = (later.until_ms - now_ms()) / 1000
        assert 0.9 < wait_s / (50 * DAY_MS / 1000 / RATE.per_day) < 1.01
        assert "the allowance of data IDs is used up; it goes on at " in said[-1]
        lines = len(said)
        for _ in range(20):
            with pytest.raises(IdsLater):
                source.ids(records(50, first=AT_ONCE))
    assert len(said) == lines, "it is said once"
    assert [granted for _, _, granted in journal_of(service)] == [1] * 6 + [0], "asked again only when it is time"
    assert ids_of(members["namur"], records(50, first=AT_ONCE)), "others have their own"


def test_it_waits_and_goes_on(members: dict[str, Member], service: Service) -> None:
    """Time is the test's: an hour has 100 more records."""
    passed_ms, said = 0, list[str]()
    assert service.desk.ids is not None
    service.desk.ids.clock = lambda: now_ms() + passed_ms

    def pause(seconds: float) -> None:
        nonlocal passed_ms
        passed_ms += int(1000 * seconds) + 1

    with members["leuven"].home.connection(now()) as connection:
        source = id_source(members["leuven"].home, connection, clock=lambda: now_ms() + passed_ms, say=said.append)
        assert isinstance(source, PatientIds)
        source._pause = pause
        source.ids(records(AT_ONCE))
        assert source.ids(records(100, first=AT_ONCE))[0] == KEY.value(records(1, first=AT_ONCE)[0])[:16]
    assert 3_590_000 < passed_ms < 3_700_000
    assert any("used up" in line for line in said)


def test_it_waits_for_a_service_that_is_away(members: dict[str, Member], service: Service) -> None:
    said = list[str]()
    service.end()

    def pause(seconds: float) -> None:
        if len(pauses) == 2:
            service.start()
        pauses.append(seconds)

    pauses = list[float]()
    with members["leuven"].home.connection(now()) as connection:
        source = id_source(members["leuven"].home, connection, clock=now_ms, say=said.append)
        assert isinstance(source, PatientIds)
        source._pause = pause
        assert len(source.ids(records(3))) == 3
    assert len(pauses) >= 3
    assert sum("does not answer" in line for line in said) == 1


class Held:
    """A key whose evaluations wait until they are let go on, or take long."""

    def __init__(self, key: OprfKey, entered: threading.Event, go_on: threading.Event) -> None:
        self._key, self._entered, self._go_on = key, entered, go_on

    def evaluate(self, blinded: Any) -> Any:
        self._entered.set()
        assert self._go_on.wait(PATIENCE_S)
        return self._key.evaluate(blinded)


def test_one_request_of_a_member_at_a_time(members: dict[str, Member], service: Service) -> None:
    entered, go_on = threading.Event(), threading.Event()
    assert service.desk.ids is not None
    service.desk.ids.key = Held(KEY, entered, go_on)  # type: ignore[assignment]
    answers: list[bytes] = []
    first = threading.Thread(target=lambda: answers.append(send(members["leuven"], asked(members["leuven"]))))
    first.start()
    assert entered.wait(PATIENCE_S)
    try:
        with pytest.raises(Later) as busy:
            send(members["leuven"], asked(members["leuven"]))
    finally:
        go_on.set()
        first.join(PATIENCE_S)
    assert busy.value.error.code is Code.BUSY
    assert len(answers) == 1
    assert journal_of(service) == [("leuven", 1, 1)], "who was told to wait has lost nothing"


def test_other_requests_are_answered_meanwhile(members: dict[str, Member], service: Service) -> None:
    done = threading.Event()

    def ask() -> None:
        ids_of(members["leuven"], records(AT_ONCE))
        done.set()

    asking = threading.Thread(target=ask)
    slowest, answers = 0.0, 0
    with members["namur"].home.connection(now()) as connection:
        connection.get("/v1/health", size_max=1000)
        asking.start()
        while not done.is_set():
            begun = time.monotonic()
            connection.get("/v1/health", size_max=1000)
            slowest, answers = max(slowest, time.monotonic() - begun), answers + 1
        asking.join()
    assert answers > 10
    assert slowest < 1


def test_a_stranger_is_told_nothing(service: Service) -> None:
    with pytest.raises(httpx.HTTPError):
        httpx.Client(verify=stranger_context(stranger())).get(f"{service.url}/v1/data-ids/journal")
