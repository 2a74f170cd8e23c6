"""``join`` that is refused leaves nothing behind, and says why; a member's directory is not the service's."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.service.conftest import ENROLMENTS, Member, Service, keys_of, now, oneself
from tests.service.test_agent_command import refused, typed
from tests.service.test_membership import GHENT, made

from tclearn.coalition.digest_text import format_digest
from tclearn.errors import Code, StorageError, UnreachableError, UsageError
from tclearn.identity.key_file import write_key_file
from tclearn.service.home import MemberHome, is_joined


def files(folder: Path) -> list[str]:
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*"))


def test_the_service_s_directory_is_refused_before_anything_else(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = format_digest(service.desk.office.coalition.charter.digest)
    monkeypatch.chdir(tmp_path)  # without any key
    before = files(service.directory)
    said = refused(capsys, 2, "901", "join", service.url, "--charter", digest)
    assert "coalition is the service's directory" in said
    assert "--dir NAME" in said
    assert files(service.directory) == before
    write_key_file(tmp_path / "leuven.key", keys_of("leuven"))
    (tmp_path / "leuven.pem").write_bytes(ENROLMENTS["leuven"])
    (tmp_path / "site.toml").write_text('global_test = "tests.service.material:global_test"\n')
    assert "the service's directory" in refused(capsys, 2, "901", "agent")
    # What an earlier version has left there does not make it a member's.
    for name in ("service.url", "service.pem"):
        (service.directory / name).write_text("left over")
    assert not is_joined(service.directory)
    assert "TCL-408" in typed(capsys, "coalition", "expel", "turin").err
    said = typed(capsys, "join", service.url, "--charter", digest, "--dir", "as-member").out
    assert "made as-member" in said
    again = typed(capsys, "join", service.url, "--charter", digest, "--dir", "as-member").out
    assert "was joined before: leuven is a member of four" in again


def test_who_is_not_admitted_yet_is_told_so_and_has_no_half_directory(service: Service, tmp_path: Path) -> None:
    _, ghent = made("ghent", GHENT)
    digest = service.desk.office.coalition.charter.digest
    with pytest.raises(UnreachableError) as turned_away:
        MemberHome.join(tmp_path / "ghent", service.url, digest, ghent, now())
    assert "not admitted yet" in turned_away.value.what or "certificate" in turned_away.value.what
    assert "asked again" not in str(turned_away.value)
    assert not (tmp_path / "ghent").exists()
    # Under a member's own keys, with another's name for the service: nothing is written either.
    service_url = service.url.replace("127.0.0.1", "127.0.0.2")
    with pytest.raises(UnreachableError):
        MemberHome.join(tmp_path / "x", service_url, digest, oneself("leuven"), now())
    assert not (tmp_path / "x").exists()


def test_the_remedy_names_what_has_the_ledger_open(
    service: Service, members: dict[str, Member], capsys: pytest.CaptureFixture[str]
) -> None:
    home = members["leuven"].home
    with home.copy(), pytest.raises(StorageError) as twice:
        home.copy()
    assert twice.value.code is Code.LEDGER_LOCKED
    assert "`tclearn agent` or `tclearn propose`" in twice.value.remedy
    assert str(home.path) in twice.value.remedy
    said = refused(capsys, 1, "408", "serve", "--dir", str(service.directory), "--listen", "127.0.0.1:0")
    assert f"end the `tclearn serve` that runs in {service.directory}" in said
    with pytest.raises(UsageError, match="the service's directory"):
        MemberHome.open(service.directory, oneself("leuven"))
