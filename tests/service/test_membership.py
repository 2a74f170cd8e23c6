"""Members come, go and take other keys at a service that runs, over TLS; nobody else's files change."""

from __future__ import annotations

import shutil
import threading
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.service import material
from tests.service.conftest import (
    NAMES,
    PATIENCE_S,
    Member,
    Service,
    all_joined,
    found_four,
    now,
    now_ms,
    oneself,
    until,
)

from tclearn.coalition.admission import admitted
from tclearn.directory.changes import ask_to_admit, ask_to_expel, take_keys
from tclearn.directory.coalition import CoalitionDirectory
from tclearn.directory.founding import bound
from tclearn.directory.site import SiteFile
from tclearn.encoding import MemberId
from tclearn.errors import Code, MessageError, TCLearnError, UnreachableError, UsageError
from tclearn.identity.enrolment import read_enrolment, write_enrolment
from tclearn.identity.member_keys import MemberKeys
from tclearn.ledger import Transaction
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn.records import DONE
from tclearn.protocols.tclearn.state import State
from tclearn.service.beside import beside
from tclearn.service.home import MemberHome, Oneself
from tclearn.service.remote import Connection, RemoteLog

GROWING = """
stop            = { blocks = 40 }
verdict_minutes = 1
turn_minutes    = 0.1
seal_minutes    = 0.2
"""
GHENT = MemberKeys.from_entropy(b"ghent" + bytes(59))


@pytest.fixture
def growing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Members have ten records more each time that they are asked."""
    monkeypatch.setenv("TCLEARN_TEST_FOLDER", str(tmp_path))
    monkeypatch.setattr(material, "more_of_ghent", lambda: material._growing(5, "ghent"), raising=False)


def made(name: str, keys: MemberKeys) -> tuple[bytes, Oneself]:
    """An enrolment file, and who has it."""
    data = write_enrolment(MemberId(name), keys, now())
    return data, Oneself(MemberId(name), keys, read_enrolment(data, now()).root)


def admit(members: dict[str, Member], enrolment: bytes, by: tuple[str, ...] = NAMES[:3]) -> str:
    status = ""
    for name in by:
        with beside(members[name].home, now(), now_ms) as here:
            signer = here.home.oneself.keys.signer
            status = ask_to_admit(here.ledger, here.home.charter.digest, signer, enrolment, now()).status
    return status


def expel(members: dict[str, Member], name: str, by: tuple[str, ...]) -> str:
    status = ""
    for voter in by:
        with beside(members[voter].home, now(), now_ms) as here:
            signer = here.home.oneself.keys.signer
            status = ask_to_expel(here.ledger, here.home.charter.digest, signer, MemberId(name)).status
    return status


def joins(service: Service, path: Path, who: Oneself) -> Member:
    with CoalitionDirectory.open(service.directory) as coalition:
        digest = coalition.charter.digest
    return Member(MemberHome.join(path, service.url, digest, who, now()), "more_of")


def state_of(service: Service) -> State:
    return service.desk.office.coalition.state


def test_a_newcomer_is_turned_away_until_it_is_admitted_and_then_joins(
    service: Service, members: dict[str, Member], tmp_path: Path
) -> None:
    enrolment, ghent = made("ghent", GHENT)
    with pytest.raises(UnreachableError) as stranger:
        joins(service, tmp_path / "ghent", ghent)
    assert stranger.value.code is Code.LEDGER_UNREACHABLE
    assert admit(members, enrolment, NAMES[:2]) == "asked"
    with pytest.raises(UnreachableError):
        joins(service, tmp_path / "ghent", ghent)
    assert admit(members, enrolment, NAMES[2:3]) == DONE
    home = joins(service, tmp_path / "ghent", ghent).home
    assert (tmp_path / "ghent" / "charter.cbor").read_bytes() == members["leuven"].home.charter.encode()
    assert MemberHome.open(home.path, ghent) == home
    with home.connection(now()) as connection:
        assert len(RemoteLog(connection).read(0).entries) == 3
    with pytest.raises(UsageError, match="has other keys for ghent"):
        MemberHome.open(home.path, made("ghent", MemberKeys.from_entropy(bytes(64)))[1])
    with pytest.raises(UsageError, match="has no member stranger"):
        MemberHome.open(home.path, oneself("stranger"))


def test_it_is_known_still_when_the_service_has_started_again(
    service: Service, members: dict[str, Member], tmp_path: Path
) -> None:
    enrolment, ghent = made("ghent", GHENT)
    admit(members, enrolment)
    expel(members, "turin", ("turin",))  # it leaves
    service.end()
    service.start()
    home = joins(service, tmp_path / "ghent", ghent).home
    with home.connection(now()) as connection:
        assert connection.get("/v1/health", size_max=100)
    refused_as_former(members["turin"].home.connection(now()), "turin is not a member any more")


def refused_as_former(opened: object, what: str) -> None:
    with opened as connection:  # type: ignore[attr-defined]
        for path in ("/v1/health", "/v1/charter", "/v1/data-key", "/v1/ledger/entries", "/v1/ledger/events"):
            with pytest.raises(MessageError) as refused:
                connection.get(path, size_max=1 << 20)
            assert refused.value.code is Code.FORMER_MEMBER
            assert what in refused.value.what
            assert refused.value.remedy
        with pytest.raises(MessageError) as posted:
            connection.send("POST", "/v1/ledger/transactions", b"x", "application/cose")
        assert posted.value.code is Code.FORMER_MEMBER


def is_turned_away(opened: AbstractContextManager[Connection]) -> bool:
    try:
        with opened as connection:
            connection.get("/v1/health", size_max=1 << 20)
    except MessageError:
        return True
    return False


def test_the_expelled_are_told_so_and_their_open_connections_end(service: Service, members: dict[str, Member]) -> None:
    ended = threading.Event()
    heard: list[str] = []

    def listen(connection: Connection) -> None:
        try:
            heard.extend(connection.lines("/v1/ledger/events?size=0", quiet_s=PATIENCE_S))
        except TCLearnError:
            ended.set()

    with members["turin"].home.connection(now()) as connection:
        assert connection.get("/v1/health", size_max=100)
        listener = threading.Thread(target=listen, args=(connection,))
        listener.start()
        until(lambda: bool(heard) or service.desk.announcer._newest.count(MemberId("turin")) > 0)
        assert expel(members, "turin", NAMES[:3]) == DONE
        assert ended.wait(PATIENCE_S)
        listener.join(PATIENCE_S)
        # The same client, over its next connection.
        with pytest.raises((MessageError, UnreachableError)):
            connection.get("/v1/health", size_max=100)
    refused_as_former(members["turin"].home.connection(now()), "turin is not a member any more")
    with members["porto"].home.connection(now()) as other:
        assert other.get("/v1/health", size_max=100)


def test_an_agent_that_is_expelled_ends_and_says_why(tmp_path: Path, growing: None) -> None:
    service = Service(found_four(tmp_path / "founder", schedule=GROWING))
    service.start()
    try:
        members = {name: replace(member, data="more_of") for name, member in all_joined(service, tmp_path).items()}
        ends: list[TCLearnError] = []
        with members["leuven"].working(), members["namur"].working(), members["porto"].working():
            turin = members["turin"]

            def run(work: object) -> None:
                try:
                    work.run()  # type: ignore[attr-defined]
                except TCLearnError as error:
                    ends.append(error)

            site = SiteFile(
                data="tests.service.material:more_of_turin", global_test="tests.service.material:global_test", threads=1
            )
            trainer = bound(turin.home.charter, site, turin.home.data_key())
            with turin.home.work(trainer, now(), clock=now_ms, say=lambda _: None) as work:
                thread = threading.Thread(target=run, args=(work,))
                thread.start()
                until(lambda: state_of(service).tip >= 1)
                expel(members, "turin", NAMES[:3])
                until(lambda: "turin" not in state_of(service).members, 60)
                thread.join(PATIENCE_S)
                assert not thread.is_alive()
            tip = state_of(service).tip
            until(lambda: state_of(service).tip > tip, 60)  # the others go on without it
        assert [error.code for error in ends] == [Code.FORMER_MEMBER]
    finally:
        service.end()


def test_a_newcomer_trains_and_a_rotated_member_goes_on(tmp_path: Path, growing: None) -> None:
    """Nothing is stopped and nothing is handed around; only the rotated member starts again, with its new key."""
    service = Service(found_four(tmp_path / "founder", schedule=GROWING))
    service.start()
    try:
        members = {name: replace(member, data="more_of") for name, member in all_joined(service, tmp_path).items()}
        before = {name: contents(tmp_path / name) for name in ("leuven", "namur")}
        enrolment, ghent = made("ghent", GHENT)
        with members["leuven"].working(), members["namur"].working(), members["turin"].working():
            with members["porto"].working():
                until(lambda: state_of(service).tip >= 1, 60)
                admit(members, enrolment)
                until(lambda: "ghent" in state_of(service).members, 60)
            # Porto has stopped: it takes other keys, and starts again.
            fresh = members["porto"].home.oneself.keys.rotated(b"rotated!" * 8)
            data, porto = made("porto", fresh)
            with beside(members["porto"].home, now(), now_ms) as here:
                take_keys(here.ledger, here.home.charter.digest, here.home.oneself.keys.signer, data, now())
            until(lambda: state_of(service).member_of(fresh.signer.public) == "porto", 90)
            until(lambda: is_turned_away(members["porto"].home.connection(now())))  # who is told of it finds it done
            refused_as_former(members["porto"].home.connection(now()), "porto has other keys now")
            again = Member(MemberHome.open(members["porto"].home.path, porto), "more_of")
            newcomer = joins(service, tmp_path / "ghent", ghent)
            start = len(service.desk.office.coalition.ledger)
            with again.working(), newcomer.working():
                until(lambda: {"porto", "ghent"} <= contributors(service, start), 120)
        assert {name: contents(tmp_path / name) for name in before} == before
        with CoalitionDirectory.open(newcomer.home.path) as copy:
            assert "ghent" in copy.state.members
    finally:
        service.end()


def contents(path: Path) -> dict[str, bytes]:
    """The files of a member that no agent writes."""
    return {name: (path / name).read_bytes() for name in ("charter.cbor", "service.pem", "service.url", "data.key")}


def contributors(service: Service, start: int) -> set[str]:
    blocks = (chained for chained in state_of(service).blocks() if (chained.entry or 0) >= start)
    return {chained.block.contributor or "" for chained in blocks}


def test_a_member_whose_directory_is_gone_joins_again_from_its_key_alone(tmp_path: Path, growing: None) -> None:
    service = Service(found_four(tmp_path / "founder", schedule=GROWING))
    service.start()
    try:
        members = {name: replace(member, data="more_of") for name, member in all_joined(service, tmp_path).items()}
        fresh = members["turin"].home.oneself.keys.rotated(b"rotated!" * 8)
        data, turin = made("turin", fresh)
        with beside(members["turin"].home, now(), now_ms) as here:
            take_keys(here.ledger, here.home.charter.digest, here.home.oneself.keys.signer, data, now())
        shutil.rmtree(members["turin"].home.path)
        members["turin"] = joins(service, tmp_path / "turin", turin)
        with members["leuven"].working(), members["namur"].working(), members["porto"].working():
            with members["turin"].working():
                until(lambda: "turin" in contributors(service, 0), 120)
            # In the middle of everything, with its outbox and drafts.
            shutil.rmtree(members["turin"].home.path)
            members["turin"] = joins(service, tmp_path / "turin", turin)
            start = len(service.desk.office.coalition.ledger)
            with members["turin"].working() as work:
                until(lambda: len(work.ledger) > start, 60)
                until(lambda: votes_after(service, start, "turin"), 120)
    finally:
        service.end()


def votes_after(service: Service, start: int, member: str) -> bool:
    blocks = (chained for chained in state_of(service).blocks() if (chained.entry or 0) >= start)
    return any(vote.member == member and vote.vote in ("yes", "no") for each in blocks for vote in each.block.votes)


def test_who_is_admitted_in_place_of_lost_keys_joins_with_the_new_ones(
    service: Service, members: dict[str, Member], tmp_path: Path
) -> None:
    enrolment, turin = made("turin", MemberKeys.from_entropy(b"again" + bytes(59)))
    assert admit(members, enrolment) == DONE
    refused_as_former(members["turin"].home.connection(now()), "turin has other keys now")
    home = joins(service, tmp_path / "turin", turin).home  # the directory that was there
    with home.connection(now()) as connection:
        assert connection.get("/v1/health", size_max=100)


def test_certificates_that_certify_nothing_keep_only_their_owner_away(
    service: Service, members: dict[str, Member]
) -> None:
    """The contract does not read certificates: a member may put there what it likes, and harms itself."""
    good, fresh = made("turin", members["turin"].home.oneself.keys.rotated(b"rotated!" * 8))
    other, _ = made("turin", MemberKeys.from_entropy(b"other" + bytes(59)))
    pieces, others = good.split(b"-----BEGIN "), other.split(b"-----BEGIN ")
    broken = b"-----BEGIN ".join([*pieces[:2], others[2], pieces[3]])
    with beside(members["turin"].home, now(), now_ms) as here:
        record = admitted(read_enrolment(good, now()))
        transaction = Transaction.signed(
            here.home.oneself.keys.signer,
            here.home.charter.digest,
            calls.call(calls.Rotate(record, broken)),
            sequence=0,
            expires_ms=now_ms() + 60_000,
        )
        RemoteLog(here.connection).submit(transaction.raw)
    assert state_of(service).member_of(fresh.keys.signer.public) == "turin"
    with pytest.raises(UnreachableError), _opened(members["turin"].home, fresh).connection(now()) as connection:
        connection.get("/v1/health", size_max=100)
    with members["porto"].home.connection(now()) as connection:
        assert connection.get("/v1/health", size_max=100)
    service.end()
    service.start()


def _opened(home: MemberHome, who: Oneself) -> MemberHome:
    return MemberHome(home.path, home.charter, home.service, home.url, who)
