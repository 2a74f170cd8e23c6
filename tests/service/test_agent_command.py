"""``tclearn serve``, ``join`` and ``agent`` with what cannot work: a sentence and an exit code."""

from __future__ import annotations

import io
import json
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.cli.conftest import Said
from tests.service import conftest
from tests.service.conftest import ENROLMENTS, NAMES, Member, Service, all_joined, found_four, keys_of, until

from tclearn.cli import main
from tclearn.coalition.digest_text import format_digest
from tclearn.directory.coalition import CoalitionDirectory
from tclearn.encoding import Digest
from tclearn.identity.key_file import write_key_file

SITE = 'data = "tests.service.material:of_leuven"\nglobal_test = "tests.service.material:global_test"\n'


@pytest.fixture
def at(tmp_path: Path, joined: dict[str, Member], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as leuven has it."""
    folder = tmp_path / "at-leuven"
    folder.mkdir()
    shutil.copytree(joined["leuven"].home.path, folder / "coalition")
    write_key_file(folder / "leuven.key", keys_of("leuven"))
    (folder / "leuven.pem").write_bytes(ENROLMENTS["leuven"])
    (folder / "site.toml").write_text(SITE)
    monkeypatch.chdir(folder)
    return folder


def typed(capsys: pytest.CaptureFixture[str], *words: str) -> Said:
    before, sys.argv = sys.argv, ["tclearn", *words]
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        sys.argv = before
    said = capsys.readouterr()
    return Said(int(ended.value.code or 0), said.out, said.err)


def refused(capsys: pytest.CaptureFixture[str], code: int, error: str, *words: str) -> str:
    said = typed(capsys, *words)
    text = " ".join(said.err.split())
    assert said.code == code and f"error[TCL-{error}]" in text, said
    return text


def test_which_key_is_meant(at: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_key_file(at / "namur.key", keys_of("namur"))
    assert "there are 2 .key files here" in refused(capsys, 2, "901", "agent")
    for name in ("namur", "leuven"):
        (at / f"{name}.key").unlink()
    assert "no .key file here" in refused(capsys, 2, "901", "agent")
    refused(capsys, 4, "504", "agent", "--key", "leuven.key")


def test_keys_that_do_not_belong_together(at: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (at / "leuven.pem").write_bytes(ENROLMENTS["namur"])
    assert "belongs to other keys" in refused(capsys, 2, "308", "agent")
    (at / "leuven.pem").unlink()
    assert "together with the .key file" in refused(capsys, 4, "504", "agent")
    (at / "leuven.pem").write_bytes(b"nothing")
    refused(capsys, 1, "309", "agent")


def test_the_keys_of_somebody_else(at: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_key_file(at / "stranger.key", keys_of("stranger"))
    (at / "stranger.pem").write_bytes(ENROLMENTS["stranger"])
    said = refused(capsys, 2, "106", "agent", "--key", "stranger.key")
    assert "four has no member stranger" in said and ", ".join(NAMES) in said


def test_a_passphrase(at: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    (at / "leuven.key").unlink()
    write_key_file(at / "leuven.key", keys_of("leuven"), "correct horse", salt=bytes(64))
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert "TCLEARN_PASSPHRASE" in refused(capsys, 2, "308", "agent")
    monkeypatch.setenv("TCLEARN_PASSPHRASE", "wrong horse")
    refused(capsys, 2, "308", "agent")
    monkeypatch.setenv("TCLEARN_PASSPHRASE", "correct horse")
    (at / "site.toml").unlink()
    refused(capsys, 4, "504", "agent")  # the key has been read: the next thing is missing


@pytest.mark.parametrize(
    ("site", "code", "error"),
    [
        ("data = 7", 2, "901"),
        (SITE.replace("of_leuven", "of_nobody"), 2, "901"),
        (SITE.replace(":global_test", ":of_turin"), 1, "203"),
    ],
)
def test_a_site_that_cannot_be_used(
    at: Path, capsys: pytest.CaptureFixture[str], site: str, code: int, error: str
) -> None:
    (at / "site.toml").write_text(site)
    refused(capsys, code, error, "agent")


def test_nothing_was_joined(at: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "run `tclearn join` first" in refused(capsys, 4, "504", "agent", "--dir", "elsewhere")


@pytest.fixture
def handled() -> Iterator[None]:
    """Who handles signals is put back afterwards."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("handled")
def test_data_that_fail_end_the_agent(
    service: Service, members: dict[str, Member], at: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (at / "site.toml").write_text(SITE.replace("of_leuven", "failing_later"))
    said = refused(capsys, 1, "201", "agent", "--dir", str(members["leuven"].home.path))
    assert "leuven:" in said and "the disk is gone" in said


def test_join_with_a_digest_or_address_that_is_wrong(
    at: Path, quiet: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    with CoalitionDirectory.open(quiet.directory) as coalition:
        digest = format_digest(coalition.charter.digest)
    other = digest[:-1] + ("0" if digest[-1] != "0" else "1")
    refused(capsys, 3, "405", "join", quiet.url, "--charter", other, "--dir", "x")
    refused(capsys, 2, "901", "join", quiet.url.replace("https", "http"), "--charter", digest, "--dir", "x")
    refused(capsys, 4, "409", "join", "https://127.0.0.1:9", "--charter", digest, "--dir", "x")
    assert not (at / "x").exists()
    said = typed(capsys, "join", quiet.url, "--charter", digest, "--dir", "x")
    assert said.code == 0 and "leuven is a member of four" in said.out


def test_a_port_that_is_taken_and_a_ledger_that_is_served(
    at: Path, quiet: Service, founded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(founded, at / "other")
    where = f"127.0.0.1:{quiet.port}"
    refused(capsys, 4, "706", "serve", "--dir", "other", "--listen", where)
    refused(capsys, 1, "408", "serve", "--dir", str(quiet.directory), "--listen", "127.0.0.1:0")
    refused(capsys, 2, "901", "serve", "--dir", "other", "--listen", "8443")


@pytest.mark.usefixtures("at", "handled")
def test_one_increment_is_offered_and_its_votes_are_told(
    members: dict[str, Member], capsys: pytest.CaptureFixture[str]
) -> None:
    where = str(members["leuven"].home.path)
    others = [name for name in NAMES if name != "leuven"]
    with ExitStack() as running:
        works = [running.enter_context(members[name].working(offers=False)) for name in others]
        said = typed(capsys, "propose", "--dir", where)
        assert said.code == 0, said
        assert "block 1: accepted by 3 of 3 validators" in said.out
        assert all(f"{name} " in said.out for name in others)
        assert "no records left to train on" in refused(capsys, 1, "705", "propose", "--dir", where)
        until(lambda: all(work.ledger.state().increments == 1 for work in works))


@pytest.mark.usefixtures("at", "handled")
def test_what_became_of_it_as_json(members: dict[str, Member], capsys: pytest.CaptureFixture[str]) -> None:
    with ExitStack() as running:
        for name in NAMES[1:]:
            running.enter_context(members[name].working(offers=False))
        said = typed(capsys, "propose", "--json", "--dir", str(members["leuven"].home.path))
    told = json.loads(said.out)
    assert (told["block"], told["status"], len(told["votes"])) == (1, "accepted", 3)
    assert "leuven trains" in said.err, "what is going on goes where it does not disturb"


@pytest.mark.usefixtures("at", "handled")
def test_there_is_nothing_to_offer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conftest, "CHARTER", conftest.CHARTER.replace("minimum_batch = 1", "minimum_batch = 64"))
    strict = Service(found_four(tmp_path / "strict"))
    strict.start()
    try:
        where = str(all_joined(strict, tmp_path / "strict")["leuven"].home.path)
        assert "no records left to train on" in refused(capsys, 1, "705", "propose", "--dir", where)
    finally:
        strict.end()


def test_the_directory_of_another_coalition_is_left_alone(at: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def files() -> dict[str, bytes]:
        return {str(each): each.read_bytes() for each in (at / "coalition").rglob("*") if each.is_file()}

    before, other = files(), format_digest(Digest(bytes(32)))
    said = refused(capsys, 2, "704", "join", "https://127.0.0.1:1", "--charter", other, "--key", "leuven.key")
    assert "is the directory of another coalition" in said
    assert files() == before
