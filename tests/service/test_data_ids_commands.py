"""Data IDs of level B at the command line: ``tclearn data check`` and ``tclearn data journal``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.service.conftest import ENROLMENTS, Member, Service, all_joined, keys_of
from tests.service.level_b import PASSPHRASE, found_b
from tests.service.test_agent_command import SITE, refused, typed

from tclearn.directory.data_ids import ID_JOURNAL
from tclearn.identity.key_file import write_key_file

OWN, OF_TEST = 40, 80


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    running = Service(found_b(tmp_path / "founder"), passphrase=PASSPHRASE)
    running.start()
    yield running
    running.end()


@pytest.fixture
def members(service: Service, tmp_path: Path) -> dict[str, Member]:
    return all_joined(service, tmp_path)


@pytest.fixture
def at(tmp_path: Path, members: dict[str, Member], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as leuven has it."""
    folder = tmp_path / "at-leuven"
    folder.mkdir()
    members["leuven"].home.path.rename(folder / "coalition")
    write_key_file(folder / "leuven.key", keys_of("leuven"))
    (folder / "leuven.pem").write_bytes(ENROLMENTS["leuven"])
    (folder / "site.toml").write_text(SITE)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.usefixtures("at")
def test_data_are_checked_with_ids_that_the_service_computes(capsys: pytest.CaptureFixture[str]) -> None:
    said = typed(capsys, "data", "check")
    assert said.code == 0, said
    assert f"asking the supervisor for {OF_TEST} data IDs" in said.err
    assert f"asking the supervisor for {OWN} data IDs" in said.err
    assert "40 records, 0 of them copies of others" in said.out
    assert said.out.rstrip().endswith("nothing but requests for data IDs was sent")
    again = typed(capsys, "data", "check", "--json")
    assert "asking" not in again.err
    assert json.loads(again.out)["records"] == OWN
    assert typed(capsys, "data", "check").out.rstrip().endswith("\nnothing was sent")


def test_a_member_sees_who_asked_and_the_service_too(
    at: Path, service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "nobody has asked yet" in typed(capsys, "data", "journal").out
    typed(capsys, "data", "check")
    said = typed(capsys, "data", "journal")
    assert said.code == 0, said
    assert "a member may ask for 200,000 records at once, then for 100,000 in a day" in said.out
    assert f"leuven: {OWN + OF_TEST} records in 2 requests, 0 refused" in said.out
    assert "each of 2 entries follows from those before it and from the charter" in said.out
    assert "all 2 that this member was told of are among them" in said.out
    told = json.loads(typed(capsys, "data", "journal", "--json").out)
    kept = json.loads(typed(capsys, "data", "journal", "--json", "--dir", str(service.directory)).out)
    assert told["entries"] == kept["entries"]
    assert told["digest"] == kept["digest"]
    assert (told["told"], kept["told"]) == (2, None)
    assert [(each["member"], each["records"], each["granted"]) for each in told["entries"]] == [
        ("leuven", OF_TEST, True),
        ("leuven", OWN, True),
    ]
    none = json.loads(typed(capsys, "data", "journal", "--json", "--member", "namur").out)
    assert (none["entries"], none["digest"]) == ([], told["digest"])


def test_a_journal_that_was_set_back(
    at: Path, service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(service.directory / ID_JOURNAL, tmp_path / "older")
    typed(capsys, "data", "check")
    service.end()
    for end in ("-wal", "-shm"):
        (service.directory / (ID_JOURNAL + end)).unlink(missing_ok=True)
    shutil.copy(tmp_path / "older", service.directory / ID_JOURNAL)
    service.start()
    assert "was set back" in refused(capsys, 3, "311", "data", "journal")


def test_at_level_a_there_is_none(
    joined: dict[str, Member], quiet: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    for directory in (joined["leuven"].home.path, quiet.directory):
        assert "is of level A" in refused(capsys, 2, "901", "data", "journal", "--dir", str(directory))
