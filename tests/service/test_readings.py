"""Readings for one's own use, over TLS: asked for, witnessed, handed out, confirmed, and in the journal."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.cli.conftest import Run, tclearn  # noqa: F401 - a fixture
from tests.service.conftest import (
    ENROLMENTS,
    NAMES,
    Member,
    Service,
    all_joined,
    keys_of,
    now,
    now_ms,
    until,
)
from tests.service.level_b import PASSPHRASE, found_b
from tests.service.material import global_test

from tclearn.coalition.digest_text import format_digest
from tclearn.directory.coalition import CoalitionDirectory
from tclearn.directory.predicting import predict_with
from tclearn.encoding import MemberId
from tclearn.errors import AgentError, UsageError
from tclearn.identity.key_file import write_key_file
from tclearn.ledger.cosigning import quorum
from tclearn.protocols.tclearn.reading_journal import journal, who_had
from tclearn.protocols.tclearn.state import State
from tclearn.service.beside import beside
from tclearn.service.reading import Waiting, read_version

pytestmark = pytest.mark.slow

SCHEDULE = "stop = { blocks = 2 }\nverdict_minutes = 1\n"


def two_blocks(state: State) -> bool:
    return state.tip == 2 and state.pending is None


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A coalition of level B that has made two blocks, with its members' directories; tests take copies."""
    folder = tmp_path_factory.mktemp("trained")
    found_b(folder, schedule=SCHEDULE)
    running = Service(folder / "coalition", passphrase=PASSPHRASE)
    running.start()
    try:
        members = all_joined(running, folder)
        with ExitStack() as working:
            works = [working.enter_context(members[name].working()) for name in NAMES]
            until(lambda: all(two_blocks(work.ledger.state()) for work in works), 60)
            until(
                lambda: not any(work.ledger.state().undelivered(MemberId(n)) for n in NAMES for work in works[:1]), 60
            )
    finally:
        running.end()
    return folder


@pytest.fixture
def place(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "place")
    return tmp_path / "place"


@pytest.fixture
def service(place: Path) -> Iterator[Service]:
    running = Service(place / "coalition", passphrase=PASSPHRASE)
    running.start()
    for name in NAMES:
        (place / name / "service.url").write_text(running.url + "\n")
    yield running
    running.end()


def member(place: Path, name: str) -> Member:
    from tests.service.conftest import oneself

    from tclearn.service.home import MemberHome

    return Member(MemberHome.open(place / name, oneself(name)))


def test_a_version_comes_when_a_quorum_has_witnessed_it(place: Path, service: Service) -> None:
    reader = member(place, "leuven")
    waits: list[Waiting] = []
    with ExitStack() as open_now:
        at = open_now.enter_context(beside(reader.home, now(), now_ms))

        def pause(_: float) -> None:
            # Only while it waits do the others come, one after the other.
            missing = [name for name in waits[-1].missing if name != "leuven"]
            if not any(name in working for name in missing):
                name = missing[0]
                working[name] = open_now.enter_context(member(place, name).working())
            until(lambda: at.ledger.pull() > 0)

        working: dict[str, Any] = {}
        found = read_version(at, waiting=waits.append, pause=pause)
        state = at.ledger.state()
    assert found.block == 2 and found.reading is not None
    assert waits[0].needed == quorum(4) == 3
    assert waits[0].missing == ("namur", "porto", "turin")  # its own word it gives itself
    assert len(working) == 2
    (used,) = [each for each in journal(state) if each.purpose == "use"]
    assert (used.number, used.member, used.versions) == (found.reading, "leuven", (2,))
    assert used.witnessed_ms is not None and used.delivered_ms is not None
    assert {each.member: each.how for each in who_had(state, 2)}[used.member] in ("trained", "delivered")
    x, y = global_test()
    predictions = predict_with(reader.home.charter, found.parameters, x)
    assert predictions.classes is not None
    assert (predictions.classes == y).sum() == state.block(2).performance.candidate  # type: ignore[union-attr]


def test_what_was_interrupted_goes_on_with_the_same_reading(place: Path, service: Service) -> None:
    reader = member(place, "namur")

    class Stopped(Exception):
        pass

    def stop(_: float) -> None:
        raise Stopped

    for _ in range(2):
        with beside(reader.home, now(), now_ms) as at, pytest.raises(Stopped):
            read_version(at, pause=stop)
    with ExitStack() as working:
        for name in ("namur", "porto", "turin"):  # its own agent runs beside it
            working.enter_context(member(place, name).working())
        with beside(reader.home, now(), now_ms) as at:
            first = read_version(at)
            again = read_version(at)
            readings = [each for each in journal(at.ledger.state()) if each.purpose == "use"]
            left = at.ledger.state().readings_left(MemberId("namur"))
    assert first.data == again.data and first.reading == again.reading
    assert len(readings) == 1 and left == 3


def test_what_the_policy_refuses(place: Path, service: Service) -> None:
    reader = member(place, "porto")
    with beside(reader.home, now(), now_ms) as at:
        before = len(at.ledger)
        with pytest.raises(AgentError, match="may read the newest version only"):
            read_version(at, 1)
        assert len(at.ledger) == before + 1  # the refusal is an entry
        for block, what in ((0, "M_0"), (3, "no block 3"), (-1, "no block -1")):
            with pytest.raises(UsageError, match=what):
                read_version(at, block)
        assert len(at.ledger) == before + 1


@pytest.fixture
def desk(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with everything, as the working directory; leuven's key lies in it."""
    write_key_file(place / "leuven.key", keys_of("leuven"))
    (place / "leuven.pem").write_bytes(ENROLMENTS["leuven"])
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    return place


def test_the_commands(desk: Path, service: Service, tclearn: Run) -> None:  # noqa: F811
    with ExitStack() as working:
        for name in ("namur", "porto", "turin"):
            working.enter_context(member(desk, name).working())
        words = ("tests.service.material:global_test", "-C", "leuven", "--out", "p.csv")
        said = tclearn("predict", *words)
        assert said.out.startswith("p.csv: block 2: 80 records")
        got = tclearn("model", "get", "newest", "-C", "leuven", "--to", "m.safetensors")
        assert "of the journal" in got.out
        refused = tclearn("model", "get", 1, "-C", "leuven", code=1)
        assert refused.err.startswith("error[TCL-705]")
    assert "leuven" not in said.err  # it gives its own word itself
    service.end()

    shown = tclearn("vault", "journal", "-C", "coalition", "--json").json
    uses = [each for each in shown["readings"] if each["purpose"] == "use"]
    assert [(each["member"], each["versions"], each["status"]) for each in uses] == [("leuven", [2], "delivered")]
    table = tclearn("vault", "journal", "-C", "coalition", "--member", "leuven", "--version", "newest")
    assert "block 2" in table.out and "use" in table.out and "namur" not in table.out
    assert tclearn("vault", "statistics", "-C", "leuven", "--json").json["members"][0]["use"] == 1

    tclearn("ledger", "export", "all.tclearn", "-C", "coalition")
    with CoalitionDirectory.open(desk / "coalition") as coalition:
        digest = format_digest(coalition.charter.digest)
    offline = tclearn("vault", "who-had", "newest", "--record", "all.tclearn", "--charter", digest, "--json").json
    at_home = tclearn("vault", "who-had", 2, "-C", "coalition", "--json").json
    assert offline == at_home
    assert {each["member"] for each in offline["holders"]} == set(NAMES)
    since = sorted(each["since_ms"] for each in offline["holders"])
    early = tclearn("vault", "who-had", 2, "-C", "coalition", "--before", "2001-01-01T00:00+01:00", "--json").json
    assert early["holders"] == []
    told = np.datetime64(since[1], "ms").astype(str)
    partly = tclearn("vault", "who-had", 2, "-C", "coalition", "--before", told, "--json").json
    assert [each["since_ms"] for each in partly["holders"]] == [each for each in since if each < since[1]]
    assert "draws from the charter" in tclearn("vault", "who-had", 0, "-C", "coalition").out

    for where, signer in (("coalition", "the log"), ("leuven", "leuven")):
        tclearn("vault", "journal", "-C", where, "--export", f"{where}.journal")
        checked = tclearn("vault", "check", f"{where}.journal", "--record", "all.tclearn", "--charter", digest)
        assert f"signed by {signer}" in checked.out, checked
    damaged = bytearray((desk / "leuven.journal").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (desk / "leuven.journal").write_bytes(damaged)
    said = tclearn("vault", "check", "leuven.journal", "--record", "all.tclearn", "--charter", digest, code=3)
    assert said.err.startswith("error[TCL-303]")
    assert json.loads(tclearn("vault", "journal", "-C", "coalition", "--refused", "--json").out)["refused"] == []
    # where the service runs, whoever has the passphrase reads without asking anybody
    assert tclearn("model", "get", 1, "-C", "coalition", code=2).err.startswith("error[TCL-308]")


def test_a_member_that_nobody_knows(desk: Path, tclearn: Run) -> None:  # noqa: F811
    said = tclearn("vault", "journal", "-C", "coalition", "--member", "leuwen", code=2)
    assert said.err.startswith("error[TCL-901]") and "leuven" in said.err


def test_level_a_fetches_what_is_not_here(
    founded: Path,
    tmp_path: Path,
    tclearn: Run,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(founded, tmp_path / "coalition")
    running = Service(tmp_path / "coalition")
    running.start()
    try:
        members = all_joined(running, tmp_path)
        with ExitStack() as working:
            works = [working.enter_context(each.working()) for each in members.values()]
            until(lambda: all(work.ledger.state().tip >= 1 for work in works), 60)
        write_key_file(tmp_path / "porto.key", keys_of("porto"))
        (tmp_path / "porto.pem").write_bytes(ENROLMENTS["porto"])
        monkeypatch.chdir(tmp_path)
        first = tclearn("model", "get", 1, "-C", "porto", "--to", "kept").out
        shutil.rmtree(tmp_path / "porto" / "objects")
        assert tclearn("model", "get", 1, "-C", "porto", "--to", "kept").out == first
        assert tclearn("predict", "tests.service.material:of_porto", "-C", "porto").out.count("\n") == 41
        said = tclearn("vault", "who-had", 1, "-C", "porto")
        assert "at level A the model is public" in said.out
    finally:
        running.end()
    shutil.rmtree(tmp_path / "porto" / "objects")
    assert tclearn("model", "get", 1, "-C", "porto", code=4).err.startswith("error[TCL-409]")


def test_whoever_runs_the_vault_reads_with_its_passphrase(
    desk: Path,
    tclearn: Run,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TCLEARN_VAULT_PASSPHRASE", PASSPHRASE)
    tclearn("model", "get", 1, "-C", "coalition", "--to", "one.safetensors")
    said = tclearn("predict", "tests.service.material:of_leuven", "-C", "coalition", "--version", 1)
    assert said.out.count("\n") == 41 and said.err.startswith("block 1: 40 records")
    monkeypatch.setenv("TCLEARN_VAULT_PASSPHRASE", "another")
    assert tclearn("model", "get", 1, "-C", "coalition", code=2).err.startswith("error[TCL-308]")
