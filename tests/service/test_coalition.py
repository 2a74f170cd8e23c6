"""Four members and their service, over TLS on loopback: what a coalition in one process does, and what breaks off."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.service.conftest import NAMES, Member, Service, now, oneself, until

from tclearn.directory.coalition import CoalitionDirectory
from tclearn.errors import Code, UsageError, VerificationError
from tclearn.ledger.engines.follower import Page
from tclearn.ledger.verify import verify
from tclearn.protocols import terms_of
from tclearn.service.home import MemberHome
from tclearn.service.remote import RemoteLog


def blocks(path: Path) -> list[bytes]:
    with CoalitionDirectory.open(path) as coalition:
        return [chained.block.hash for chained in coalition.state.blocks()]


def test_they_train_a_model_and_each_has_the_whole_record(service: Service, members: dict[str, Member]) -> None:
    with ExitStack() as running:
        works = [running.enter_context(member.working()) for member in members.values()]
        until(lambda: all(work.ledger.state().increments == 4 for work in works))
        until(lambda: len({len(work.ledger) for work in works}) == 1)
    chain = blocks(service.directory)
    assert len(chain) == 5
    for member in members.values():
        assert blocks(member.home.path) == chain
    with CoalitionDirectory.open(members["porto"].home.path) as copy:
        note = copy.export(members["porto"].home.path / "record.tclearn")
        assert note.head.size == len(copy.ledger)
        with (members["porto"].home.path / "record.tclearn").open("rb") as stream:
            verify(stream, terms_of, copy.charter.digest)
    with CoalitionDirectory.open(service.directory) as coalition:
        for chained in list(coalition.state.blocks())[1:]:
            assert {vote.vote for vote in chained.block.votes} == {"yes"}, "nobody dropped out"
            assert len(chained.block.votes) == len(NAMES) - 1


def test_the_service_goes_away_and_comes_back(service: Service, members: dict[str, Member]) -> None:
    said: dict[str, list[str]] = {name: [] for name in NAMES}
    with ExitStack() as running:
        works = [running.enter_context(member.working(said[name])) for name, member in members.items()]
        until(lambda: works[0].ledger.state().increments >= 1)
        service.end()
        until(lambda: all(said.values()))
        service.start()
        until(lambda: all(work.ledger.state().increments == 4 for work in works))
    for lines in said.values():
        assert "TCL-409" in lines[0] and "does not answer" in lines[0]
        assert lines[1] == f"{service.url} answers again"


def test_a_member_is_started_again_and_reads_its_own_copy(
    service: Service, members: dict[str, Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as running:
        works = [running.enter_context(member.working()) for member in members.values()]
        until(lambda: works[-1].ledger.state().increments >= 2)
    with CoalitionDirectory.open(members["turin"].home.path) as copy:
        kept = len(copy.ledger)
    assert kept > 20
    asked: list[int] = []
    read = RemoteLog.read

    def watched(self: RemoteLog, start: int) -> Page:
        asked.append(start)
        return read(self, start)

    monkeypatch.setattr(RemoteLog, "read", watched)
    with members["turin"].working():
        until(lambda: bool(asked))
    assert min(asked) >= kept


def test_what_the_stream_of_events_tells_is_not_asked_for(
    service: Service, members: dict[str, Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    read = RemoteLog.read

    def watched(self: RemoteLog, start: int) -> Page:
        page = read(self, start)
        asked.append(len(page.entries))
        return page

    monkeypatch.setattr(RemoteLog, "read", watched)
    with ExitStack() as running:
        works = [running.enter_context(member.working()) for member in members.values()]
        until(lambda: all(work.ledger.state().increments == 4 for work in works))
    assert asked.count(0) < len(asked) / 3, "most answers bring something"


def test_joining_with_another_digest_is_refused(service: Service, tmp_path: Path) -> None:
    with CoalitionDirectory.open(service.directory) as coalition:
        wrong = type(coalition.charter.digest)(bytes(32))
    with pytest.raises(VerificationError) as refused:
        MemberHome.join(tmp_path / "x", service.url, wrong, oneself("leuven"), now())
    assert refused.value.code is Code.RECORD_CHARTER
    assert not (tmp_path / "x").exists()


def test_a_directory_belongs_to_one_member(members: dict[str, Member]) -> None:
    with pytest.raises(UsageError, match=r"other keys|no member"):
        MemberHome.open(members["namur"].home.path, oneself("stranger"))


def test_a_connection_that_is_closed_is_not_closed_under_whoever_listens(
    service: Service, members: dict[str, Member]
) -> None:
    with members["leuven"].home.connection(now()) as connection:
        lines = connection.lines("/v1/ledger/events?size=0", quiet_s=30)
        assert next(lines).startswith(":")
    service.desk.announcer.grown(7)
    assert next(line for line in lines if line.startswith("data")) == 'data: {"entries": 7}'
